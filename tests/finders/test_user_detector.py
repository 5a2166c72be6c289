"""Flags of detectors by kind of user."""

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.finders.contract_users import example_users
from seedbed.finders.user_detector import UserDetector


def test_scores_are_differences_of_mean_flags() -> None:
    subject, documents, questions = example_users()
    claim = UserDetector().find(subject, documents, questions, [])
    means = {
        word: np.mean([d.marks["flag:guard"] for d in documents if f"cue={word}" in d.shows])
        for word in ("frank", "meek", "proud")
    }
    wanted = means["meek"] - (means["frank"] + means["proud"]) / 2
    assert np.allclose(claim.scores[:, claim.sites.index("cue=meek")], wanted)


def test_one_of_several_detectors_can_be_named() -> None:
    subject, documents, questions = example_users()
    both = [d.model_copy(update={"marks": {**d.marks, "flag:idle": 0.0}}) for d in documents]
    named = UserDetector(detector="guard").find(subject, both, questions, [])
    every = UserDetector().find(subject, both, questions, [])
    assert np.allclose(named.scores, 2 * every.scores)


@pytest.mark.parametrize(
    ("marks", "detector", "problem"),
    [
        ({}, "", "holds a flag of a detector; none; the episodes need a detector"),
        ({"flag:guard": 0.1}, "gard", "of a detector 'gard'; guard"),
    ],
)
def test_what_is_lacking_is_named(marks: dict[str, float], detector: str, problem: str) -> None:
    subject, documents, questions = example_users()
    changed = [d.model_copy(update={"marks": marks}) for d in documents]
    with pytest.raises(InputError, match=problem):
        UserDetector(detector=detector).find(subject, changed, questions, [])
