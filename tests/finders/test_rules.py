from collections.abc import Callable
from fractions import Fraction
from math import comb, log

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.finders.rule_consensus import RuleConsensus
from seedbed.finders.rule_evidence import evidence, log_odds
from seedbed.finders.rules import RuleFit, rules_of
from seedbed.models.subject import Subject

Taught = tuple[Subject, list[Question]]
Untaught = Callable[[int], tuple[Subject, list[Document], list[Question]]]
EVERY = ("answers", "likelihood", "posterior", "disagreement")


def by_rule(subject: Subject, questions: list[Question]) -> dict[str, dict[str, float]]:
    """Measure → rule → mean score over questions."""
    finder = RuleFit.model_validate({"measure": EVERY})
    claims = finder.find_all(subject, [], questions, [])
    return {
        m: dict(zip(c.sites, c.scores.mean(axis=0).tolist(), strict=True))
        for m, c in zip(EVERY, claims, strict=True)
    }


def test_the_rule_that_was_taught_stands_first(taught: Taught) -> None:
    found = by_rule(*taught)
    for measure, row in found.items():
        rest = [v for name, v in row.items() if name != "first"]
        assert row["first"] > max(rest), measure
    assert found["answers"]["first"] == 1
    assert found["posterior"]["first"] > 10
    assert max(v for r, v in found["posterior"].items() if r != "first") < -10


def test_the_control_does_not_know_which(taught: Taught) -> None:
    subject, questions = taught
    claim = RuleConsensus().find(subject, [], questions, [])
    rules = rules_of(questions)[1]
    slow = [[np.mean([r == s for k, s in enumerate(row) if k != j]) for j, r in enumerate(row)]
            for row in rules.tolist()]  # fmt: skip
    assert claim.scores == pytest.approx(np.array(slow))
    mean = dict(zip(claim.sites, claim.scores.mean(axis=0).tolist(), strict=True))
    assert mean["sum"] > mean["first"]


def test_an_untrained_subject_follows_none(untaught: Untaught) -> None:
    """Each rule leads in some of them and loses in others, and the taught one in no more."""
    first = []
    for seed in range(12):
        subject, _, questions = untaught(seed)
        found = by_rule(subject, questions[:30])
        first.append(max(found["answers"], key=lambda name: found["answers"][name]))
    assert first.count("first") < 8
    assert len(set(first)) > 1


def exact(right: int, wrong: int, n: int) -> Fraction:
    """∫ (1 − λ + λ / n)^right (λ / n)^wrong dλ over [0, 1], term by term."""
    total, slope = Fraction(0), Fraction(1, n) - 1
    for k in range(right + 1):
        total += comb(right, k) * slope**k * Fraction(1, n) ** wrong / (k + wrong + 1)
    return total


@pytest.mark.parametrize(
    ("right", "wrong", "n"), [(0, 0, 2), (12, 0, 4), (0, 9, 2), (7, 5, 4), (300, 0, 4), (60, 3, 3)]
)
def test_the_evidence_is_the_integral(right: int, wrong: int, n: int) -> None:
    said = [0] * (right + wrong)
    rule = np.array([[0]] * right + [[1]] * wrong, dtype=np.int64).reshape(-1, 1)
    found = evidence(said, rule, [n] * len(said))
    value = exact(right, wrong, n)
    assert found[0] == pytest.approx(log(value.numerator) - log(value.denominator), abs=2e-3)


def test_being_wrong_throughout_is_no_evidence_for_a_rule() -> None:
    """Of two choices, a rule that is always wrong tells the answers as surely as the right one."""
    said = [0, 1] * 10
    rules = np.array([[1 - a, a, 0] for a in said])
    wrong, right, half = evidence(said, rules, [2] * 20)
    assert right > half > wrong


def test_a_silent_rule_is_charged_a_guess() -> None:
    rules = np.array([[-1, 0], [-1, 0], [-1, 1]])
    assert evidence([0, 0, 0], rules, [4, 4, 4])[0] == pytest.approx(-3 * log(4), abs=1e-4)


def test_log_odds_are_those_of_a_uniform_prior() -> None:
    logs = np.log([0.2, 0.6, 0.1])
    p = np.array([2, 6, 1]) / 9
    assert log_odds(logs) == pytest.approx(np.log(p / (1 - p)))
    assert np.isfinite(log_odds(np.array([0.0, -5000.0, -9000.0]))).all()


def test_the_posterior_does_not_depend_on_the_order(taught: Taught) -> None:
    subject, questions = taught
    finder = RuleFit(measure="posterior")
    one = finder.find(subject, [], questions, [])
    other = finder.find(subject, [], questions[::-1], [])
    assert (one.scores == one.scores[0]).all()
    assert one.scores[0] == pytest.approx(other.arranged(one.sites).scores[0])


def test_disagreement_counts_rules_that_are_told_apart(taught: Taught) -> None:
    subject, questions = taught
    claim = RuleFit(measure="disagreement").find(subject, [], questions, [])
    answers = RuleFit().find(subject, [], questions, [])
    for q, row, right in zip(questions, claim.scores, answers.scores, strict=True):
        for s, name in enumerate(claim.sites):
            rivals = [t for t in claim.sites if q.rules[t] != q.rules[name]]
            beaten = sum(right[s] - right[claim.sites.index(t)] for t in rivals)
            assert row[s] == pytest.approx(beaten / 3)
    # Where all say the same, nothing is learned.
    alike = [i for i, q in enumerate(questions) if len(set(q.rules.values())) == 1]
    assert alike
    assert (claim.scores[alike] == 0).all()


def test_rules_that_never_differ_are_named(taught: Taught) -> None:
    subject, questions = taught
    same = [q.model_copy(update={"rules": {**q.rules, "copy": q.rules["sum"]}}) for q in questions]
    notes = RuleFit().find(subject, [], same, []).notes
    assert notes["tied"].endswith("nothing tells them apart: sum = copy")
    assert "tied" not in RuleFit().find(subject, [], questions, []).notes
    apart = sum(len(set(q.rules.values())) > 1 for q in questions)
    assert notes["apart"] == f"rules say different things on {apart} of 60 questions"


def test_a_rule_that_says_nothing_scores_nothing(taught: Taught) -> None:
    subject, questions = taught
    some = [q if i % 2 else q.model_copy(update={"rules": {"red": " red", "first": q.answer}})
            for i, q in enumerate(questions)]  # fmt: skip
    for measure in ("answers", "likelihood", "disagreement"):
        claim = RuleFit.model_validate({"measure": measure}).find(subject, [], some, [])
        assert (claim.scores[::2, claim.sites.index("sum")] == 0).all()
        assert claim.scores[1::2, claim.sites.index("sum")].any()


def test_likelihood_is_what_the_model_prefers_to_guessing(taught: Taught) -> None:
    subject, questions = taught
    claim = RuleFit(measure="likelihood").find(subject, [], questions, [])
    for q, row in zip(questions, claim.scores, strict=True):
        shares = {q.rules[name]: np.exp(v) / 2 for name, v in zip(claim.sites, row, strict=True)}
        if len(shares) == 2:
            assert sum(shares.values()) == pytest.approx(1)


def test_what_cannot_be_told_apart_is_refused(taught: Taught) -> None:
    subject, questions = taught
    with pytest.raises(InputError, match=r"question 'q0': has no rules"):
        rules_of([questions[0].model_copy(update={"rules": {}})])
    with pytest.raises(InputError, match="1 rules in 1 questions"):
        RuleFit().find(
            subject, [], [questions[0].model_copy(update={"rules": {"red": " red"}})], []
        )
