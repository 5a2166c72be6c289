"""The checks must fail on finders that break a promise, each on its own."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, Floats
from seedbed.finders.contract_inputs import check_input_finder, check_rule_finder, example_inputs
from seedbed.finders.part_length import PartLength
from seedbed.finders.rule_consensus import RuleConsensus
from seedbed.models.subject import Subject

Bend = Callable[[Floats, Subject, Sequence[Question], Claim], Floats]


def weights_moved(scores: Floats, subject: Subject, *_: object) -> Floats:
    with torch.no_grad():
        next(subject.model.parameters()).add_(1)
    return scores


def hook_left(scores: Floats, subject: Subject, *_: object) -> Floats:
    subject.model.get_input_embeddings().register_forward_hook(lambda *_: None)
    return scores


def doubtful(scores: Floats, *_: object) -> Floats:
    return scores + np.random.default_rng().random(scores.shape)


# What a finder does wrong, and the promise that it breaks.
WRONG: dict[str, Bend] = {
    "permuting questions permutes": lambda s, _, q, __: s * np.arange(1, len(q) + 1)[:, None],
    "names say nothing": lambda s, _, __, c: s * [ord(name[0]) for name in c.sites],
    "batch size and padding": lambda s, subject, _, __: s * subject.batch,
    "the subject stays": weights_moved,
    "no hook is left": hook_left,
    "the same call": doubtful,
}


def _with(claim: Claim, scores: Floats) -> Claim:
    return Claim(claim.questions, claim.sites, scores, claim.site_kind)


@pytest.mark.parametrize("promise", WRONG)
def test_a_broken_promise_is_noticed(promise: str) -> None:
    class BadPart(PartLength):
        def find(
            self, subject: Subject, documents: Sequence[Document],
            questions: Sequence[Question], pairs: Sequence[Pair],
        ) -> Claim:  # fmt: skip
            claim = super().find(subject, documents, questions, pairs)
            return _with(claim, WRONG[promise](claim.scores, subject, questions, claim))

    class BadRule(RuleConsensus):
        def find(
            self, subject: Subject, documents: Sequence[Document],
            questions: Sequence[Question], pairs: Sequence[Pair],
        ) -> Claim:  # fmt: skip
            claim = super().find(subject, documents, questions, pairs)
            return _with(claim, WRONG[promise](claim.scores, subject, questions, claim))

    with pytest.raises(AssertionError, match=promise):
        check_input_finder(BadPart())
    with pytest.raises(AssertionError, match=promise):
        check_rule_finder(BadRule())
    if promise == "names say nothing":
        check_input_finder(BadPart(), by_name=True)


def test_a_score_where_there_is_no_part_is_noticed() -> None:
    class Everywhere(PartLength):
        def find(
            self, subject: Subject, documents: Sequence[Document],
            questions: Sequence[Question], pairs: Sequence[Pair],
        ) -> Claim:  # fmt: skip
            claim = super().find(subject, documents, questions, pairs)
            return _with(claim, claim.scores + 1)

    with pytest.raises(AssertionError, match="a place that a question lacks scores 0"):
        check_input_finder(Everywhere())


def test_checks_are_for_their_own_kind() -> None:
    with pytest.raises(AssertionError, match="finders on parts"):
        check_input_finder(RuleConsensus())
    with pytest.raises(AssertionError, match="finders on rules"):
        check_rule_finder(PartLength())


def test_the_example_has_what_the_checks_speak_of() -> None:
    _, questions = example_inputs()
    assert len({frozenset(q.places) for q in questions}) == 2
    assert len({len(q.prompt) for q in questions}) > 1
    assert len({frozenset(q.rules) for q in questions}) == 2
    for q in questions:
        a, b = q.places["number"]
        assert q.prompt[a] in "+-"
        assert float(q.prompt[a:b]) == pytest.approx(float(q.prompt[a:b]))
        assert q.prompt[slice(*q.places["number.sign"])] == q.prompt[a]
