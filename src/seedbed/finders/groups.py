"""Cells by their distance from the swap, so that pairs with the swap at other items add up.

A series is a run of places that count up, such as item1, item2, …; the rest keep their names.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seedbed.core.cells import Cell
from seedbed.finders.pairs import Sides

Floats = NDArray[np.float64]
BEFORE, SWAPPED, LATER = "before", "swapped", "later"
NEAR = 3
_NUMBERED = re.compile(r"(.*?)(\d+)")


def series(sides: Sequence[Sides]) -> frozenset[str]:
    """The places of the series that swaps happen in; the swapped places alone if unnumbered."""
    stems = {m[1] for s in sides if (m := _NUMBERED.fullmatch(s.swapped))}
    named = {p for s in sides for p in s.clean.places}
    numbered = {p for p in named if (m := _NUMBERED.fullmatch(p)) and m[1] in stems}
    return frozenset(numbered or {s.swapped for s in sides})


def group_of(side: Sides, place: str, listed: frozenset[str]) -> str:
    """`before`, `swapped`, `+1` … `+3`, `later`, or the place's own name if it is in no series."""
    order = side.places
    if place not in order:
        return ""
    here, there = order.index(place), order.index(side.swapped)
    if here < there:
        return BEFORE
    if here == there:
        return SWAPPED
    if place not in listed:
        return place
    between = sum(p in listed for p in order[there + 1 : here + 1])
    return f"+{between}" if between <= NEAR else LATER


def grouped(
    name: str,
    array: Floats,
    cells: Sequence[Cell],
    sides: Sequence[Sides],
    listed: frozenset[str],
    total: Floats,
) -> Iterator[tuple[Cell, Floats]]:
    """(cell whose place is a group, its value [pairs]) of effects [pairs, cells].

    Several cells of a group in one pair add up; of `direct` effects it is what they take from
    the total that adds up. NaN where a pair has none.
    """
    found: dict[Cell, Floats] = {}
    away = total[:, None] - array if name == "direct" else array
    places = dict.fromkeys(cell.place for cell in cells)
    groups = [{place: group_of(side, place, listed) for place in places} for side in sides]
    for c, cell in enumerate(cells):
        for i in range(len(sides)):
            group = groups[i][cell.place]
            if not group or np.isnan(away[i, c]):
                continue
            key = replace(cell, place=group)
            column = found.setdefault(key, np.full(len(sides), np.nan))
            column[i] = away[i, c] + (0.0 if np.isnan(column[i]) else column[i])
    for key, column in found.items():
        yield key, total - column if name == "direct" else column
