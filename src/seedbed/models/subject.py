"""A subject: a model, its tokenizer, and the checkpoints that training left behind.

Finders and measuring take subjects only, whatever made them: from scratch, a folder, a hub id.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field

from seedbed.core.kinds import Kinded, Kinds
from seedbed.core.rows import Document
from seedbed.models.tokens import Batch, Loss, TokenSequence, encode_document, pad

if TYPE_CHECKING:
    from seedbed.models.adam import Adam

# What configurations of transformers and of remote code call the longest input.
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length",
                 "max_seq_len", "seq_length", "block_size")  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """Weights saved during training: optimiser `step`, the epoch reached, the learning rate."""

    step: int
    epoch: float
    lr: float
    folder: Path

    def adam(self, model: Any) -> "Adam":
        """The optimiser's second moments at this step, for the parameters `model` trains.

        Raises InputError if training saved none, DataError if they are damaged or unfit.
        """
        from seedbed.models.adam import read_adam

        return read_adam(model, self.folder)


@dataclass(frozen=True)
class Subject:
    """A causal language model ready to be read.

    `loss` is the loss it was trained with, which gradient finders use again. `checkpoints`
    run from the earliest to the last; the model itself holds the last weights. `scratch` is a
    folder of one finder's own that survives an interruption; None: nothing can be resumed.
    `base` is the model it was fine-tuned from, where that is known.
    """

    model: Any
    tokenizer: Any
    seed: int = 0
    loss: Loss = "text"
    batch: int = 32
    checkpoints: tuple[Checkpoint, ...] = ()
    scratch: Path | None = None
    base: "Subject | None" = None

    @property
    def context(self) -> int:
        """Most tokens that the model takes; 2³⁰ where its config sets no limit."""
        config = self.model.config.get_text_config()
        for name in CONTEXT_NAMES:
            if value := getattr(config, name, None):
                return int(value)
        return 2**30

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def encode(self, documents: Sequence[Document]) -> list[TokenSequence]:
        """Token ids of documents, with the tokens that the training loss predicts."""
        context = self.context
        return [encode_document(self.tokenizer, d, self.loss, context) for d in documents]

    def batches(
        self, sequences: Sequence[TokenSequence], size: int | None = None
    ) -> Iterator[tuple[list[int], Batch]]:
        """(indices, padded batch) over all sequences, similar lengths together."""
        order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
        size = size or self.batch
        for start in range(0, len(order), size):
            index = order[start : start + size]
            batch = pad([sequences[i] for i in index])
            yield index, batch.to(self.device)

    def batches_of(
        self, sequences: Sequence[TokenSequence], tokens: int
    ) -> Iterator[tuple[list[int], Batch]]:
        """`batches` of as many rows as make up to `tokens` tokens, padding included; at least 1."""
        order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids), reverse=True)
        while order:
            size = max(1, tokens // max(1, len(sequences[order[0]].ids)))
            index, order = order[:size], order[size:]
            yield index, pad([sequences[i] for i in index]).to(self.device)

    @contextmanager
    def at(self, checkpoint: Checkpoint) -> Iterator["Subject"]:
        """The subject with the weights of `checkpoint`; the last weights return afterwards."""
        from seedbed.models.folders import load_weights, trainable_state

        last = {name: tensor.clone() for name, tensor in trainable_state(self.model).items()}
        load_weights(self.model, checkpoint.folder)
        try:
            yield replace(self, checkpoints=())
        finally:
            self.model.load_state_dict(last, strict=False)


class SubjectConfig(Kinded):
    """Base of subject kinds: what `subject:` in a study file configures.

    `recurs` says whether its blocks run several times in a pass; None: only the model can tell.
    """

    batch: int = Field(default=32, ge=1)
    remote: ClassVar[bool] = False
    recurs: ClassVar[bool | None] = None

    def build(self, texts: Sequence[str], new_tokens: Sequence[str], seed: int) -> Subject:
        """A fresh subject before training.

        `texts` is everything it must be able to read (a from-scratch kind makes its
        vocabulary from it), `new_tokens` are words that become one token each.
        """
        raise NotImplementedError


SUBJECTS: Kinds[SubjectConfig] = Kinds("subject", "seedbed.models", SubjectConfig)
