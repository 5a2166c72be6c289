"""Random projections of gradients from their per-token factors; no gradient is ever formed.

Each weight has a Kronecker product of two small sign matrices (as LoGra has: Choe et al. 2024,
arXiv 2405.13954, section 3.1); projections of all weights are summed, so that inner products
are unbiased estimates of those of whole gradients.
"""

import math

import torch
from torch import Tensor

from seedbed.core.seeds import generator
from seedbed.finders.factors import Capture
from seedbed.finders.layers import Part
from seedbed.models.tokens import Batch


class Projector:
    """Projects gradients of all readable weights, biases and norms to `size` numbers.

    `stream` names the seed stream; entries are ±1 / √size overall, the same on every machine.
    """

    def __init__(self, capture: Capture, size: int, seed: int, *stream: str | int) -> None:
        self.capture, self.seed, self.stream = capture, seed, stream
        self.left = math.isqrt(size)
        self.right = size // self.left
        self._signs: dict[tuple[str, str], Tensor] = {}

    @property
    def size(self) -> int:
        """Numbers that come out: the nearest product of two sides."""
        return self.left * self.right

    def read(self, batch: Batch) -> Tensor:
        """Projected gradients of each row of `batch`, [rows, size]."""
        total = torch.zeros(len(batch.ids), self.size, device=batch.ids.device)

        def take(name: str, parts: tuple[Part, ...]) -> None:
            for i, weight in enumerate(self.capture.layers[name]):
                out, width = weight.shape
                left = self.signs(weight.name, "out", out, self.left)
                right = self.signs(weight.name, "in", width, self.right)
                for part in parts:
                    given = part.lefts[i]
                    turned = left[given] if part.sparse else given @ left
                    total.add_(torch.bmm(turned.mT, part.right @ right).flatten(1))

        vectors = self.capture.read(batch, take)
        start = 0
        for weight in self.capture.layers[""]:
            end = start + math.prod(weight.shape)
            total += vectors[:, start:end] @ self.signs(weight.name, "", end - start, self.size)
            start = end
        return total

    def signs(self, weight: str, side: str, rows: int, columns: int) -> Tensor:
        """±1 / √columns [rows, columns], drawn from a stream of their own."""
        key = (weight, side)
        if key not in self._signs:
            rng = generator(self.seed, *self.stream, weight, side)
            drawn = rng.integers(0, 2, (rows, columns), dtype="int8") * 2 - 1
            device = next(iter(self.capture.trainable.values())).device
            self._signs[key] = torch.tensor(drawn / math.sqrt(columns), device=device).float()
        return self._signs[key]
