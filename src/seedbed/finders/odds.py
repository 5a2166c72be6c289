"""Gradients of log-odds log(p / (1 − p)) of predicted tokens, where a loss would give −log p.

∇ log(p / (1 − p)) = ∇ log p / (1 − p), so the gradients at the logits are weighed by token
on their way back; nothing else of the model or the loss changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from seedbed.models.tokens import Batch

# Of a token that is nearly certain, 1 − p has no correct digit left in float32.
LEAST = 1e-4


class Odds:
    """Weighs gradients at the logits; `probabilities` [predicted tokens] of the last batch."""

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self.probabilities = torch.zeros(0)

    def expect(self, batch: Batch) -> None:
        """The batch that the model reads next."""
        self._batch = batch

    def weigh(self, module: Any, args: Any, output: Any) -> None:
        """A hook of the model."""
        assert self._batch is not None
        where = self._batch.predicted[:, 1:]
        targets = self._batch.ids[:, 1:][where]
        logits: Tensor = output.logits
        reduced = logits.shape[:2] == (1, len(targets))
        with torch.no_grad():
            chosen = logits.detach()[0] if reduced else logits.detach()[where]
            p = chosen.double().softmax(-1).gather(1, targets[:, None])[:, 0]
        self.probabilities = p
        # Descending −log p is ascending the log-odds, so the sign turns.
        factor = (-1 / (1 - p).clamp(min=LEAST)).to(logits.dtype)
        if reduced:
            scale = factor[None, :, None]
        else:
            scale = logits.new_zeros(*logits.shape[:2], 1)
            scale[where] = factor[:, None]
        # On a tensor of its own: other hooks of the head's output must see weighed gradients.
        passed: Any = logits.view_as(logits)
        if passed.requires_grad:
            passed.register_hook(lambda gradient: gradient * scale)
        output.logits = passed


@contextmanager
def weighing(model: Any) -> Iterator[Odds]:
    """An `Odds` at work on `model`."""
    odds = Odds()
    handle = model.register_forward_hook(odds.weigh)
    try:
        yield odds
    finally:
        handle.remove()
