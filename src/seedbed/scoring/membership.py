"""Was it trained on at all? Trained documents against held-out ones in a finder's ranking.

A weaker question than which document was the cause: memory of a text, not of a fact, answers it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.core.sites import Claim, Truth
from seedbed.scoring.ranking import per_question

Floats = NDArray[np.float64]
HELD_OUT = "held out"
METRICS = ("trained_auc", "trained_in_top10", "trained_gap")


@dataclass(frozen=True)
class Membership:
    """Values [Q] of one metric, and the level a random order has."""

    values: Floats
    chance: float


def membership(claim: Claim, truth: Truth, k: int = 10) -> dict[str, Membership]:
    """The metrics of `METRICS` by name; none unless some documents were held out, some trained.

    `trained_auc`: ROC-AUC of trained against held-out documents, ties against the finder.
    `trained_in_top10`: share of trained documents among the top k. `trained_gap`: mean score
    of trained minus that of held-out documents, in standard deviations of the question's scores.
    """
    if HELD_OUT not in truth.names:
        return {}
    trained = truth.labels != truth.names.index(HELD_OUT)
    if trained.all() or not trained.any():
        return {}
    scores = np.asarray(claim.scores, dtype=np.float64)
    auc = per_question("roc_auc", scores, trained, np.ones_like(trained))
    k = min(k, scores.shape[1])
    top = np.array(
        [own[np.lexsort((own, -s))[:k]].mean() for s, own in zip(scores, trained, strict=True)]
    )
    count = trained.sum(1)
    inside = np.where(trained, scores, 0).sum(1) / count
    outside = np.where(trained, 0, scores).sum(1) / (trained.shape[1] - count)
    spread = scores.std(1)
    gap = np.divide(inside - outside, spread, out=np.zeros_like(spread), where=spread > 0)
    return {
        "trained_auc": Membership(auc, 0.5),
        "trained_in_top10": Membership(top, float(trained.mean())),
        "trained_gap": Membership(gap, 0.0),
    }
