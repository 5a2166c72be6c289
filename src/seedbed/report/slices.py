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
from seedbed.scoring.ranking import composition, metric_of, ranked

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
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


def values_by_metric(
    wanted: Mapping[str, Sequence[str]], scores: Floats, truth: Truth
) -> dict[str, dict[str, Floats]]:
    """Every metric of `wanted[hop]` for every question: scores [Q, N] in, [Q] out each.

    NaN where a metric is not defined. Each ranking is made once and serves all metrics.
    """
    result: dict[str, dict[str, Floats]] = {}
    for hop, metrics in wanted.items():
        positive, known = evidence(truth, hop)
        ranked_ = [ranked(*row) for row in zip(scores, positive, known, strict=True)]
        columns = result.setdefault(hop, {})
        shares = None
        for metric in metrics:
            if not metric.startswith("top10:"):
                columns[metric] = np.array([metric_of(metric, hits) for hits in ranked_])
                continue
            label = metric.removeprefix("top10:")
            if shares is None:
                all_evidence = evidence(truth)[0]
                shares = composition(scores, truth.labels, all_evidence, len(truth.names))
            missing = np.full(len(scores), np.nan)
            columns[metric] = (
                shares[:, truth.names.index(label)] if label in truth.names else missing
            )
    return result


def order(scores: Floats, positive: Bools, known: Bools) -> NDArray[np.int64]:
    """Known sites of one question, best first; among equal scores, evidence stands last."""
    sites = np.flatnonzero(known)
    return np.asarray(sites[np.lexsort((positive[sites], -scores[sites]))])


def mean(values: Sequence[Floats]) -> float | None:
    """Mean over seeds of the mean over questions, as in the scores; None if not defined."""
    means = [float(np.nanmean(v)) for v in values if np.isfinite(v).any()]
    return float(np.mean(means)) if means else None
