"""One layer of all questions, held in one of the ways that `routes` chooses among."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seedbed.core.seeds import derive
from seedbed.finders.formed import TILE, form, formed_products
from seedbed.finders.gram import self_products, token_products
from seedbed.finders.layers import Part

Shapes = Sequence[tuple[int, ...]]


@dataclass
class Flat:
    """The tokens of questions in a row; `owner` says which question each is of."""

    part: Part
    owner: Tensor


class Held(ABC):
    """A layer of the questions, to be multiplied with the same layer of documents."""

    @abstractmethod
    def products(self, parts: tuple[Part, ...]) -> Tensor:
        """[questions, rows]."""

    def squares(self, parts: tuple[Part, ...]) -> Tensor:
        """Squared norms [rows] of the documents, float64."""
        return self_products(parts)


class ByTokens(Held):
    """Factors of every token; products of Gram matrices."""

    def __init__(self, flats: list[Flat], count: int, scratch: Tensor) -> None:
        self.parts, self.scratch = [flat.part for flat in flats], scratch
        self.owners = [_owners(flat, count) for flat in flats]

    def products(self, parts: tuple[Part, ...]) -> Tensor:
        """[questions, rows]."""
        total: Tensor | float = 0.0
        for part in parts:
            for flat, owners in zip(self.parts, self.owners, strict=True):
                total = total + owners @ token_products(part, flat, self.scratch).mT
        assert isinstance(total, Tensor)
        return total


class Formed(Held):
    """Whole matrices [questions, out, in], multiplied with formed documents."""

    def __init__(self, matrices: list[Tensor]) -> None:
        self.matrices = matrices

    def products(self, parts: tuple[Part, ...]) -> Tensor:
        """[questions, rows]."""
        return torch.stack([formed_products(part, self.matrices) for part in parts]).sum(0)


class Streamed(Held):
    """Factors of every token, multiplied with formed documents, which come and go."""

    def __init__(self, flat: Flat, count: int) -> None:
        self.part, self.owners = flat.part, _owners(flat, count)

    def products(self, parts: tuple[Part, ...]) -> Tensor:
        """[questions, rows]."""
        (part,) = parts
        right, rows = self.part.right, len(part.right)
        total = right.new_zeros(len(right), rows)
        for left, own in zip(part.lefts, self.part.lefts, strict=True):
            chunk = max(1, TILE // (left.shape[-1] * max(right.shape)))
            for i in range(0, rows, chunk):
                formed = torch.bmm(left[i : i + chunk].mT, part.right[i : i + chunk])
                along = formed @ right.mT
                total[:, i : i + chunk] += (along * own.mT).sum(1).mT
        return self.owners @ total


class Projected(Held):
    """Sketches Rₒᵀ G Rᵢ with random Rₒ, Rᵢ of `size` columns: products are kept on average.

    Entries are drawn from N(0, 1 / size) under named seeds, so ⟨sketch, sketch⟩ has the mean
    ⟨G, G'⟩ (Johnson and Lindenstrauss; Kronecker form as in LoGra, Choe et al. 2024, sec. 3).
    """

    def __init__(self, name: str, shapes: Shapes, size: int, seed: int, like: Tensor) -> None:
        self.lefts = [
            _random(shape[0], size, derive(seed, "projection", name, i), like)
            for i, shape in enumerate(shapes)
        ]
        self.right = _random(shapes[0][1], size, derive(seed, "projection", name, "in"), like)
        self.sketches = like.new_zeros(0)

    def hold(self, flats: list[Flat], count: int) -> Tensor:
        """Take the questions in; returns the squared norms [count] of their sketches."""
        shapes = [(self.right.shape[1],) * 2] * len(self.lefts)
        found = [form([self._small(f.part)], shapes, count, f.owner) for f in flats]
        whole = [torch.cat([g.flatten(1) for g in gradients], 1) for gradients in found]
        self.sketches = torch.stack(whole).sum(0)
        return self.sketches.double().square().sum(1)

    def products(self, parts: tuple[Part, ...]) -> Tensor:
        """[questions, rows]."""
        return self.sketches @ self._sketch(parts).mT

    def squares(self, parts: tuple[Part, ...]) -> Tensor:
        """Squared norms [rows] of the documents' sketches, float64."""
        return self._sketch(parts).double().square().sum(1)

    def _sketch(self, parts: tuple[Part, ...]) -> Tensor:
        """[rows, numbers] of documents."""
        small = [self._small(part) for part in parts]
        each = [
            torch.cat([torch.bmm(left.mT, p.right).flatten(1) for left in p.lefts], 1)
            for p in small
        ]
        return torch.stack(each).sum(0)

    def _small(self, part: Part) -> Part:
        right = part.right @ self.right
        if part.sparse:
            return Part((self.lefts[0][part.lefts[0]],), right)
        lefts = zip(part.lefts, self.lefts, strict=True)
        return Part(tuple(left @ own for left, own in lefts), right)


def _random(rows: int, size: int, seed: int, like: Tensor) -> Tensor:
    own = torch.Generator().manual_seed(seed)
    drawn: Tensor = torch.randn(rows, size, generator=own) / size**0.5
    return drawn.to(like)


def _owners(flat: Flat, count: int) -> Tensor:
    """[questions, tokens]: 1 where a token is of a question."""
    result = flat.part.right.new_zeros(count, len(flat.owner))
    result[flat.owner, torch.arange(len(flat.owner), device=result.device)] = 1
    return result
