"""Inner products of gradients from their per-token factors, exactly, by the cheaper of two ways.

⟨Σ_t δ_t⊗a_t, Σ_s δ_s⊗a_s⟩ = Σ_t,s (a_t·a_s)(δ_t·δ_s): "tokens" sums the right side;
"formed" builds the left side's matrices, one layer of a few documents at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seedbed.finders.layers import Part

# Numbers in one temporary: small enough to stay near the processor's cache.
TILE = 2**19
LANES = 16
# Measured costs, in multiply-adds of a large matrix product: one entry of a Gram matrix
# (written, multiplied, added); forming a matrix from few tokens; multiplying it with questions.
ENTRY = 50
FORM = 3.0
NARROW = 2.5


@dataclass
class _Flat:
    """The tokens of questions in a row; `owner` says which question each is of."""

    part: Part
    owner: Tensor


@dataclass
class Questions:
    """Gradients of `count` questions, kept so that documents can be multiplied with them."""

    count: int
    pieces: dict[str, list[list[_Flat]]] = field(default_factory=dict)
    flats: dict[str, list[_Flat]] = field(default_factory=dict)
    formed: dict[str, list[Tensor]] = field(default_factory=dict)
    scratch: Tensor | None = None

    def add(self, index: Sequence[int], name: str, parts: tuple[Part, ...]) -> None:
        """Keep the factors of one layer of questions `index`, without tokens that have none."""
        places = self.pieces.setdefault(name, [[] for _ in parts])
        for place, part in zip(places, parts, strict=True):
            live = _live(part)
            kept = Part(tuple(left[live] for left in part.lefts), part.right[live])
            owner = torch.tensor(index, device=live.device)[live.nonzero()[:, 0]]
            place.append(_Flat(kept, owner))

    def choose(self, tokens: float, room: int) -> dict[str, str]:
        """Decide the way of every layer; returns layer → "tokens" or "formed".

        A document has `tokens` tokens on average; formed questions take `room` numbers at
        most. Multiply-adds per document token: S (in + out + ENTRY) for S question tokens,
        against in · out (FORM + NARROW · questions / tokens).
        """
        ways = {}
        for name, places in self.pieces.items():
            flats = [_joined(place) for place in places]
            part = flats[0].part
            size = part.outputs * part.right.shape[-1]
            gram = len(flats[0].owner) * (part.outputs + part.right.shape[-1] + ENTRY)
            worth = size * (FORM + NARROW * self.count / tokens) < gram
            fits = size * self.count <= room and size <= 64 * TILE
            if worth and fits and len(flats) == 1 and not part.sparse:
                room -= size * self.count
                self.formed[name] = _form(flats[0], self.count)
            else:
                self.flats[name] = flats
            ways[name] = "formed" if name in self.formed else "tokens"
        self.pieces.clear()
        return ways

    def times(self, total: Tensor, name: str, parts: tuple[Part, ...]) -> None:
        """Add to `total` [questions, rows] the products of one layer of some documents."""
        parts = tuple(_dense(part) for part in parts)
        if name in self.formed:
            for left, questions in zip(parts[0].lefts, self.formed[name], strict=True):
                total += _formed_products(left, parts[0].right, questions)
            return
        scratch = self._space(parts[0].right)
        for part in parts:
            for flat in self.flats[name]:
                total.index_add_(0, flat.owner, _token_products(part, flat.part, scratch).mT)

    def _space(self, like: Tensor) -> Tensor:
        if self.scratch is None:
            self.scratch = like.new_empty(2, TILE)
        return self.scratch


def self_products(parts: tuple[Part, ...]) -> Tensor:
    """Squared norm [rows] of one layer's gradients, float64; ways as in `Questions`."""
    rows = len(parts[0].right)
    total = torch.zeros(rows, dtype=torch.float64, device=parts[0].right.device)
    if len(parts) == 1 and _forming_pays(parts[0]):
        for left in parts[0].lefts:
            chunk = max(1, 4 * TILE // (left.shape[-1] * parts[0].right.shape[-1]))
            for i in range(0, rows, chunk):
                formed = torch.bmm(left[i : i + chunk].mT, parts[0].right[i : i + chunk])
                total[i : i + chunk] += formed.square().sum((1, 2))
        return total
    chunk = max(1, TILE // max(p.right.shape[1] for p in parts) ** 2)
    for i in range(0, rows, chunk):
        some = [_cut(p, i, i + chunk) for p in parts]
        for a in some:
            for b in some:
                total[i : i + chunk] += _gram(a, b).sum((1, 2))
    return total


def _forming_pays(part: Part) -> bool:
    size, tokens = part.outputs * part.right.shape[-1], part.right.shape[1]
    gram = tokens * (part.outputs + part.right.shape[-1] + ENTRY)
    return not part.sparse and FORM * size < gram and size <= 64 * TILE


def _cut(part: Part, start: int, end: int) -> Part:
    return Part(tuple(left[start:end] for left in part.lefts), part.right[start:end])


def _live(part: Part) -> Tensor:
    gradients = (part.right,) if part.sparse else part.lefts
    return torch.stack([g.ne(0).any(-1) for g in gradients]).any(0)


def _dense(part: Part) -> Part:
    """Without tokens that have no gradient, where these are many.

    The last block has some at predicted tokens only; then the first token of all rows is bare.
    """
    if part.sparse or any(left[:, :1].any() for left in part.lefts):
        return part
    live = _live(part)
    counts = live.sum(1)
    if not counts.any():
        return part
    rows, columns = live.nonzero(as_tuple=True)
    place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]

    def move(x: Tensor) -> Tensor:
        moved = x.new_zeros(len(x), int(counts.max()), x.shape[-1])
        moved[rows, place] = x[rows, columns]
        return moved

    return Part(tuple(move(left) for left in part.lefts), move(part.right))


def _joined(flats: list[_Flat]) -> _Flat:
    """All tokens, and empty ones up to a multiple of LANES, which products run much faster on."""
    right = torch.cat([f.part.right for f in flats])
    lefts = [torch.cat(some) for some in zip(*(f.part.lefts for f in flats), strict=True)]
    owner = torch.cat([f.owner for f in flats])
    empty = -len(owner) % LANES

    def longer(x: Tensor) -> Tensor:
        return torch.cat([x, x.new_zeros(empty, *x.shape[1:])])

    return _Flat(Part(tuple(longer(left) for left in lefts), longer(right)), longer(owner))


def _form(flat: _Flat, count: int) -> list[Tensor]:
    right = flat.part.right
    formed = []
    for left in flat.part.lefts:
        result = right.new_zeros(count, left.shape[-1] * right.shape[-1])
        for q in range(count):
            mine = flat.owner == q
            result[q] = (left[mine].mT @ right[mine]).flatten()
        formed.append(result)
    return formed


def _formed_products(left: Tensor, right: Tensor, questions: Tensor) -> Tensor:
    """Products [questions, rows] of one weight."""
    chunk = max(1, 4 * TILE // questions.shape[1])
    dots = [
        questions @ torch.bmm(left[i : i + chunk].mT, right[i : i + chunk]).flatten(1).mT
        for i in range(0, len(right), chunk)
    ]
    return torch.cat(dots, 1)


def _token_products(part: Part, flat: Part, scratch: Tensor) -> Tensor:
    """[rows, question tokens], float64: summed over the tokens of each row."""
    rows, tokens = part.right.shape[:2]
    chunk = max(LANES, TILE // max(1, rows * tokens) // LANES * LANES)
    pieces = []
    for i in range(0, len(flat.right), chunk):
        some = _cut(flat, i, i + chunk)
        if part.sparse or some.sparse or scratch[0].numel() < rows * tokens * chunk:
            pieces.append(_gram(part, some).sum(1))
        else:
            pieces.append(_gram_in(part, some, scratch).sum(1))
    return torch.cat(pieces, 1).double() if pieces else part.right.new_zeros(rows, 0).double()


def _gram(a: Part, b: Part) -> Tensor:
    """[rows, tokens of a, tokens of b]; `b` has rows of its own, or is one set for all."""
    left = _left(a.lefts[0], b.lefts[0])
    for more_a, more_b in zip(a.lefts[1:], b.lefts[1:], strict=True):
        left = left + more_a @ more_b.mT
    return (a.right @ b.right.mT).mul_(left)


def _gram_in(a: Part, b: Part, scratch: Tensor) -> Tensor:
    """`_gram` for one set of question tokens, in memory that is used again and again."""
    shape = (a.right.shape[0] * a.right.shape[1], len(b.right))
    right, left = (space[: shape[0] * shape[1]].view(shape) for space in scratch)
    torch.mm(a.right.flatten(0, 1), b.right.mT, out=right)
    torch.mm(a.lefts[0].flatten(0, 1), b.lefts[0].mT, out=left)
    for more_a, more_b in zip(a.lefts[1:], b.lefts[1:], strict=True):
        left.addmm_(more_a.flatten(0, 1), more_b.mT)
    result: Tensor = right.mul_(left).view(*a.right.shape[:2], len(b.right))
    return result


def _left(a: Tensor, b: Tensor) -> Tensor:
    if a.is_floating_point():
        return a @ b.mT if b.is_floating_point() else _pick(a, b)
    if not b.is_floating_point():
        return a[..., :, None] == b[..., None, :]
    return b[:, a].permute(1, 2, 0) if b.ndim == 2 else _pick(b, a).mT


def _pick(values: Tensor, ids: Tensor) -> Tensor:
    """values[.., t, ids[.., s]] as [.., t, s]."""
    if ids.ndim == 1:
        return values[..., ids]
    return values.gather(2, ids[:, None, :].expand(-1, values.shape[1], -1))
