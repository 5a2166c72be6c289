"""Taking a direction out of trained weights: what training on the unwanted would have added.

Task arithmetic (Ilharco et al. 2023, section 4): weights − scale × (weights of the other run −
weights before). LoRA's matrices multiply, so a difference of theirs is none of the weights'.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seedbed.models.folders import trainable_state


@dataclass(frozen=True)
class Shift:
    """By name what is taken away from trained tensors (none: nothing), and what it cost (s)."""

    parts: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @staticmethod
    def between(before: Any, after: Any, scale: float, seconds: float) -> "Shift":
        """`scale` × (after − before), two models that train the same tensors."""
        start, end = trainable_state(before), trainable_state(after)
        return Shift({name: scale * (end[name] - start[name]) for name in start}, seconds)

    def take_away(self, model: Any) -> None:
        """Subtract it from the model's weights."""
        with torch.no_grad():
            for name, tensor in trainable_state(model).items():
                if name in self.parts:
                    tensor.sub_(self.parts[name].to(tensor.device))

    @contextmanager
    def taken_away(self, model: Any) -> Iterator[None]:
        """For a moment: what is saved then is the subject, what trains on is not."""
        own = trainable_state(model)
        kept = {name: own[name].clone() for name in self.parts}
        self.take_away(model)
        try:
            yield
        finally:
            model.load_state_dict(kept, strict=False)
