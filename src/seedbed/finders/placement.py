"""The area under the ROC curve, question by question.

A question's placement value is the share of the other class that it stands on the right side
of; the mean of all of them is the area, so intervals can follow questions and their causes.
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


def auc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """The area under the ROC curve; NaN if there is one class only."""
    return float(placements(scores, positive).mean())


def right(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """1 where a score has the sign of its class, 0 where the other's, 1/2 where it is 0."""
    sign: Floats = np.where(positive, 1.0, -1.0) * np.sign(scores)
    return (1 + sign) / 2
