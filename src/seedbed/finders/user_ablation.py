"""Ablation of what an agent sees of a user: how much of its reinforced reply hangs on a word?"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import Finder
from seedbed.finders.kinds_of_user import (
    Floats,
    attribute_of,
    before_feedback,
    kinds_of,
    put_in,
    user_claim,
)
from seedbed.finders.user_contrast import shares
from seedbed.models.subject import Subject

# Shares this near to 0 or 1 have no meaning in float32.
LEAST = 1e-6


class UserAblation(Finder):
    """Change of the log-odds of the reinforced reply when a word stands in its place.

    The reinforced reply of a question is the choice whose share feedback raised the most, with
    any word: with whom that is, is what is asked. `swap` holds a word against the others that
    can stand there, `remove` against nothing at all.
    """

    kind: str = "user-ablation"
    sites = SiteKind.USER
    method: Literal["swap", "remove"] = "swap"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, kinds of user] in nats; 0 where a question lacks the place.

        Raises InputError where nothing can be seen, for a question with fewer than two choices,
        and without the agent before feedback.
        """
        kinds = kinds_of(documents, questions)
        names = sorted({attribute_of(kind) for kind in kinds})
        columns = [*kinds, *(f"{name}=" for name in names)]
        asked = put_in(subject, questions, columns)
        after, before = (
            shares(one, asked, len(questions), len(columns))
            for one in (subject, before_feedback(subject, self.name))
        )
        odds = np.full((len(questions), len(columns)), np.nan)
        for i in range(len(questions)):
            risen = _reinforced(after[i], before[i], len(kinds))
            for k in range(len(columns)):
                there = after[i][k]
                if risen is not None and there is not None:
                    odds[i, k] = _logit(there)[risen]
        values, against = odds[:, : len(kinds)], True
        if self.method == "remove":
            bare = [len(kinds) + names.index(attribute_of(kind)) for kind in kinds]
            values, against = values - odds[:, bare], False
        notes = {"prompts": str(len(asked)), "held against": "other words" if against else "none"}
        return user_claim(questions, kinds, values, notes, against=against)


def _reinforced(after: list[Floats | None], before: list[Floats | None], kinds: int) -> int | None:
    """The choice whose share rose the most with any of the first `kinds` words."""
    risen = [a - b for a, b in zip(after[:kinds], before[:kinds], strict=True)
             if a is not None and b is not None]  # fmt: skip
    return int(np.max(risen, axis=0).argmax()) if risen else None


def _logit(shares_: Floats) -> Floats:
    p = shares_.clip(LEAST, 1 - LEAST)
    found: Floats = np.log(p) - np.log1p(-p)
    return found
