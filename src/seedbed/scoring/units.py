"""Intervals for tables of units over seeds: means, and ratios of means, never means of ratios.

A unit whose denominator is near zero would rule a mean of ratios; a ratio of means has none.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seedbed.core.seeds import generator
from seedbed.core.units import Units
from seedbed.scoring.intervals import Interval

Floats = NDArray[np.float64]
RESAMPLES = 2000
QUANTILES = (0.025, 0.975)


class Resampled:
    """Resamples of one table under several seeds: seeds are drawn and, within each, causes.

    All columns share the draws, so that they can be compared. Where all units of a table have
    one cause, units are drawn: nothing else within that seed can vary. Tables of another `part`
    of the same subjects share the draws of seeds alone.
    """

    def __init__(self, tables: Sequence[Units], resamples: int = RESAMPLES, part: str = "") -> None:
        self.tables = tables
        self.columns = tables[0].columns
        if any(t.columns != self.columns for t in tables):
            raise ValueError("the tables of several seeds must have the same columns")
        rng = generator(0, "units")
        seeds = len(tables)
        self.chosen = rng.integers(0, seeds, size=(resamples, seeds))
        self.codes = [_codes(t) for t in tables]
        rng = generator(0, "units", part) if part else rng
        self.weights = [[_draw(rng, code, resamples) for code in self.codes] for _ in range(seeds)]

    def means(self) -> list[Interval]:
        """Mean over seeds of each column's mean over the units that have a value."""
        return self._intervals([np.isfinite(t.values).astype(np.float64) for t in self.tables])

    def ratios(self, base: str) -> list[Interval]:
        """Mean over seeds of: a column's mean divided by the mean of column `base`.

        Both means are over the units in which the column has a value.
        """
        return self._intervals(
            [np.where(np.isfinite(t.values), t.column(base)[:, None], 0.0) for t in self.tables]
        )

    def less(self, other: "Resampled", column: str) -> Interval:
        """Mean over seeds of a column's mean minus that of the same column of `other`.

        Both have tables of the same seeds; each mean is over the units that have a value.
        """
        sides = []
        for side in (self, other):
            known = [np.isfinite(t.values).astype(np.float64) for t in side.tables]
            points, draws = side._resampled(known)
            place = side.columns.index(column)
            sides.append((points[:, place], draws[..., place]))
        (a, b), (c, d) = sides
        return over_seeds((a - c)[:, None], (b - d)[..., None])[0]

    def by_seed(self, columns: Sequence[int]) -> tuple[Floats, Floats]:
        """Means of the columns at these places, by seed [S, C] and by resample and slot [B, S, C].

        Slot s of resample b is filled by the seed `chosen[b, s]`. For intervals of what is made
        of several columns; see `over_seeds`.
        """
        index = list(columns)
        above = [t.values[:, index] for t in self.tables]
        return self._ratios(above, [np.isfinite(a).astype(np.float64) for a in above])

    def _intervals(self, below: Sequence[Floats]) -> list[Interval]:
        points, slots = self._resampled(below)
        return over_seeds(points, slots)

    def _resampled(self, below: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Columns' ratios by seed [S, C], and by resample and drawn seed [B, S, C]."""
        return self._ratios([t.values for t in self.tables], below)

    def _ratios(self, values: Sequence[Floats], below: Sequence[Floats]) -> tuple[Floats, Floats]:
        above = [np.where(np.isfinite(v), v, 0.0) for v in values]
        points = np.stack([_ratio(a.sum(0), b.sum(0)) for a, b in zip(above, below, strict=True)])
        slots = np.full((*self.chosen.shape, points.shape[1]), np.nan)
        for slot in range(self.chosen.shape[1]):
            for s, (a, b) in enumerate(zip(above, below, strict=True)):
                use = self.chosen[:, slot] == s
                weights = self.weights[slot][s][use]
                sums = [weights @ _by_cause(self.codes[s], x) for x in (a, b)]
                slots[use, slot] = _ratio(*sums)
        return points, slots


def over_seeds(points: Floats, slots: Floats) -> list[Interval]:
    """Mean over seeds of each column of `points` [S, C], with the 95 % interval of the means over
    `slots` [B, S, C]; NaN where a value or every draw is not defined.
    """
    values, draws = nanmean(points, axis=0), nanmean(slots, axis=1)
    kept = np.isfinite(draws)
    whole = kept.all(axis=0)
    ends = np.full((2, len(values)), np.nan)
    if len(draws):
        ends[:, whole] = np.quantile(draws[:, whole], QUANTILES, axis=0)
    for c in np.flatnonzero(~whole & kept.any(axis=0)):
        ends[:, c] = np.quantile(draws[kept[:, c], c], QUANTILES)
    ends[:, ~np.isfinite(values)] = np.nan
    values = np.where(np.isfinite(ends[0]), values, np.nan)
    return [Interval(float(v), float(a), float(b)) for v, a, b in zip(values, *ends, strict=True)]


def nanmean(values: Floats, axis: int, weights: Floats | None = None) -> Floats:
    """Mean of the values that are finite, weighted; NaN where there are none (or no weight)."""
    kept = np.isfinite(values)
    if weights is None and kept.all():
        # An empty mean has no value either.
        return values.mean(axis) if values.shape[axis] else np.full(values.sum(axis).shape, np.nan)
    share = kept if weights is None else kept * weights
    above = (np.where(kept, values, 0) * share).sum(axis)
    return _ratio(above, share.sum(axis).astype(np.float64))


def _codes(table: Units) -> NDArray[np.intp]:
    codes = np.unique(np.array(table.causes), return_inverse=True)[1]
    alone = len(codes) > 1 and not codes.any()
    return np.arange(len(codes)) if alone else codes


def _draw(rng: np.random.Generator, code: NDArray[np.intp], resamples: int) -> NDArray[np.int64]:
    size = int(code.max()) + 1 if len(code) else 0
    if not size:
        return np.zeros((resamples, 0), dtype=np.int64)
    return rng.multinomial(size, np.full(size, 1 / size), size=resamples)


def _by_cause(code: NDArray[np.intp], values: Floats) -> Floats:
    sums = np.zeros((int(code.max()) + 1 if len(code) else 0, values.shape[1]))
    np.add.at(sums, code, values)
    return sums


def _ratio(above: Floats, below: Floats) -> Floats:
    out: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)
    return out
