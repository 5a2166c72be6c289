"""Steering: what `steer:` in a file configures, and the edits that it makes of directions.

A direction taken from what a block takes in acts there, never at what the block hands on: each
site's name says which.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from seedbed.core.cells import MEAN, Cell
from seedbed.core.config import Config
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.models.blocks import Site, site_of
from seedbed.models.hooks import LAST, Add, Along, Edit, Positions

Action = Literal["add", "ablate", "amplify"]
Unit = Literal["spread", "norm", "one", "state"]
# The passes of `during`: pass 0 runs the prompt, each later one a token that was written.
PASSES = {"prompt": range(1), "generated": range(1, 2**31), "both": None}


class Steer(Config):
    """One way of steering along directions.

    `add` moves states by `strength` × `unit` towards the directions' positive class (a negative
    strength towards the other): `spread` is how far the means of the two classes stand apart
    along the direction, `norm` the mean length of states at the site, `state` each token's own
    length, `one` 1. `ablate` takes `strength` times the part along the direction out of a state
    (1: all of it), `amplify` adds that much of it. `sites` are cells of the directions (none:
    all). `tokens`: those of each cell's own place, `all`, or each row's `last` one.
    """

    action: Action = "add"
    strength: float = Field(default=1.0, allow_inf_nan=False)
    unit: Unit = "spread"
    sites: tuple[str, ...] = ()
    tokens: Literal["place", "all", "last"] = "last"
    during: Literal["prompt", "generated", "both"] = "both"

    @model_validator(mode="after")
    def _places_stand_in_prompts(self) -> "Steer":
        if self.tokens == "place" and self.during == "generated":
            raise ValueError("tokens: 'place' stands in the prompt, so it cannot be steered"
                             " during 'generated'; take 'last' or 'all'")  # fmt: skip
        return self


def edits_of(
    steer: Steer, directions: Directions, positions: Positions | Mapping[str, Positions] = None
) -> list[Edit]:
    """The edits that steer a batch; none at all at strength 0, which so changes no bit.

    `positions` are the tokens of the places under `tokens: place`, alike for all cells or by the
    name of the place. Raises InputError for a site without a direction, a place without
    positions, and two directions at the same tokens of a stream.
    """
    edits: list[Edit] = []
    taken: dict[Site, str] = {}
    for name in steer.sites or directions.sites:
        row = _row(directions, name)
        cell = Cell.parse(name)
        site = site_of(cell)
        if steer.tokens != "place" and (other := taken.setdefault(site, name)) != name:
            raise InputError(
                f"steer: sites {other} and {name} would both act on {steer.tokens} tokens of"
                f" {site.name}; name one of them"
            )
        vector = torch.as_tensor(directions.vectors[row], dtype=torch.float32)
        if steer.strength:
            at = _tokens(steer, cell, positions)
            unit = unit_of(steer.unit, directions, row)
            edits.append(edit(steer, site, vector, unit, at))
    return edits


def edit(steer: Steer, site: Site, vector: Tensor, unit: float, positions: Positions) -> Edit:
    """The edit of one site along the unit `vector` [width]; `unit` is how long strength 1 is."""
    passes = PASSES[steer.during]
    if steer.action == "add":
        scaled = steer.unit == "state"
        return Add(site, steer.strength * unit * vector, positions, scaled=scaled, passes=passes)
    factor = -steer.strength if steer.action == "ablate" else steer.strength
    return Along(site, vector, factor, positions, passes=passes)


def unit_of(unit: Unit, directions: Directions, row: int) -> float:
    """How far strength 1 moves a state; 1 for `state`, whose edit multiplies by each length."""
    if unit == "spread":
        return float(directions.spread[row])
    return float(directions.norm[row]) if unit == "norm" else 1.0


def _row(directions: Directions, name: str) -> int:
    if name in directions.sites:
        return directions.at(name)
    near = get_close_matches(name, directions.sites, n=1, cutoff=0.3)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"steer: sites: there is no direction at {name!r}{hint}")


def _tokens(steer: Steer, cell: Cell, positions: Positions | Mapping[str, Positions]) -> Positions:
    if steer.tokens == "last":
        return LAST
    if steer.tokens == "all" or cell.place == MEAN:
        return None
    if not isinstance(positions, Mapping):
        if positions is None:
            raise InputError(f"steer: {cell.name}: tokens 'place' needs positions of the place")
        return positions
    if cell.place not in positions:
        known = ", ".join(positions)
        raise InputError(f"steer: {cell.name}: no positions of the place; given: {known}")
    return positions[cell.place]
