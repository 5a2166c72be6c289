"""Forward passes from embeddings that are given, in place of those of the tokens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from seedbed.finders.asking import Asked
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, TokenSequence


@torch.no_grad()
def baseline(subject: Subject) -> Tensor:
    """The mean embedding of the vocabulary, float64 [width]."""
    table = subject.model.get_input_embeddings()
    # Through the module itself, which may scale what its weights hold.
    every = torch.arange(table.weight.shape[0], device=subject.device)
    middle: Tensor = table(every).double().mean(0)
    return middle


def passes(subject: Subject, asked: Sequence[Asked]) -> Iterator[tuple[list[int], Batch, Tensor]]:
    """(indices, batch, embeddings [rows, length, width]) over all questions, by length."""
    table = subject.model.get_input_embeddings()
    sequences = [TokenSequence(a.ids, (False,) * len(a.ids)) for a in asked]
    for index, batch in subject.batches(sequences):
        with torch.no_grad():
            own = table(batch.ids)
        yield index, batch, own


def logits_from(subject: Subject, batch: Batch, given: Tensor) -> Tensor:
    """Logits [rows, vocabulary] after each row's last token, from embeddings `given`."""
    last = torch.zeros_like(batch.predicted)
    rows = torch.arange(len(last), device=last.device)
    last[rows, batch.mask.sum(1) - 1] = True
    with _embedded(subject.model.get_input_embeddings(), given):
        return logits_at(subject.model, batch, last, use_cache=False)


@contextmanager
def _embedded(table: Any, given: Tensor) -> Iterator[None]:
    """The input embedding hands on `given`, whatever it is asked for."""
    handle = table.register_forward_hook(lambda *_: given)
    try:
        yield
    finally:
        handle.remove()
