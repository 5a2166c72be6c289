"""Inner products of gradients from their per-token factors, exactly, by the cheaper of two ways.

⟨Σ_t δ_t⊗a_t, Σ_s δ_s⊗a_s⟩ = Σ_t,s (a_t·a_s)(δ_t·δ_s): "tokens" sums the right side;
"formed" builds the left side's matrices, one layer of a few documents at a time.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from seedbed.finders.factors import Factors, Part

# Numbers in one temporary: small enough to stay near the processor's cache.
TILE = 2**21
# What writing, multiplying and adding one entry of a Gram matrix costs, in multiply-adds.
ENTRY = 16


@dataclass(frozen=True)
class _Flat:
    """The tokens of all questions in a row; `owner` says which question each is of."""

    part: Part
    owner: Tensor


@dataclass
class Questions:
    """Gradients of questions, kept so that batches of documents can be multiplied with them."""

    count: int
    flats: dict[str, list[_Flat]] = field(default_factory=dict)
    formed: dict[str, Tensor] = field(default_factory=dict)
    vectors: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    @classmethod
    def gather(cls, batches: list[tuple[list[int], Factors]], count: int) -> "Questions":
        """From (question indices, their factors); tokens without gradient are dropped."""
        self = cls(count)
        for name, parts in batches[0][1].weights.items():
            self.flats[name] = [
                _flatten([(i, f.weights[name][k]) for i, f in batches]) for k in range(len(parts))
            ]
        self.vectors = batches[0][1].vectors.new_zeros(count, batches[0][1].vectors.shape[1])
        for index, factors in batches:
            self.vectors[index] = factors.vectors
        return self

    def choose(self, tokens: float, room: int) -> dict[str, str]:
        """Decide the way of every layer; returns layer → "tokens" or "formed".

        A document has `tokens` tokens on average; formed questions take `room` numbers at
        most. Multiply-adds per document token: S (in + out + ENTRY) for S question tokens,
        against in · out (1 + questions / tokens).
        """
        ways = {}
        for name, flats in self.flats.items():
            part = flats[0].part
            size = part.left.shape[-1] * part.right.shape[-1]
            gram = len(flats[0].owner) * (part.left.shape[-1] + part.right.shape[-1] + ENTRY)
            linear = len(flats) == 1 and part.left.is_floating_point()
            worth = linear and size * (1 + self.count / tokens) < gram
            if worth and size * self.count <= room and size <= 16 * TILE:
                room -= size * self.count
                self.formed[name] = _form_flat(flats[0], self.count)
                flats.clear()
            ways[name] = "formed" if name in self.formed else "tokens"
        return ways

    def products(self, documents: Factors, norms: bool) -> tuple[Tensor, Tensor]:
        """(products [questions, rows], squared norms [rows] of the documents or zeros)."""
        total = (self.vectors @ documents.vectors.mT).double()
        square = documents.vectors.double().square().sum(1) * norms
        for name, parts in documents.weights.items():
            if name in self.formed:
                dot, own = _formed_products(parts[0], self.formed[name], norms)
                total += dot.mT
                square += own
            else:
                for part in parts:
                    for flat in self.flats[name]:
                        total.index_add_(0, flat.owner, _token_products(part, flat.part).mT)
                if norms:
                    square += self_products(parts)
        return total, square


def squared_norms(factors: Factors) -> Tensor:
    """Squared norm [rows] of every row's gradient, float64."""
    square = factors.vectors.double().square().sum(1)
    for parts in factors.weights.values():
        square += self_products(parts)
    return square


def self_products(parts: tuple[Part, ...]) -> Tensor:
    """Squared norm [rows] of one layer's gradients, float64; ways as in `Questions`."""
    first = parts[0]
    rows, tokens = first.right.shape[:2]
    size = first.right.shape[-1] * first.left.shape[-1]
    if len(parts) == 1 and first.left.is_floating_point() and _forming_pays(first):
        chunk = max(1, TILE // size)
        pieces = [
            torch.bmm(first.left[i : i + chunk].mT, first.right[i : i + chunk]).square().sum((1, 2))
            for i in range(0, rows, chunk)
        ]
        return torch.cat(pieces).double()
    longest = max(p.right.shape[1] for p in parts)
    chunk = max(1, TILE // longest**2)
    total = torch.zeros(rows, dtype=torch.float64, device=first.right.device)
    for i in range(0, rows, chunk):
        some = [Part(p.left[i : i + chunk], p.right[i : i + chunk]) for p in parts]
        for a in some:
            for b in some:
                total[i : i + chunk] += _gram(a, b).sum((1, 2)).double()
    return total


def _forming_pays(part: Part) -> bool:
    inner, outer, tokens = part.right.shape[-1], part.left.shape[-1], part.right.shape[1]
    return inner * outer < tokens * (inner + outer + ENTRY) and inner * outer <= 16 * TILE


def _flatten(pieces: list[tuple[list[int], Part]]) -> _Flat:
    lefts, rights, owners = [], [], []
    for index, part in pieces:
        gradient = part.left if part.left.is_floating_point() else part.right
        live = gradient.ne(0).any(-1)
        lefts.append(part.left[live])
        rights.append(part.right[live])
        owner = torch.tensor(index, device=live.device)
        owners.append(owner[live.nonzero()[:, 0]])
    return _Flat(Part(torch.cat(lefts), torch.cat(rights)), torch.cat(owners))


def _form_flat(flat: _Flat, count: int) -> Tensor:
    left, right = flat.part.left, flat.part.right
    result = right.new_zeros(count, left.shape[-1] * right.shape[-1])
    for q in range(count):
        mine = flat.owner == q
        result[q] = (left[mine].mT @ right[mine]).flatten()
    return result


def _formed_products(part: Part, questions: Tensor, norms: bool) -> tuple[Tensor, Tensor]:
    rows = len(part.right)
    chunk = max(1, TILE // questions.shape[1])
    dots, squares = [], []
    for i in range(0, rows, chunk):
        formed = torch.bmm(part.left[i : i + chunk].mT, part.right[i : i + chunk]).flatten(1)
        dots.append(formed @ questions.mT)
        squares.append(formed.square().sum(1) if norms else formed.new_zeros(len(formed)))
    return torch.cat(dots).double(), torch.cat(squares).double()


def _token_products(part: Part, flat: Part) -> Tensor:
    """[rows, question tokens]: summed over the tokens of each row."""
    rows, tokens = part.right.shape[:2]
    chunk = max(1, TILE // max(1, rows * tokens))
    pieces = [
        _gram(part, Part(flat.left[i : i + chunk], flat.right[i : i + chunk])).sum(1)
        for i in range(0, len(flat.right), chunk)
    ]
    return torch.cat(pieces, 1).double() if pieces else part.right.new_zeros(rows, 0).double()


def _gram(a: Part, b: Part) -> Tensor:
    """[rows, tokens of a, tokens of b]; `b` has rows of its own, or is one set for all."""
    return (a.right @ b.right.mT).mul_(_left(a.left, b.left))


def _left(a: Tensor, b: Tensor) -> Tensor:
    if a.is_floating_point():
        return a @ b.mT if b.is_floating_point() else _pick(a, b)
    if not b.is_floating_point():
        return a[..., :, None] == b[..., None, :]
    if b.ndim == 2:
        return b[:, a].permute(1, 2, 0)
    return _pick(b, a).mT


def _pick(values: Tensor, ids: Tensor) -> Tensor:
    """values[.., t, ids[.., s]] as [.., t, s]."""
    if ids.ndim == 1:
        return values[..., ids]
    return values.gather(2, ids[:, None, :].expand(-1, values.shape[1], -1))
