"""Means over seeds whose intervals hold with three seeds too: Student's t over seeds.

A bootstrap over three seeds can reach no farther than the outermost of them and misses one time
in four. Users' part is the bootstrap over sub-environments in its limit, in closed form.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from seedbed.core.units import Units
from seedbed.scoring.intervals import Interval, wilson
from seedbed.scoring.units import nanmean

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
LEVEL = 0.95
LEAST_CAUSES = 5
"""With fewer sub-environments than these nobody knows how they differ; then users are drawn."""


@dataclass(frozen=True)
class Estimate:
    """Quantities C by seed, and what moves them.

    `points` [S, C] are the values by seed (NaN: not defined there). `sums` [K, S, C] hold for each
    of the `causes` K by how much it moves the value of a seed: the influences of its users (Efron
    1982, The jackknife, the bootstrap and other resampling plans, chapter 6), which add up to 0
    within a seed. `units` [C] counts users, episodes or turns over all seeds.
    """

    points: Floats
    causes: tuple[str, ...]
    sums: Floats
    units: NDArray[np.int64]

    def __getitem__(self, column: int) -> "Estimate":
        """One quantity alone."""
        at = slice(column, column + 1)
        return Estimate(self.points[:, at], self.causes, self.sums[..., at], self.units[at])

    def __sub__(self, other: "Estimate") -> "Estimate":
        """Differences, paired by seed and, within it, by cause."""
        causes = tuple(dict.fromkeys([*self.causes, *other.causes]))
        sums = self._placed(causes) - other._placed(causes)
        units = np.minimum(self.units, other.units)
        return Estimate(self.points - other.points, causes, sums, units)

    def _placed(self, causes: tuple[str, ...]) -> Floats:
        place = {cause: i for i, cause in enumerate(causes)}
        wide = np.zeros((len(causes), *self.points.shape))
        wide[[place[c] for c in self.causes]] = self.sums
        return wide

    def intervals(self, low: float = -np.inf, high: float = np.inf) -> list[Interval]:
        """Mean over seeds of each quantity with its 95 % interval, cut to [low, high].

        The half-width is the larger of two: t with S − 1 degrees of freedom times the standard
        error of the seeds' values, which hold all that differs between seeds and users; and t with
        K − 1 times that of the causes alone, which guards against seeds that agree by accident
        and against what sub-environments have in common under all seeds. One seed has the second
        alone. NaN where no seed has a value.
        """
        known = np.isfinite(self.points)
        seeds = known.sum(0)
        value = nanmean(self.points, axis=0)
        half = np.maximum(_by_seeds(self.points, seeds), self._by_causes(known, seeds))
        half = np.where((seeds > 1) | (self.units > 1), half, np.nan)
        ends = np.clip(value - half, low, high), np.clip(value + half, low, high)
        return [
            Interval(float(v), float(a), float(b)) for v, a, b in zip(value, *ends, strict=True)
        ]

    def _by_causes(self, known: Bools, seeds: NDArray[np.int64]) -> Floats:
        moved = np.where(known, self.sums, 0.0).sum(1) / np.maximum(1, seeds)
        # A cause without any user of this kind moves nothing and does not count.
        count = (np.abs(self.sums).sum(1) > 0).sum(0)
        free = np.maximum(count - 1, 1)
        error = np.sqrt((moved**2).sum(0) * np.where(count > 1, count / free, np.nan))
        return np.where(count > 1, _reach(free) * error, 0.0)


def mean_of(
    tables: Sequence[Units], columns: Sequence[str], chosen: Sequence[Bools],
    weights: Sequence[Floats] | None = None,
) -> Estimate:  # fmt: skip
    """Means of columns over the chosen units that have a value; `chosen[s]`, `weights[s]` [U]."""
    values = [t.among(columns).values for t in tables]
    counts = [np.ones(len(v)) for v in values] if weights is None else weights
    above = [v * w[:, None] for v, w in zip(values, counts, strict=True)]
    below = [np.isfinite(v) * w[:, None] for v, w in zip(values, counts, strict=True)]
    return ratio_of(tables, above, below, chosen)


def ratio_of(
    tables: Sequence[Units], above: Sequence[Floats], below: Sequence[Floats],
    chosen: Sequence[Bools],
) -> Estimate:  # fmt: skip
    """Ratios of sums over the chosen units: `above[s]`, `below[s]` [U, C]; NaN counts as 0.

    The influence of a unit on r = Σa / Σb is (a − r b) / Σb.
    """
    points, moves = [], []
    units = np.zeros(above[0].shape[1], dtype=np.int64)
    for a, b, use in zip(above, below, chosen, strict=True):
        known = use[:, None] & np.isfinite(a) & np.isfinite(b)
        top, under = np.where(known, a, 0.0), np.where(known, b, 0.0)
        total = under.sum(0)
        defined = total > 0
        point = np.where(defined, top.sum(0) / np.where(defined, total, 1.0), np.nan)
        share = (top - np.nan_to_num(point) * under) / np.where(defined, total, 1.0)
        points.append(point)
        moves.append(np.where(defined, share, 0.0))
        units += (known & (under != 0)).sum(0)
    return moved(tables, np.stack(points), moves, units)


def statistic_of(
    tables: Sequence[Units], chosen: Sequence[Bools],
    statistic: Callable[[Units], tuple[float, Floats]],
) -> Estimate:  # fmt: skip
    """A statistic by seed: `statistic(table)` gives its value and each unit's influence [U]."""
    found = [statistic(_rows_of(t, use)) for t, use in zip(tables, chosen, strict=True)]
    moves = []
    for (_, influence), use in zip(found, chosen, strict=True):
        whole = np.zeros((len(use), 1))
        whole[use, 0] = influence
        moves.append(whole)
    points = np.array([[value] for value, _ in found])
    return moved(tables, points, moves, np.array([sum(int(use.sum()) for use in chosen)]))


