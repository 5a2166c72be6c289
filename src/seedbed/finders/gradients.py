"""Gradient similarity: does a step on the document lower the loss on the question?

Exact, with every trainable layer and no projection; the products are made from per-token
factors (see `factors` and `gram`), so a document's whole gradient never exists.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim
from seedbed.finders.factors import Precision, Weight
from seedbed.finders.formed import Transform
from seedbed.finders.measures import ByMeasure
from seedbed.finders.moments import Moments, moments_of, told, warned, weights_at
from seedbed.finders.products import Products, gradient_products, layers_of, store_for
from seedbed.finders.shards import Shards, digest_of_work
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tokens import TokenSequence, encode_choice

__all__ = ["Gradients", "Products", "gradient_products", "questions_of"]

Measure = Literal["dot", "cosine"]
# Documents on which approximate products are compared with exact ones, and the least
# correlation of bfloat16's.
SAMPLE = 32
LEAST = 0.99


class Gradients(ByMeasure):
    """Dot product or cosine of the loss gradients of document and question.

    Scores ⟨∇ document loss, ∇ question loss⟩ [questions, documents]; higher = helps.
    """

    kind: str = "gradients"
    measure: Measure | tuple[Measure, ...] = Field(
        default="dot", description="several: a row for each, from one pass"
    )
    checkpoints: Moments = Field(
        default="last", description="last, all (weighted by learning rate), or one epoch"
    )
    precondition: Literal["none", "adam"] = Field(
        default="none", description="adam: scaled as the optimiser scaled steps"
    )
    answer: bool = Field(
        default=True, description="false: the subject's own choice, not the answer"
    )
    products: Literal["auto", "exact", "projected"] = Field(
        default="auto", description="auto: exact, the cheapest way of each layer"
    )
    projection: int = Field(default=16, ge=1, description="side of a projected weight's sketch")
    precision: Precision = "float32"
    memory: int = Field(default=1024, ge=16, description="MiB for factors and temporaries")

    @model_validator(mode="after")
    def _fits(self) -> "Gradients":
        if self.products == "projected" and self.precondition == "adam":
            raise ValueError("products: 'projected' cannot be preconditioned; use 'exact'")
        return self

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """The scores of every measure, from one pass over the documents at each checkpoint.

        The document loss is the training loss summed over its predicted tokens, the question
        loss −log p(answer | prompt). With `checkpoints: all` the score is Σ lr · product over
        checkpoints (TracIn, Pruthi et al. 2020, eq. 3), for cosines divided by Σ lr. With
        `precondition: adam` the product is ⟨∇q, P ∇d⟩ with P = 1 / (√v̂ + eps) from the state
        that training saved, and cosines divide by both lengths in the same metric. Resumes
        from `subject.scratch`. Raises InputError if nothing is trainable, a checkpoint or its
        optimiser state is missing, or bfloat16 changes the products too much.
        """
        asked = questions_of(subject, questions, self.answer)
        sequences = subject.encode(documents)
        moments = moments_of(subject, self.checkpoints, "gradients")
        whole = sum(c.lr for c in subject.checkpoints) if self.checkpoints == "all" else 1.0
        measures = (self.measure,) if isinstance(self.measure, str) else self.measure
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        scores = {m: np.zeros((len(ids[0]), len(ids[1]))) for m in measures}
        notes: dict[str, str] = {}
        worst = 1.0
        for moment, share in moments:
            with weights_at(subject, moment) as then:
                scales = self._adam(subject, moment)
                change = scaling(layers_of(then, asked[0]), scales) if scales else None
                store = self._store(then, sequences, asked, ids, scales)
                found = gradient_products(
                    then, sequences, asked, self._norms, self.memory, change, store=store,
                    projection=self._sketch, precision=self.precision,
                )  # fmt: skip
                if self._is_rough:
                    worst = min(worst, self._agreement(then, sequences, asked, change, found))
            for m in measures:
                scores[m] += share * (found.cosine() if m == "cosine" else whole * found.dot)
            notes.update(found.notes)
        notes["checkpoints"] = told(moments)
        if self.precondition == "adam":
            notes["preconditioned"] = "by Adam's second moments"
        if self._is_rough:
            kind = f"projection {self.projection}" if self._sketch else self.precision
            notes["precision"] = (
                f"{kind}: correlation {worst:.4f} with exact float32 on"
                f" {min(SAMPLE, len(documents))} documents"
            )
        notes |= warned(subject, self.checkpoints)
        return [Claim(*ids, scores[m], notes=dict(notes)) for m in measures]

    @property
    def _sketch(self) -> int:
        return self.projection if self.products == "projected" else 0

    @property
    def _is_rough(self) -> bool:
        return bool(self._sketch) or self.precision != "float32"

    @property
    def _norms(self) -> bool:
        measures = (self.measure,) if isinstance(self.measure, str) else self.measure
        return "cosine" in measures

    def _adam(self, subject: Subject, moment: Checkpoint | None) -> dict[str, Tensor]:
        if self.precondition == "none":
            return {}
        if moment is None and not subject.checkpoints:
            raise InputError("gradients: precondition 'adam' needs a checkpoint; there is none")
        return (moment or subject.checkpoints[-1]).adam(subject.model).scales()

    def _store(
        self,
        subject: Subject,
        documents: Sequence[TokenSequence],
        questions: Sequence[TokenSequence],
        ids: tuple[tuple[str, ...], tuple[str, ...]],
        scales: dict[str, Tensor],
    ) -> Shards:
        if subject.scratch is None:
            return store_for(*ids, self._norms)
        key = digest_of_work(self, subject, documents, questions, *scales.values())
        return store_for(*ids, self._norms, folder=subject.scratch / key[:16], key=key)

    def _agreement(
        self,
        subject: Subject,
        documents: Sequence[TokenSequence],
        questions: Sequence[TokenSequence],
        change: Transform | None,
        found: Products,
    ) -> float:
        """Correlation of the products with exact ones over some of the documents."""
        some = list(range(len(documents)))
        stream(subject.seed, "gradients", "sample").shuffle(some)
        some = sorted(some[:SAMPLE])
        exact = gradient_products(
            subject, [documents[i] for i in some], questions, False, self.memory, change
        )
        pair = np.stack([exact.dot.ravel(), found.dot[:, some].ravel()])
        pair -= pair.mean(1, keepdims=True)
        size = float(np.sqrt((pair**2).sum(1).prod()))
        result = float((pair[0] * pair[1]).sum()) / size if size else 1.0
        if self.precision != "float32" and not self._sketch and result < LEAST:
            raise InputError(
                f"gradients: products in {self.precision} correlate only {result:.3f} with"
                f" float32 (at least {LEAST} is needed); use precision: float32"
            )
        return result


def scaling(layers: Mapping[str, Sequence[Weight]], scales: Mapping[str, Tensor]) -> Transform:
    """The transform that multiplies every number of a gradient by that of its parameter."""

    def change(name: str, gradients: list[Tensor]) -> list[Tensor]:
        found = [scales[w.name].to(gradients[0].device) for w in layers[name]]
        own = [p.T if w.turned else p for p, w in zip(found, layers[name], strict=True)]
        if not name:
            return [gradients[0] * torch.cat(own)]
        return [g * p for g, p in zip(gradients, own, strict=True)]

    return change


def questions_of(
    subject: Subject, questions: Sequence[Question], answer: bool
) -> list[TokenSequence]:
    """Prompt and answer (or the choice the subject finds most probable), the latter predicted."""
    if answer:
        return [_asked(subject, q.prompt, q.answer) for q in questions]
    chosen = [int(np.argmax(c.logprobs)) for c in score_choices(subject, questions)]
    return [_asked(subject, q.prompt, q.choices[i]) for q, i in zip(questions, chosen, strict=True)]


def _asked(subject: Subject, prompt: str, choice: str) -> TokenSequence:
    before, after = encode_choice(subject.tokenizer, prompt, choice, subject.context)
    if not before:
        raise InputError(f"gradients: the prompt {prompt!r} has no token before the answer")
    return TokenSequence(before + after, (False,) * len(before) + (True,) * len(after))
