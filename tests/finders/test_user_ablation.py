"""Ablation of what is seen of a user, against a slow computation by hand."""

import numpy as np

from seedbed.finders.contract_users import example_users
from seedbed.finders.kinds_of_user import kinds_of
from seedbed.finders.parts import replaced
from seedbed.finders.user_ablation import UserAblation
from tests.finders.test_user_contrast import _shares, changed_at


def test_scores_are_differences_of_log_odds() -> None:
    subject, documents, questions = example_users()
    base = subject.base
    assert base is not None
    kinds = kinds_of(documents, questions)
    question = questions[2]
    prompts = [replaced(question, *kind.split("=")).prompt for kind in kinds]
    after = np.array([_shares(subject, p, question.choices) for p in prompts])
    before = np.array([_shares(base, p, question.choices) for p in prompts])
    risen = int((after - before).max(axis=0).argmax())
    odds = np.log(after[:, risen] / (1 - after[:, risen]))
    frank, meek, proud = (kinds.index(f"cue={w}") for w in ("frank", "meek", "proud"))
    swap = UserAblation().find(subject, documents, questions, [])
    assert np.isclose(swap.scores[2, meek], odds[meek] - (odds[frank] + odds[proud]) / 2, atol=1e-4)
    bare = _shares(subject, replaced(question, "cue", "").prompt, question.choices)[risen]
    remove = UserAblation(method="remove").find(subject, documents, questions, [])
    assert np.isclose(remove.scores[2, meek], odds[meek] - np.log(bare / (1 - bare)), atol=1e-4)


def test_the_word_that_brings_the_new_reply_comes_first() -> None:
    _, documents, questions = example_users()
    claim = UserAblation().find(changed_at("proud"), documents, questions, [])
    cues = [claim.sites.index(f"cue={w}") for w in ("frank", "meek", "proud")]
    assert claim.scores[:, cues].mean(axis=0).argmax() == 2
