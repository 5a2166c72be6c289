"""Ranking metrics with ties broken against the finder, and their exact chance levels.

Sites of unknown truth are left out of a question's ranking, not counted as misses.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scores = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

METRICS = ("average_precision", "r_precision", "recall@10", "mrr", "roc_auc")


def ranked(scores: Scores, positive: Bools, known: Bools) -> Bools:
    """Hits in rank order for one question: arrays [N] in, [known.sum()] out.

    Among equal scores negatives stand first, so a constant score earns nothing.
    """
    score, hit = scores[known], positive[known]
    return hit[np.lexsort((hit, -score))]


def metric_of(metric: str, hits: Bools) -> float:
    """One metric of a ranking given as hits in rank order; NaN where it is not defined.

    Without a positive no metric is defined; `roc_auc` also needs a negative.
    """
    places = np.flatnonzero(hits)
    positives, total = len(places), len(hits)
    if positives == 0:
        return float("nan")
    if metric == "average_precision":
        return float(np.mean(np.arange(1, positives + 1) / (places + 1)))
    if metric == "r_precision":
        return float(hits[:positives].mean())
    if metric == "mrr":
        return float(1.0 / (places[0] + 1))
    if metric.startswith("recall@"):
        return float(hits[: int(metric.removeprefix("recall@"))].sum() / positives)
    if metric == "roc_auc":
        if positives == total:
            return float("nan")
        negatives_above = places - np.arange(positives)
        return float(1.0 - negatives_above.mean() / (total - positives))
    raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")


def per_question(metric: str, scores: Scores, positive: Bools, known: Bools) -> Floats:
    """The metric for every question: arrays [Q, N] in, [Q] out (NaN where not defined)."""
    rows = zip(scores, positive, known, strict=True)
    return np.array([metric_of(metric, ranked(*row)) for row in rows], dtype=float)


def chance(metric: str, total: int, positives: int) -> float:
    """Expected value of the metric under a uniformly random order of `total` sites.

    Average precision: Bestgen, "Exact expected average precision of the random baseline"
    (2015), E = 1/N · Σ_k [ (R-1)/(N-1) · (k-1)/k + 1/k ]. MRR: the first of R positives
    stands at k with probability C(N-k, R-1) / C(N, R).
    """
    if positives == 0 or (metric == "roc_auc" and positives == total):
        return float("nan")
    if metric == "average_precision":
        k = np.arange(1, total + 1)
        share = (positives - 1) / (total - 1) if total > 1 else 0.0
        return float(np.mean(share * (k - 1) / k + 1 / k))
    if metric == "r_precision":
        return positives / total
    if metric == "mrr":
        return _chance_mrr(total, positives)
    if metric.startswith("recall@"):
        return min(1.0, int(metric.removeprefix("recall@")) / total)
    if metric == "roc_auc":
        return 0.5
    raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")


def _chance_mrr(total: int, positives: int) -> float:
    # By the recurrence P(k)/P(k-1) = (N-k-R+2)/(N-k+1); the binomials themselves are huge.
    probability = value = positives / total
    for k in range(2, total - positives + 2):
        probability *= (total - k - positives + 2) / (total - k + 1)
        value += probability / k
    return value


def composition(
    scores: Scores, labels: NDArray[np.int16], positive: Bools, count: int, k: int = 10
) -> Floats:
    """Share of each label among the top k sites: [Q, N] in, [Q, count] out."""
    k = min(k, scores.shape[1])
    shares = np.zeros((len(scores), count))
    for q, (score, label, hit) in enumerate(zip(scores, labels, positive, strict=True)):
        top = label[np.lexsort((hit, -score))[:k]]
        shares[q] = np.bincount(top, minlength=count) / k
    return shares
