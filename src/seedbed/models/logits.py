"""Logits only where they are read: the head runs on chosen positions, not on every token.

With a vocabulary of 49,000 the head is most of a small model's cost.
"""

from typing import Any

import torch
from torch import Tensor

from seedbed.models.tokens import Batch

# Numbers in a block of `log_probs`: 2 MiB of float32, so that a block stays in the processor's
# cache. On one core log_softmax is then twice as fast, and logsumexp is never faster.
BLOCK = 2**19


def logits_at(model: Any, batch: Batch, where: Tensor, **inputs: Any) -> Tensor:
    """Logits [n, vocabulary] at the n True positions of `where` [rows, length], row by row.

    Works for any Hugging Face causal model: the input of its output embedding is reduced to
    the chosen positions, so whatever the model does to logits afterwards still happens. A
    model that computes logits in some other way runs in full and is reduced afterwards.
    """
    length = where.shape[1]
    head = _plain(model).get_output_embeddings()
    reduced = False

    def choose(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        nonlocal reduced
        reduced = True
        return (args[0][:, -length:][where].unsqueeze(0), *args[1:])

    handle = head.register_forward_pre_hook(choose) if head is not None else None
    try:
        output = model(input_ids=batch.ids, attention_mask=batch.mask, **inputs)
    finally:
        if handle is not None:
            handle.remove()
    logits: Tensor = output.logits[0] if reduced else output.logits[:, -length:][where]
    return logits


def log_probs(logits: Tensor, rows: Tensor, targets: Tensor) -> Tensor:
    """Log p [m], nats, float32: of id `targets[i]` [m] at row `rows[i]` [m] of logits [n, v].

    `rows` must not decrease.
    """
    size = max(1, BLOCK // logits.shape[1])
    starts = torch.arange(0, logits.shape[0], size, device=rows.device)
    cuts = [*torch.searchsorted(rows, starts).tolist(), len(rows)]
    found = [
        block.float().log_softmax(dim=-1)[rows[i:j] - b * size, targets[i:j]]
        for b, (block, i, j) in enumerate(
            zip(torch.split(logits, size), cuts, cuts[1:], strict=False)
        )
    ]
    return torch.cat(found)


def token_losses(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """(losses [n], row of each [n]): −log p of every predicted token, in nats, float32."""
    logits, targets, rows = predicted_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none"), rows


def predicted_logits(model: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """(logits [n, vocabulary] float32, the token there [n], its row [n]) of predicted tokens."""
    where = torch.zeros_like(batch.predicted)
    where[:, :-1] = batch.predicted[:, 1:]
    logits = logits_at(model, batch, where).float()
    return logits, batch.ids[:, 1:][where[:, :-1]], where.nonzero()[:, 0]


def _plain(model: Any) -> Any:
    return getattr(model, "module", model)
