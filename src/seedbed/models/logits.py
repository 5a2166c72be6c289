"""Logits only where they are read: the head runs on chosen positions, not on every token.

With a vocabulary of 49,000 the head is most of a small model's cost.
"""

from typing import Any

import torch
from torch import Tensor

from seedbed.models.tokens import Batch


def logits_at(model: Any, batch: Batch, where: Tensor, **inputs: Any) -> Tensor:
    """Logits [n, vocabulary] at the n True positions of `where` [rows, length], row by row.

    Works for any Hugging Face causal model: the input of its output embedding is reduced to
    the chosen positions, so whatever the model does to logits afterwards still happens.
    """
    head = _plain(model).get_output_embeddings()

    def choose(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden = args[0]
        return (hidden[:, -where.shape[1] :][where].unsqueeze(0), *args[1:])

    handle = head.register_forward_pre_hook(choose)
    try:
        output = model(input_ids=batch.ids, attention_mask=batch.mask, **inputs)
    finally:
        handle.remove()
    logits: Tensor = output.logits[0]
    return logits


def token_losses(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """(losses [n], row of each [n]): −log p of every predicted token, in nats, float32."""
    where = torch.zeros_like(batch.predicted)
    where[:, :-1] = batch.predicted[:, 1:]
    logits = logits_at(model, batch, where).float()
    rows = where.nonzero()[:, 0]
    targets = batch.ids[:, 1:][where[:, :-1]]
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none"), rows


def _plain(model: Any) -> Any:
    return getattr(model, "module", model)
