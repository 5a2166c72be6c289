"""What stands behind a number: which questions and which documents a slice speaks of.

Every value is recomputed from the claim and the truth, with the metrics of scoring.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.sites import Truth
from seedbed.scoring.ranking import metric_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
TOP = 10
_HOP = re.compile(r"hop(=|>=)(\d+)$")


@dataclass(frozen=True)
class Slice:
    """A slice name taken apart: conditions on the question and one on the evidence's hop."""

    name: str
    correct: bool
    wanted: tuple[tuple[str, str], ...]
    hop: str

    @classmethod
    def parse(cls, name: str) -> "Slice":
        """Read `all`, `correct`, `depth=2`, `hop>=1` or several joined by commas."""
        correct, hop, wanted = False, "", []
        for part in name.split(","):
            if part == "correct":
                correct = True
            elif _HOP.match(part):
                hop = part
            elif part != "all":
                key, equals, value = part.partition("=")
                if not equals:
                    raise InputError(f"slice '{name}': '{part}' is not a condition such as depth=1")
                wanted.append((key, value))
        return cls(name, correct, tuple(wanted), hop)

    def covers(self, question: Question, correct: bool) -> bool:
        """Whether the slice speaks of this question."""
        if self.correct and not correct:
            return False
        found = {"split": question.split, **question.slices}
        return all(found.get(key, "") == value for key, value in self.wanted)


def evidence(truth: Truth, hop: str = "") -> tuple[Bools, Bools]:
    """(positive, known), each [Q, N]: evidence at `hop` only, or all of it for "".

    Sites whose truth is NaN are not known; evidence at other hops is left out as well.
    """
    positive = np.asarray(truth.values == 1)
    known = np.asarray(np.isfinite(truth.values))
    found = _HOP.match(hop)
    if found is None:
        return positive, known
    bound, beyond = int(found[2]), found[1] == ">="
    here = np.zeros(len(truth.names), dtype=bool)
    for index, name in enumerate(truth.names):
        role, colon, number = name.partition(":")
        if role == "evidence" and colon and number.isdigit():
            here[index] = int(number) >= bound if beyond else int(number) == bound
    at_hop = here[truth.labels]
    return positive & at_hop, known & (at_hop | ~positive)


def orders(scores: Floats, truth: Truth) -> Ints:
    """Sites of every question, best first, [Q, N]; among equal scores evidence stands last."""
    rows = zip(scores, evidence(truth)[0], strict=True)
    found = [np.lexsort((hit, -score)) for score, hit in rows]
    return np.array(found, dtype=np.int64).reshape(scores.shape)


def values_by_metric(
    wanted: Mapping[str, Sequence[str]], ranking: Ints, truth: Truth
) -> dict[str, dict[str, Floats]]:
    """Every metric of `wanted[hop]` for every question: `orders` [Q, N] in, [Q] out each.

    NaN where a metric is not defined. One order serves all hops: leaving sites out of it
    moves no other, since among equal scores every kind of evidence stands last.
    """
    result: dict[str, dict[str, Floats]] = {}
    for hop, metrics in wanted.items():
        positive, known = evidence(truth, hop)
        hits = [p[o][k[o]] for p, k, o in zip(positive, known, ranking, strict=True)]
        result[hop] = {
            metric: _shares(metric, ranking, truth)
            if metric.startswith("top10:")
            else np.array([metric_of(metric, row) for row in hits], dtype=float)
            for metric in metrics
        }
    return result


def _shares(metric: str, ranking: Ints, truth: Truth) -> Floats:
    label = metric.removeprefix("top10:")
    if label not in truth.names:
        return np.full(len(ranking), np.nan)
    top = np.take_along_axis(truth.labels, ranking[:, :TOP], axis=1)
    return np.asarray((top == truth.names.index(label)).mean(axis=1), dtype=float)


def mean(values: Sequence[Floats]) -> float | None:
    """Mean over seeds of the mean over questions, as in the scores; None if not defined."""
    means = [float(np.nanmean(v)) for v in values if np.isfinite(v).any()]
    return float(np.mean(means)) if means else None
