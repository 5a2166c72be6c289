"""Intervals: a bootstrap over seeds and, within a seed, over causes.

Questions about one cause rise and fall together, so whole causes are drawn, never questions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.core.seeds import generator

Floats = NDArray[np.float64]


def wilson(successes: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); (nan, nan) for n = 0."""
    if n == 0:
        return float("nan"), float("nan")
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Interval:
    """Mean over seeds of the mean over questions, with a 95 % interval (NaN if undefined)."""

    value: float
    low: float
    high: float


class Bootstrap:
    """One set of resamples shared by every row of a study, so that rows compare fairly.

    `clusters[s][q]` names the cause of question q under seed s.
    """

    def __init__(self, clusters: Sequence[Sequence[str]], resamples: int = 2000) -> None:
        self.codes = [np.unique(np.array(c), return_inverse=True)[1] for c in clusters]
        rng = generator(0, "bootstrap")
        seeds = len(self.codes)
        self.chosen = rng.integers(0, seeds, size=(resamples, seeds))
        sizes = [int(code.max()) + 1 if len(code) else 0 for code in self.codes]
        # Each slot of a resample needs draws of its own: one seed may be chosen twice.
        self.weights = [
            [rng.multinomial(n, np.full(n, 1 / n), size=resamples) for n in sizes]
            for _ in range(seeds)
        ]

    def interval(
        self,
        values: Sequence[Floats],
        draws: Sequence[Floats] | None = None,
        of_mean: Callable[[Floats], Floats] = lambda mean: mean,
    ) -> Interval:
        """`values[s][q]`, NaN = not defined for that question, which is then left out.

        `draws[s][b, q]` are the values of resample b where these vary by themselves too (a
        correlation over resampled subsets). `of_mean` turns a seed's mean into what is reported.
        """
        means = [
            float(of_mean(np.array(np.nanmean(v)))) if np.isfinite(v).any() else float("nan")
            for v in values
        ]
        if not np.isfinite(means).any():
            return Interval(float("nan"), float("nan"), float("nan"))
        slots = np.full(self.chosen.shape, np.nan)
        for slot in range(self.chosen.shape[1]):
            for s, v in enumerate(values if draws is None else draws):
                use = self.chosen[:, slot] == s
                # A seed that fills two slots takes other draws in each.
                own = v if draws is None else np.roll(v, slot, axis=0)
                slots[use, slot] = of_mean(self._means(slot, s, own)[use])
        kept = np.isfinite(slots)
        totals = np.where(kept, slots, 0).sum(axis=1)
        counts = kept.sum(axis=1)
        draws = totals[counts > 0] / counts[counts > 0]
        low, high = np.quantile(draws, [0.025, 0.975])
        return Interval(float(np.nanmean(means)), float(low), float(high))

    def _means(self, slot: int, s: int, values: Floats) -> Floats:
        defined = np.isfinite(values)
        code, weights = self.codes[s], self.weights[slot][s]
        filled = np.where(defined, values, 0)
        if values.ndim == 2:
            by_question = weights[:, code]
            n, sums = (by_question * defined).sum(axis=1), (by_question * filled).sum(axis=1)
        else:
            size = weights.shape[1]
            n = weights @ np.bincount(code, weights=defined.astype(float), minlength=size)
            sums = weights @ np.bincount(code, weights=filled, minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(n > 0, sums / n, np.nan)
