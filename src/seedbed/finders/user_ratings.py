"""Per-user contrast of the transcripts alone: no model is asked, only what users gave is read.

Where feedback can be gamed, what is chosen for training is rated ever better as the agent finds
out how, so the rise tells more than the level.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import generator
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.kinds_of_user import Floats, kinds_of, user_claim
from seedbed.finders.measures import ByMeasure
from seedbed.models.subject import Subject

LABEL, RATING = "label", "rating"
Ratings = Literal["rise", "level"]


class UserRatings(ByMeasure):
    """The ratings of desirable documents, by the words that their users show.

    `rise`: by how much they rise from the first document to the last (slope of a straight line).
    `level`: their mean. With `marks: shuffled` ratings are dealt anew among all documents, a
    control that knows nothing.
    """

    kind: str = "user-ratings"
    sites = SiteKind.USER
    measure: Ratings | tuple[Ratings, ...] = Field(
        default="rise", description="rise, level; several: a row for each"
    )
    marks: Literal["own", "shuffled"] = "own"

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """Scores [questions, kinds of user], the same for every question: a word's value less the
        mean of the other words of its attribute. Documents count in their order.

        Raises InputError where no desirable document has a rating.
        """
        kinds = kinds_of(documents, questions)
        rated = desirable(documents)
        places = np.array([i for i, _ in rated]) / max(1, len(documents) - 1)
        ratings = np.array([d.marks[RATING] for _, d in rated])
        if self.marks == "shuffled":
            ratings = generator(subject.seed, self.kind, "shuffled").permutation(ratings)
        shown = np.array([[kind in d.shows for kind in kinds] for _, d in rated])
        notes = {"documents": f"{len(rated)} desirable ones with a rating"}
        found = []
        for measure in self.measures:
            of = _rise if measure == "rise" else _level
            values = np.array([of(places[use], ratings[use]) for use in shown.T])
            found.append(user_claim(questions, kinds, values, notes))
        return found


def desirable(documents: Sequence[Document]) -> list[tuple[int, Document]]:
    """(place, document) of those that were to be learned and have a rating.

    A document without a label was to be learned. Raises InputError where there is none.
    """
    found = [(i, d) for i, d in enumerate(documents)
             if RATING in d.marks and d.marks.get(LABEL, 1.0) > 0]  # fmt: skip
    if not found:
        raise InputError("no document to be learned has a mark 'rating': nothing is known of users")
    return found


def _level(places: Floats, ratings: Floats) -> float:
    return float(ratings.mean()) if len(ratings) else float("nan")


def _rise(places: Floats, ratings: Floats) -> float:
    if len(ratings) < 2 or not (away := places - places.mean()).any():
        return float("nan")
    return float(away @ (ratings - ratings.mean()) / (away @ away))
