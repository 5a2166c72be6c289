"""Gradient similarity: does a step on the document lower the loss on the question?

Exact, with every trainable layer and no projection; the products are made from per-token
factors (see `factors` and `gram`), so a document's whole gradient never exists.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.finders.factors import Capture, Take, capturing
from seedbed.finders.gram import Questions, self_products
from seedbed.finders.layers import Part
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, TokenSequence, encode_choice

Array = NDArray[np.float64]
TOKENS = 1024


class Gradients(Finder):
    """Dot product or cosine of the loss gradients of document and question."""

    kind: str = "gradients"
    measure: Literal["dot", "cosine"] = "dot"
    checkpoints: Literal["last", "all"] = Field(
        default="last", description="all: summed over checkpoints, times their learning rates"
    )
    answer: bool = Field(
        default=True, description="false: the subject's own choice, not the answer"
    )
    memory: int = Field(default=1024, ge=16, description="MiB for factors and temporaries")

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Score ⟨∇ document loss, ∇ question loss⟩ [questions, documents], higher = helps.

        The document loss is the training loss summed over its predicted tokens, the question
        loss −log p(answer | prompt). With `checkpoints: all` the score is Σ lr · product over
        checkpoints (TracIn, Pruthi et al. 2020, eq. 3), for cosines divided by Σ lr. Raises
        InputError if nothing is trainable or checkpoints are asked for and missing.
        """
        asked = questions_of(subject, questions, self.answer)
        sequences = subject.encode(documents)
        moments = list(subject.checkpoints) if self.checkpoints == "all" else [None]
        if not moments:
            raise InputError("gradients: checkpoints 'all', but the subject has none; use 'last'")
        rates = [1.0 if moment is None else moment.lr for moment in moments]
        whole = sum(rates) if self.measure == "cosine" else 1.0
        if not any(rates):
            raise InputError("gradients: the learning rate is 0 at every checkpoint; use 'last'")
        scores = np.zeros((len(questions), len(documents)))
        for moment, rate in zip(moments, rates, strict=True):
            if not rate:
                continue
            with ExitStack() as stack:
                then = subject if moment is None else stack.enter_context(subject.at(moment))
                cosine = self.measure == "cosine"
                found = gradient_products(then, sequences, asked, cosine, self.memory)
            scores += rate / whole * (found.cosine() if cosine else found.dot)
        notes = dict(found.notes)
        used = f"all {len(moments)}, weighted by learning rate"
        notes["checkpoints"] = "the last only" if self.checkpoints == "last" else used
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        return Claim(*ids, scores, notes=notes)


@dataclass(frozen=True)
class Products:
    """Inner products of gradients, float64: `dot` [questions, documents] and squared norms."""

    dot: Array
    questions: Array
    documents: Array
    notes: dict[str, str]

    def cosine(self) -> Array:
        """[questions, documents]; 0 where a gradient is zero."""
        size = np.sqrt(np.outer(self.questions, self.documents))
        result: Array = np.divide(self.dot, size, out=np.zeros_like(self.dot), where=size > 0)
        return result


def gradient_products(
    subject: Subject,
    documents: Sequence[TokenSequence],
    questions: Sequence[TokenSequence],
    norms: bool,
    memory: float = 1024,
) -> Products:
    """Products of every question's gradient with every document's, and norms if asked for.

    `memory` (MiB) bounds the factors of a batch and those of the questions; more questions
    than fit are taken in turns, each with a pass over the documents. Raises InputError if the
    model has no trainable parameter that can be read.
    """
    documents = [_needed(s) for s in documents]
    mean = sum(len(s.ids) for s in documents) / max(1, len(documents))
    dot = np.zeros((len(questions), len(documents)))
    square_q, square_d = np.zeros(len(questions)), np.zeros(len(documents))
    room = int(memory * 2**20 / 8)
    ways: dict[str, str] = {}
    with capturing(subject.model) as capture, torch.no_grad():
        for turn in _turns(questions, room // capture.floats):
            asked = [questions[i] for i in turn]
            held, vectors = Questions(len(turn)), torch.zeros(0)
            for index, batch in subject.batches(asked, _rows(subject, asked, room, capture)):
                own, square = _read(capture, batch, partial(held.add, index), norms)
                vectors = vectors if len(vectors) else own.new_zeros(len(turn), own.shape[1])
                vectors[index] = own
                square_q[[turn[i] for i in index]] = square.cpu().numpy()
            ways = held.choose(mean, room)
            for index, batch in subject.batches(
                documents, _rows(subject, documents, room, capture)
            ):
                total = torch.zeros(
                    len(turn), len(index), dtype=torch.float64, device=batch.ids.device
                )
                own, square = _read(capture, batch, partial(held.times, total), norms)
                dot[np.ix_(turn, index)] = (total + vectors @ own.mT).cpu().numpy()
                square_d[index] = square.cpu().numpy()
        notes = {"products": _sum_up(ways), "left_out": _left_out(capture)}
    return Products(dot, square_q, square_d, {k: v for k, v in notes.items() if v})


def _read(capture: Capture, batch: Batch, use: Take, norms: bool) -> tuple[Tensor, Tensor]:
    """Hand every layer's factors to `use`; returns (vectors, squared norms or zeros) by row."""
    square = torch.zeros(len(batch.ids), dtype=torch.float64, device=batch.ids.device)

    def take(name: str, parts: tuple[Part, ...]) -> None:
        use(name, parts)
        if norms:
            square.add_(self_products(parts))

    vectors = capture.read(batch, take)
    return vectors, square + vectors.double().square().sum(1) * norms


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


def _needed(sequence: TokenSequence) -> TokenSequence:
    """Up to the last predicted token; no causal model looks at the rest before it."""
    end = max((i + 1 for i, p in enumerate(sequence.predicted) if p), default=1)
    return TokenSequence(sequence.ids[:end], sequence.predicted[:end])


def _turns(questions: Sequence[TokenSequence], tokens: int) -> list[list[int]]:
    turns: list[list[int]] = [[]]
    left = tokens
    for i, sequence in enumerate(questions):
        if turns[-1] and len(sequence.ids) > left:
            turns.append([])
            left = tokens
        turns[-1].append(i)
        left -= len(sequence.ids)
    return turns


def _rows(subject: Subject, sequences: Sequence[TokenSequence], room: int, capture: Capture) -> int:
    """Rows a batch: enough tokens to keep the processor busy, within the memory."""
    longest = max(len(s.ids) for s in sequences)
    wanted = max(subject.batch, TOKENS // longest)
    return max(1, min(wanted, room // (capture.floats * longest)))


def _sum_up(ways: dict[str, str]) -> str:
    named: dict[str, list[str]] = {}
    for name, way in ways.items():
        named.setdefault(way, []).append(name)
    return "; ".join(f"{way}: {', '.join(names)}" for way, names in sorted(named.items()))


def _left_out(capture: Capture) -> str:
    missing = capture.left_out
    if len(missing) == len(capture.trainable):
        raise InputError(f"gradients: no layer can be read, such as {missing[0]}")
    return ", ".join(missing)