def moved(
    tables: Sequence[Units], points: Floats, moves: Sequence[Floats], units: NDArray[np.int64]
) -> Estimate:
    """The estimate whose units' influences [U, C] are `moves[s]`, added up by cause."""
    names = [_causes(t, s) for s, t in enumerate(tables)]
    causes = tuple(dict.fromkeys(n for each in names for n in each))
    place = {cause: i for i, cause in enumerate(causes)}
    sums = np.zeros((len(causes), *points.shape))
    for s, (each, move) in enumerate(zip(names, moves, strict=True)):
        np.add.at(sums[:, s], [place[n] for n in each], move)
    return Estimate(points, causes, sums, units)


def auroc(scores: Floats, positive: Bools) -> tuple[float, Floats]:
    """(P(a positive's score is above a negative's), ties half; each unit's influence [U]).

    Influences are the structural components of DeLong, DeLong and Clarke-Pearson (1988). NaN and
    zeros where one side has no finite score.
    """
    use = np.isfinite(scores)
    moves = np.zeros(len(scores))
    a, b = scores[use & positive], scores[use & ~positive]
    if not len(a) or not len(b):
        return float("nan"), moves
    order = np.sort(b)
    won = (np.searchsorted(order, a, "left") + np.searchsorted(order, a, "right")) / (2 * len(b))
    order = np.sort(a)
    lost = (np.searchsorted(order, b, "left") + np.searchsorted(order, b, "right")) / (2 * len(a))
    area = float(won.mean())
    moves[use & positive] = (won - area) / len(a)
    moves[use & ~positive] = (1 - lost - area) / len(b)
    return area, moves


def share_interval(estimate: Estimate, people: int) -> list[Interval]:
    """Intervals of shares; where nobody or everybody did it, that of Wilson (1927) on `people`.

    Then nothing varies, and neither seeds nor users could tell how far off it is.
    """
    found = []
    for c, interval in enumerate(estimate.intervals(0.0, 1.0)):
        points = estimate.points[np.isfinite(estimate.points[:, c]), c]
        if len(points) and people and (np.all(points == 0) or np.all(points == 1)):
            ends = wilson(float(points[0]) * people, people)
            found.append(Interval(float(points[0]), *ends))
        else:
            found.append(interval)
    return found


def person(unit: str) -> str:
    """The user of an episode, whatever the attempt."""
    return unit.rpartition("#")[0] or unit


def _by_seeds(points: Floats, seeds: NDArray[np.int64]) -> Floats:
    free = np.maximum(seeds - 1, 1)
    apart = np.where(np.isfinite(points), points - nanmean(points, axis=0), 0.0)
    error = np.sqrt((apart**2).sum(0) / free / np.maximum(1, seeds))
    return np.where(seeds > 1, _reach(free) * error, 0.0)


def _reach(free: NDArray[np.int64]) -> Floats:
    """Student's quantile for these degrees of freedom."""
    return np.array([_quantile(int(n)) for n in free])


@cache
def _quantile(free: int) -> float:
    return float(student.ppf((1 + LEVEL) / 2, free))


def _causes(table: Units, seed: int) -> list[str]:
    if len(set(table.causes)) >= LEAST_CAUSES:
        return list(table.causes)
    # Other seeds have other users of the same number.
    return [f"{seed}:{person(unit)}" for unit in table.units]


def _rows_of(table: Units, use: Bools) -> Units:
    index = np.flatnonzero(use)
    return Units(
        tuple(table.units[i] for i in index), tuple(table.causes[i] for i in index),
        table.columns, table.values[index],
    )  # fmt: skip
