"""Shortcuts: how much of the answers one token of the point tells, the category known.

A boundary along the axes is told by a sign alone, and a subject that learned that sign learned
nothing about regions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.worlds.quadrants.lexicon import Maps, Words
from seedbed.worlds.quadrants.plane import Ints, Plane, points, regions

Floats = NDArray[np.floating[Any]]
ANGLES, SAMPLE = 36, 10_000


@dataclass(frozen=True)
class Shortcut:
    """The best rule on the token at `place`: its accuracy over the plane."""

    place: str
    accuracy: float


def values(plane: Plane, a: Ints, b: Ints) -> dict[str, Ints]:
    """What stands at each sign and digit of the points: 0 or 1 (minus), or the digit."""
    found = {}
    for name, steps in (("x1", a), ("x2", b)):
        found[f"{name}.sign"] = (steps < 0).astype(np.int64)
        for i, unit in enumerate(plane.units):
            place = 10 ** (plane.decimals - i)
            found[f"{name}.{unit}"] = np.abs(steps) // place % 10
    return found


@lru_cache(maxsize=64)
def counts(plane: Plane) -> dict[str, Floats]:
    """For each place the number of points [value, region] over the plane."""
    a, b = points(plane)
    own = regions(plane, a, b)
    return {place: tally(v, own, len(plane.names)) for place, v in values(plane, a, b).items()}


def tally(at: Ints, own: Ints, many: int) -> Floats:
    """How often each value stands with each of `many` outcomes: [10, many]."""
    flat = np.bincount(at * many + own, minlength=10 * many)
    return flat.reshape(10, many).astype(float)


def one_token(plane: Plane, labels: Sequence[str]) -> list[Shortcut]:
    """Each place's best rule for a label map, best first: the commonest label of each value.

    Exact over `points(plane)`, which are all points unless there are more than plane.MOST.
    """
    kinds = sorted(set(labels))
    into = np.array([[label == kind for kind in kinds] for label in labels], dtype=float)
    found = []
    for place, table in counts(plane).items():
        by_label = table @ into
        found.append(Shortcut(place, float(by_label.max(axis=1).sum() / table.sum())))
    return sorted(found, key=lambda s: -s.accuracy)


@dataclass(frozen=True)
class Line:
    """A straight line at `angle` to the x1 axis, `offset` off the origin.

    `labels` are those of its sides: below it, and on or above it.
    """

    angle: float
    offset: float
    labels: tuple[str, str]

    def say(self, plane: Plane, a: Ints, b: Ints) -> list[str]:
        """The label of each point's side."""
        return [self.labels[int(side)] for side in _off(plane, a, b, self.angle) >= self.offset]


def best_line(plane: Plane, labels: Sequence[str]) -> Line:
    """The line and the labels of its sides that are right most often over the plane.

    Of ANGLES directions and as many offsets; the first of several that are as good.
    """
    lines, sides = _sides(plane)
    kinds = sorted(set(labels))
    into = np.array([[label == kind for kind in kinds] for label in labels], dtype=float)
    by_label = sides @ into
    best = int(by_label.max(axis=2).sum(axis=1).argmax())
    below, above = (kinds[k] for k in by_label[best].argmax(axis=1))
    return Line(*lines[best], (below, above))


def _off(plane: Plane, a: Ints, b: Ints, angle: float) -> Floats:
    return np.asarray(b * np.cos(angle) - a * np.sin(angle)) / plane.scale


@lru_cache(maxsize=64)
def _sides(plane: Plane) -> tuple[list[tuple[float, float]], Floats]:
    """Lines, and for each the number of points [side, region]."""
    a, b = points(plane)
    few = slice(None, None, max(1, len(a) // SAMPLE))
    a, b = a[few], b[few]
    own, many = regions(plane, a, b), len(plane.names)
    lines, found = [], []
    for angle in np.arange(ANGLES) * np.pi / ANGLES:
        off = _off(plane, a, b, angle)
        for offset in np.linspace(off.min(), off.max(), ANGLES + 1)[1:-1]:
            lines.append((float(angle), float(offset)))
            above = (off >= offset).astype(np.int64)
            found.append(np.bincount(above * many + own, minlength=2 * many).reshape(2, many))
    return lines, np.array(found, dtype=float)


def check_shortcuts(words: Words, maps: Maps, plane: Plane) -> None:
    """Raise ValueError if one token tells more than `plane.one_token` of a category's answers.

    Drawn maps differ from one another in names of labels only, so one stands for all.
    """
    drawn = maps.drawn(plane)
    pattern = [drawn[i % len(drawn)] for i in range(len(plane.names))]
    seen: dict[tuple[str, ...], str] = {}
    for name, category in words.named.items():
        mine = [category.labels[r] for r in plane.names] if category.labels else pattern
        seen.setdefault(tuple(mine), name)
    for labels, name in seen.items():
        check_shortcut("plane", name, labels, plane)


def check_shortcut(where: str, name: str, labels: Sequence[str], plane: Plane) -> None:
    """Raise ValueError, naming `where`, if one token tells too much of a map of the category."""
    best = one_token(plane, labels)[0]
    if best.accuracy > plane.one_token:
        raise ValueError(
            f"{where}: the token at {best.place} alone tells {best.accuracy:.3f} of the labels of"
            f" '{name}', more than one_token {plane.one_token:g}; take boundary sectors with an"
            " angle such as 0.6 and a label of its own for each region, or raise one_token"
        )
