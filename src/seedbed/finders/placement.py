"""The area under the ROC curve, question by question.

A question's placement value is the share of the other class that it stands on the right side
of; the mean of all of them is the area, and scaled to influence values they have its spread.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def placements(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Placement values [n]: the share of the other class below (a positive one), above (a
    negative one); a tie counts half. NaN everywhere if there is one class only.

    Their mean over either class, and so over all questions whatever the classes' sizes, is the
    area under the ROC curve (DeLong et al. 1988).
    """
    found = np.full(len(scores), np.nan)
    if positive.all() or not positive.any():
        return found
    for side, sign in ((positive, 1), (~positive, -1)):
        others = np.sort(sign * scores[~side])
        mine = sign * scores[side]
        below = np.searchsorted(others, mine, "left")
        ties = np.searchsorted(others, mine, "right") - below
        found[side] = (below + ties / 2) / len(others)
    return found


def influences(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Influence values [n]: their mean is the area under the ROC curve, and the spread of that
    mean, as questions are drawn anew, that of the area. NaN everywhere if there is one class only.

    Placement values less the area, times n / size of the class: their mean alone would vary half
    as much as the area, since every question counts in its own value and in those of the other
    class (DeLong et al. 1988).
    """
    found = placements(scores, positive)
    area = found.mean()
    for side in (positive, ~positive):
        found[side] = area + (found[side] - area) * len(found) / max(1, int(side.sum()))
    return found


def auc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """The area under the ROC curve; NaN if there is one class only."""
    return float(placements(scores, positive).mean())


def right(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """1 where a score has the sign of its class, 0 where the other's, 1/2 where it is 0."""
    sign: Floats = np.where(positive, 1.0, -1.0) * np.sign(scores)
    return (1 + sign) / 2
