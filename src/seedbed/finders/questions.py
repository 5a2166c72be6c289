"""Gradients of questions, held layer by layer so that documents can be multiplied with them.

Each layer is held in the way that `routes` finds cheapest, or whole if a transform is to
change it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seedbed.finders import routes
from seedbed.finders.formed import TILE, Transform, form, inner
from seedbed.finders.gram import LANES, live_tokens, self_products, without_idle
from seedbed.finders.layers import Part
from seedbed.finders.ways import ByTokens, Flat, Formed, Held, Projected, Shapes, Streamed


@dataclass
class Questions:
    """Gradients of `count` questions; `squares` [count] are their squared norms, if asked for."""

    count: int
    layers: dict[str, Held] = field(default_factory=dict)
    _pieces: dict[str, list[list[Flat]]] = field(default_factory=dict)
    _squares: dict[str, Tensor] = field(default_factory=dict)

    def add(self, index: Sequence[int], norms: bool, name: str, parts: tuple[Part, ...]) -> None:
        """Keep the factors of one layer of questions `index`, without tokens that have none."""
        places = self._pieces.setdefault(name, [[] for _ in parts])
        for place, part in zip(places, parts, strict=True):
            live = live_tokens(part)
            kept = Part(tuple(left[live] for left in part.lefts), part.right[live])
            owner = torch.tensor(index, device=live.device)[live.nonzero()[:, 0]]
            place.append(Flat(kept, owner))
        if norms:
            own = self_products(parts)
            self._squares.setdefault(name, own.new_zeros(self.count))[index] = own

    def choose(
        self, tokens: float, room: int, shapes: Mapping[str, Shapes], projection: int, seed: int
    ) -> dict[str, routes.Way]:
        """Hold every layer in the cheapest way; returns layer → way.

        A document has `tokens` tokens on average; formed questions take `room` numbers at most.
        """
        ways: dict[str, routes.Way] = {}
        scratch: Tensor | None = None
        while self._pieces:
            name, places = self._pieces.popitem()
            flats = [_joined(place) for place in places]
            part, count = flats[0].part, self.count
            size = routes.Sizes(
                part.outputs, part.right.shape[-1], len(part.lefts),
                sum(len(flat.owner) for flat in flats), count, len(flats) == 1 and not part.sparse,
            )  # fmt: skip
            way = ways[name] = routes.cheapest(size, tokens, room, projection)
            if scratch is None:
                scratch = part.right.new_empty(2, TILE)
            if way == "formed":
                room -= size.numbers * count
                self.layers[name] = Formed(form([part], shapes[name], count, flats[0].owner))
            elif way == "streamed":
                self.layers[name] = Streamed(flats[0], count)
            elif way == "projected":
                sketch = Projected(name, shapes[name], projection, seed, part.right)
                own = sketch.hold(flats, count)
                self.layers[name] = sketch
                if name in self._squares:
                    self._squares[name] = own
            else:
                self.layers[name] = ByTokens(flats, count, scratch)
        return ways

    def transform(self, change: Transform, shapes: Mapping[str, Shapes], norms: bool) -> None:
        """Form every layer and let `change` replace it; norms become ⟨g, change(g)⟩."""
        while self._pieces:
            name, places = self._pieces.popitem()
            # One part after the other, so that few factors and matrices are there at a time.
            found = [
                form([f.part], shapes[name], self.count, f.owner) for f in map(_joined, places)
            ]
            whole = [
                torch.stack(s).sum(0) if len(s) > 1 else s[0] for s in zip(*found, strict=True)
            ]
            del found
            changed = changed_by(change, name, whole)
            if norms:
                self._squares[name] = inner(whole, changed)
            self.layers[name] = Formed(changed)

    def squares(self) -> Tensor:
        """Squared norms [count] over all layers, float64; needs `norms` before."""
        return torch.stack(list(self._squares.values())).sum(0)

    def times(self, total: Tensor, name: str, parts: tuple[Part, ...]) -> None:
        """Add to `total` [questions, rows] the products of one layer of some documents."""
        total += self.layers[name].products(tuple(without_idle(part) for part in parts))


def changed_by(change: Transform, name: str, gradients: list[Tensor]) -> list[Tensor]:
    """What `change` makes of the gradients; raises ValueError if shapes do not fit."""
    changed = change(name, gradients)
    wanted = [tuple(g.shape[1:]) for g in gradients]
    found = [tuple(c.shape[1:]) for c in changed]
    if found != wanted:
        raise ValueError(f"transform of layer {name!r}: shapes {found}, not {wanted}")
    return changed


def _joined(flats: list[Flat]) -> Flat:
    """All tokens, and empty ones up to a multiple of LANES, which products run much faster on."""
    right = torch.cat([f.part.right for f in flats])
    lefts = [torch.cat(some) for some in zip(*(f.part.lefts for f in flats), strict=True)]
    owner = torch.cat([f.owner for f in flats])
    empty = -len(owner) % LANES

    def longer(x: Tensor) -> Tensor:
        return torch.cat([x, x.new_zeros(empty, *x.shape[1:])])

    return Flat(Part(tuple(longer(left) for left in lefts), longer(right)), longer(owner))
