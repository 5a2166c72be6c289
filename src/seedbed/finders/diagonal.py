"""Diagonal curvature for what has no two dense sides: embeddings, norms, lone biases.

The second moment of each number's document gradients, which for a layer that scales features
is what EK-FAC comes to, and for an embedding EK-FAC without turning the features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seedbed.finders.formed import formed_products
from seedbed.finders.layers import Part


@dataclass
class Diagonal:
    """Means over documents of squared gradients: `tables` [rows, width], `vectors` [n].

    `sizes` cuts the vectors into parameters, each of which has a damping of its own.
    """

    tables: dict[str, Tensor] = field(default_factory=dict)
    vectors: Tensor | None = None
    sizes: tuple[int, ...] = ()

    def add_table(self, name: str, shape: Sequence[int], part: Part) -> None:
        """Add the squared gradients of an embedding, of every row of a batch."""
        if name not in self.tables:
            self.tables[name] = part.right.new_zeros(*shape)
        rows = len(part.right)
        first = torch.arange(rows, device=part.right.device)[:, None] * shape[0]
        # A document that looks a token up twice has one gradient there, the sum.
        numbers = (first + part.lefts[0]).flatten()
        keys, place = torch.unique(numbers, return_inverse=True)
        sums = part.right.new_zeros(len(keys), shape[1])
        sums.index_add_(0, place, part.right.flatten(0, 1))
        self.tables[name].index_add_(0, keys % shape[0], sums.square_())

    def add_vectors(self, vectors: Tensor, sizes: tuple[int, ...]) -> None:
        """Add the squares of [rows, n]."""
        if not sizes:
            return
        squares = vectors.square().sum(0)
        self.vectors = squares if self.vectors is None else self.vectors + squares
        self.sizes = sizes

    def divide(self, documents: int) -> None:
        """Make means of sums."""
        for table in self.tables.values():
            table.div_(documents)
        if self.vectors is not None:
            self.vectors = self.vectors / documents

    def inverses(self, damping: float, relative: bool) -> tuple[dict[str, Tensor], Tensor | None]:
        """1 / (values + λ) of tables and vectors; λ as for blocks, by parameter."""
        tables = {n: inverse(v, damping, relative) for n, v in self.tables.items()}
        if self.vectors is None:
            return tables, None
        cut = torch.split(self.vectors, list(self.sizes))
        return tables, torch.cat([inverse(v, damping, relative) for v in cut])


def inverse(values: Tensor, damping: float, relative: bool) -> Tensor:
    """1 / (values + λ), λ = damping (× their mean if relative); 0 where all is 0."""
    size = damping * float(values.mean()) if relative and values.numel() else damping
    damped = values + (0.0 if math.isnan(size) else size)
    return torch.where(damped > 0, 1 / damped, 0)


class DampedRest:
    """Preconditioned gradients of questions outside of linear layers, for each damping."""

    def __init__(self, rest: Diagonal, count: int, dampings: Sequence[float], relative: bool):
        self.count, self.copies = count, len(dampings)
        self.inverses = [rest.inverses(d, relative) for d in dampings]
        self.tables = {
            n: v.new_zeros(count * self.copies, *v.shape) for n, v in rest.tables.items()
        }
        self.vectors: Tensor | None = None
        if rest.vectors is not None:
            self.vectors = rest.vectors.new_zeros(count * self.copies, len(rest.vectors))

    def add_table(self, index: Sequence[int], name: str, part: Part) -> None:
        """Take in the embedding's gradients of questions `index`."""
        for k, (tables, _) in enumerate(self.inverses):
            for q, ids, given in zip(index, part.lefts[0], part.right, strict=True):
                self.tables[name][k * self.count + q].index_add_(0, ids, given * tables[name][ids])

    def add_vectors(self, index: Sequence[int], vectors: Tensor) -> None:
        """Take in the other gradients of questions `index`, [rows, n]."""
        for k, (_, own) in enumerate(self.inverses):
            if self.vectors is not None and own is not None:
                places = [k * self.count + q for q in index]
                self.vectors[places] = vectors * own

    def times_table(self, total: Tensor, name: str, part: Part) -> None:
        """Add products with documents to `total` [dampings · questions, documents]."""
        total += formed_products(part, [self.tables[name]])

    def times_vectors(self, total: Tensor, vectors: Tensor) -> None:
        """Add products with documents' vectors [rows, n]."""
        if self.vectors is not None:
            total += self.vectors @ vectors.mT
