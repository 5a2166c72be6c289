"""A detector's flags by kind of user: whom does it see the agent influence?"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import Finder
from seedbed.finders.kinds_of_user import kinds_of, user_claim
from seedbed.models.subject import Subject

FLAG = "flag:"


class UserDetector(Finder):
    """How probable a flag is among documents whose users show a word.

    A detector that vetoes leaves few documents that it flags, and these are its mistakes.
    """

    kind: str = "user-detector"
    sites = SiteKind.USER
    detector: str = Field(default="", description="by name; empty: the mean of all")

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, kinds of user], the same for every question: a word's mean flag less
        the mean of the other words of its attribute.

        Raises InputError where no document holds a flag of the detector.
        """
        kinds = kinds_of(documents, questions)
        every = sorted({m.removeprefix(FLAG) for d in documents for m in d.marks
                        if m.startswith(FLAG)})  # fmt: skip
        names = [self.detector] if self.detector else every
        if not every or not set(names) <= set(every):
            known = ", ".join(every) or "none; the episodes need a detector (simulation.roles)"
            asked = f" {self.detector!r}" if self.detector else ""
            raise InputError(f"{self.name}: no document holds a flag of a detector{asked}; {known}")
        flags = np.array([_flag(d, names) for d in documents])
        known_ = np.isfinite(flags)
        values = np.full(len(kinds), np.nan)
        for k, kind in enumerate(kinds):
            use = known_ & np.array([kind in d.shows for d in documents])
            if use.any():
                values[k] = flags[use].mean()
        notes = {"detectors": ", ".join(names),
                 "documents": f"{int(known_.sum())} of {len(documents)} hold a flag"}  # fmt: skip
        return user_claim(questions, kinds, values, notes)


def _flag(document: Document, names: Sequence[str]) -> float:
    found = [document.marks[f"{FLAG}{n}"] for n in names if f"{FLAG}{n}" in document.marks]
    return float(np.mean(found)) if found else float("nan")
