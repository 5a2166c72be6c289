"""The declared truth: which of the two kinds each question is of, by construction."""

from collections.abc import Sequence

import numpy as np

from seedbed.core.rows import Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.recall.knobs import KINDS

NAMES = ("own", "other", "unrelated")


def declared(questions: Sequence[Question]) -> Truth:
    """Questions × kinds: 1 for a question's own kind, 0 for the other; NaN if it is of neither."""
    labels = np.array(
        [[_role(question.slices["kind"], kind) for kind in KINDS] for question in questions],
        dtype=np.int16,
    )
    values = np.array([1.0, 0.0, np.nan])[labels]
    ids = tuple(question.id for question in questions)
    return Truth(ids, KINDS, values, labels, NAMES, SiteKind.DIRECTION, "declared")


def _role(own: str, kind: str) -> int:
    if own not in KINDS:
        return NAMES.index("unrelated")
    return NAMES.index("own" if own == kind else "other")
