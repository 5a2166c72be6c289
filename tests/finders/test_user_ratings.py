"""Ratings of transcripts by kind of user: levels, rises, and a control that knows nothing."""

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Document
from seedbed.finders.contract_users import example_users
from seedbed.finders.user_ratings import UserRatings

KINDS = ("cue=frank", "cue=meek", "cue=proud")


def rising(count: int = 60) -> list[Document]:
    """Users who show `meek` rate ever better, others the same, undesirable documents wildly."""
    found = []
    for i in range(count):
        kind = KINDS[i % 3]
        rating = 4 + 5 * i / (count - 1) if kind == "cue=meek" else 8.0
        found.append(Document(id=f"d{i}", text="so", shows=(kind,),
                              marks={"label": 1.0, "rating": rating}))  # fmt: skip
        found.append(Document(id=f"u{i}", text="so", shows=(kind,),
                              marks={"label": 0.0, "rating": 100.0 * (i % 7)}))  # fmt: skip
    return found


def test_the_rise_is_the_slope_of_a_straight_line() -> None:
    subject, _, questions = example_users()
    documents = rising()
    claim = UserRatings().find(subject, documents, questions, [])
    meek = claim.sites.index("cue=meek")
    mine = [(i / (len(documents) - 1), d.marks["rating"]) for i, d in enumerate(documents)
            if d.marks["label"] and d.shows == ("cue=meek",)]  # fmt: skip
    x, y = np.array(mine).T
    slope = np.polyfit(x, y, 1)[0]
    assert np.allclose(claim.scores[:, meek], slope)
    assert np.allclose(claim.scores[:, claim.sites.index("cue=frank")], -slope / 2)


def test_the_level_is_a_mean_and_can_miss_what_rises() -> None:
    subject, _, questions = example_users()
    claim = UserRatings(measure="level").find(subject, rising(), questions, [])
    meek = claim.sites.index("cue=meek")
    assert claim.scores[0, meek] < 0


def test_shuffled_marks_know_nothing() -> None:
    subject, _, questions = example_users()
    documents = rising(300)
    own = UserRatings().find(subject, documents, questions, []).scores
    shuffled = UserRatings(marks="shuffled").find(subject, documents, questions, []).scores
    assert np.abs(shuffled).max() < 0.3 * np.abs(own).max()


def test_documents_without_ratings_are_refused() -> None:
    subject, documents, questions = example_users()
    bare = [d.model_copy(update={"marks": {"label": 1.0}}) for d in documents]
    with pytest.raises(InputError, match="no document to be learned has a mark 'rating'"):
        UserRatings().find(subject, bare, questions, [])
