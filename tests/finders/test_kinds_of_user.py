"""Kinds of user as sites, and words put in their places."""

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.sites import SiteKind
from seedbed.finders.contract_users import REPLIES, example_users
from seedbed.finders.kinds_of_user import held_against, kinds_of, put_in, user_claim

KINDS = ("cue=frank", "cue=meek", "cue=proud", "mood=calm", "mood=glad")


def test_kinds_are_what_documents_show_and_questions_place() -> None:
    _, documents, questions = example_users()
    assert kinds_of(documents, []) == KINDS
    assert kinds_of([], questions) == KINDS
    assert kinds_of([], questions[:1]) == ("cue=frank", "mood=calm")


def test_nothing_to_see_is_one_clear_line() -> None:
    bare = Question(id="q", prompt="so", answer="x")
    with pytest.raises(InputError, match="no kind of user can be seen"):
        kinds_of([], [bare])


def test_every_word_stands_in_its_place_and_others_stay() -> None:
    subject, _, questions = example_users()
    asked = put_in(subject, questions, KINDS)
    assert len(asked) == len(questions) * len(KINDS)
    changed = asked[0, KINDS.index("cue=proud")]
    assert questions[0].prompt == "notes : frank calm i bet |"
    assert changed.prompt == "notes : proud calm i bet |"
    assert changed.choices == REPLIES
    start, end = changed.places["mood"]
    assert changed.prompt[start:end] == "calm"


def test_unknown_words_and_missing_places_are_not_asked() -> None:
    subject, _, questions = example_users()
    without = questions[0].model_copy(update={"places": {"mood": questions[0].places["mood"]}})
    asked = put_in(subject, [without], ("cue=meek", "mood=glad", "mood=zzz"))
    assert list(asked) == [(0, 1)]


def test_values_are_held_against_the_other_words_of_their_attribute() -> None:
    values = np.array([1.0, 2.0, np.nan, 5.0, np.nan])
    # cue: 1 against 2 and 2 against 1; mood: 5 has nothing to be held against.
    assert held_against(values, KINDS).tolist() == [-1.0, 1.0, 0.0, 0.0, 0.0]


def test_a_claim_says_of_whom_nothing_is_known() -> None:
    _, _, questions = example_users()
    claim = user_claim(questions, KINDS, np.array([1.0, 2.0, np.nan, 5.0, 6.0]), {})
    assert claim.scores.shape == (len(questions), len(KINDS))
    assert claim.site_kind is SiteKind.USER
    assert claim.notes["unknown"] == "nothing is known of cue=proud, which score 0"
