"""Marks against measured truth: do a finder's scores predict what retraining changed?

Linear datamodelling score (Park et al. 2023, TRAK, section 2): the rank correlation, over
random subsets, of a question's output with the sum of its scores over the documents kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.core.outcomes import InterventionKind, Outcomes
from seedbed.core.seeds import generator

Floats = NDArray[np.float64]
Correlation = Callable[[Floats, Floats], Floats]
RESAMPLES = 500


def pearson(a: Floats, b: Floats) -> Floats:
    """Correlation along the last axis; 0 where one side does not vary (it predicts nothing)."""
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    size = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    # A side that varies by rounding alone does not vary.
    flat = size <= 1e-12 * np.maximum(1.0, np.abs(a).max(-1, initial=0) * a.shape[-1])
    result: Floats = np.where(flat, 0.0, (a * b).sum(-1) / np.where(flat, 1.0, size))
    return result


def spearman(a: Floats, b: Floats) -> Floats:
    """Rank correlation along the last axis, ties at their mean rank; 0 where one is constant."""
    # It takes a second to import, and what lists and shows runs passes by here without ranking.
    from scipy.stats import rankdata

    return pearson(rankdata(a, axis=-1), rankdata(b, axis=-1))


@dataclass(frozen=True)
class Kind:
    """How one kind of intervention is marked."""

    metric: str
    intervention: InterventionKind
    correlation: Correlation


KINDS = (
    Kind("lds", "subset", spearman),
    Kind("group_r", "group", pearson),
    Kind("single_r", "single", pearson),
)


@dataclass(frozen=True)
class Marks:
    """A finder's correlation with the truth by question: `values` [Q] and resampled [B, Q]."""

    values: Floats
    draws: Floats


class Effects:
    """One seed's outcomes of one kind of intervention, ready to mark claims.

    What is correlated over interventions: for subsets the output itself, else its fall against
    training on everything; outputs are means over retrainings.
    """

    def __init__(self, kind: Kind, outcomes: Outcomes, seed: int) -> None:
        rows = outcomes.of(kind.intervention)
        self.kind, self.count = kind, len(rows.names)
        if kind.intervention == "subset":
            self.weights = rows.kept.astype(np.float64)
            self.each = rows.outputs.transpose(1, 2, 0)
        else:
            none = outcomes.of("none")
            self.weights = (none.kept & ~rows.kept).astype(np.float64)
            self.each = (none.outputs - rows.outputs).transpose(1, 2, 0)
        self.truth: Floats = self.each.mean(axis=0)
        rng = generator(seed, "effects", kind.metric)
        self.draws = rng.integers(0, max(1, self.count), size=(RESAMPLES, self.count))

    def mark(self, scores: Floats) -> Marks:
        """Scores [Q, N] against the truth [Q, R]."""
        return self._correlated(scores @ self.weights.T, self.truth)

    def agreement(self) -> Marks:
        """Correlation between two retrainings that differ in their seed alone, mean of pairs."""
        repeats = len(self.each)
        pairs = [(i, j) for i in range(repeats) for j in range(i)]
        found = [self._correlated(self.each[i], self.each[j]) for i, j in pairs]
        values = np.mean([m.values for m in found], axis=0)
        return Marks(values, np.mean([m.draws for m in found], axis=0))

    def ceiling(self, agreement: Floats) -> Floats:
        """The highest correlation that is possible with the mean of the retrainings.

        √ of its reliability, which follows from the agreement of single ones (Spearman 1910,
        Brown 1910): k r / (1 + (k − 1) r).
        """
        k, r = len(self.each), np.clip(agreement, 0.0, 1.0)
        result: Floats = np.sqrt(k * r / (1 + (k - 1) * r))
        return result

    def _correlated(self, a: Floats, b: Floats) -> Marks:
        correlation = self.kind.correlation
        again = [correlation(a[:, draw], b[:, draw]) for draw in self.draws]
        return Marks(correlation(a, b), np.array(again))


def drops(outcomes: Outcomes) -> dict[tuple[str, int], Floats]:
    """(finder, k) → fall of each question's output [Q], nats, without the finder's top k.

    NaN for questions that were not retrained for. Rows of kind `top` are named
    finder/k/question.
    """
    none, rows = outcomes.of("none"), outcomes.of("top")
    place = {q: i for i, q in enumerate(outcomes.questions)}
    found: dict[tuple[str, int], Floats] = {}
    for name, output in zip(rows.names, rows.outputs, strict=True):
        finder, k, question = name.split("/", 2)
        if question not in place:
            continue
        values = found.setdefault((finder, int(k)), np.full(len(place), np.nan))
        q = place[question]
        values[q] = (none.outputs[0, :, q] - output[:, q]).mean()
    return found
