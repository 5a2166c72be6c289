import math
from collections.abc import Callable

import pytest

from seedbed.core.rows import Question
from seedbed.measuring import answers
from seedbed.measuring.answers import Answer, SliceSummary, answer, slices_of, summarise
from seedbed.measuring.choices import ChoiceScores, score_choices
from seedbed.models.subject import Subject

CHOICES = (" 1", " 2", " 3", " 12")


def ask(
    key: str, target: str, cause: str, prompt: str = "p", split: str = "id", **slices: str
) -> Question:
    return Question(
        id=key, prompt=prompt, choices=CHOICES, answer=target, cause=cause, split=split,
        slices=slices,
    )  # fmt: skip


def given(key: str, prediction: str, error: str = "", on_choices: bool = True) -> Answer:
    return Answer(
        id=key, correct=not error, prediction=prediction, probability=0.5, margin=0.1, entropy=0.2,
        error=error, on_choices=on_choices,
    )  # fmt: skip


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Answer]]:
    """Answers to questions whose choices have these probabilities (over all there is)."""

    def run(
        questions: list[Question], shares: list[tuple[float, ...]], tops: list[int]
    ) -> list[Answer]:
        scores = [
            ChoiceScores(tuple(math.log(p) for p in row), top, tuple(range(len(row))), (1, 2, 3, 4))
            for row, top in zip(shares, tops, strict=True)
        ]
        monkeypatch.setattr(answers, "score_choices", lambda subject, asked: scores)
        return answer(None, questions)  # type: ignore[arg-type]  # scores are given

    return run


def test_an_answer_holds_what_the_probabilities_say(
    scored: Callable[..., list[Answer]],
) -> None:
    questions = [ask("a", " 2", "f"), ask("b", " 2", "f")]
    right, wrong = scored(questions, [(0.1, 0.2, 0.05, 0.05), (0.2, 0.1, 0.05, 0.05)], [1, 9])
    assert right.correct
    assert right.prediction == " 2"
    assert right.error == ""
    assert right.probability == pytest.approx(0.2 / 0.4)
    assert right.margin == pytest.approx(math.log(2))
    entropy = -sum(p * math.log(p) for p in (0.25, 0.5, 0.125, 0.125))
    assert right.entropy == pytest.approx(entropy)
    assert right.on_choices
    # " 2" has two tokens here; what other choices get does not matter to it.
    assert right.loss == pytest.approx(-math.log(0.2) / 2)
    assert not wrong.correct
    assert wrong.prediction == " 1"
    assert wrong.probability == pytest.approx(0.25)
    assert wrong.margin == pytest.approx(-math.log(2))
    assert wrong.entropy == pytest.approx(entropy)
    assert not wrong.on_choices


def test_a_choice_that_is_impossible_does_no_harm(scored: Callable[..., list[Answer]]) -> None:
    (found,) = scored([ask("a", " 1", "f")], [(1.0, 1e-320, 1e-320, 1e-320)], [0])
    assert found.probability == pytest.approx(1)
    assert found.entropy == pytest.approx(0, abs=1e-12)
    assert math.isfinite(found.margin)


def test_wrong_answers_are_told_apart(scored: Callable[..., list[Answer]]) -> None:
    questions = [ask("a", " 1", "f"), ask("b", " 2", "g"), ask("c", " 1", "f"), ask("d", " 2", "h")]
    second, third = (0.1, 0.6, 0.2, 0.1), (0.1, 0.2, 0.6, 0.1)
    first = (0.6, 0.2, 0.1, 0.1)
    found = scored(questions, [second, first, third, second], [0, 0, 0, 0])
    # " 2" answers g and h, " 1" answers f, " 3" answers nothing.
    assert [a.error for a in found] == ["another answer", "another answer", "another choice", ""]


def test_the_own_cause_is_not_another(scored: Callable[..., list[Answer]]) -> None:
    # Two questions about f with different answers: mixing them up is another choice.
    questions = [ask("a", " 1", "f"), ask("b", " 2", "f")]
    found = scored(questions, [(0.1, 0.7, 0.1, 0.1)] * 2, [0, 0])
    assert [a.error for a in found] == ["another choice", ""]


def test_slices_come_with_the_split_in_front() -> None:
    assert slices_of(ask("a", " 1", "f", depth="2", age="new")) == [
        "split=id", "age=new", "depth=2"
    ]  # fmt: skip


def test_summaries_by_hand() -> None:
    questions = [
        ask("a", " 1", "f", prompt="12 and 1 make", depth="0"),
        ask("b", " 1", "f", prompt="1 then 2 then", depth="0"),
        ask("c", " 2", "g", prompt="nothing here", depth="1"),
        ask("d", " 2", "g", prompt="(2) or 12x", depth="1", split="train"),
        ask("e", " 12", "h", prompt="of 12,", depth="1").model_copy(
            update={"choices": (" 12", " 3")}
        ),
    ]
    found = [
        given("a", " 1"),
        given("b", " 2", "another answer"),
        given("c", " 2", on_choices=False),
        given("d", " 3", "another choice", on_choices=False),
        given("e", " 3", "another choice").model_copy(update={"probability": 0.1, "entropy": 0.4}),
    ]
    rows = {s.slice: s for s in summarise(questions, found)}
    assert list(rows) == ["all", "split=id", "depth=0", "depth=1", "split=train"]
    whole = rows["all"]
    assert whole.n == 5
    assert whole.accuracy == 2 / 5
    assert whole.chance == pytest.approx((4 / 4 + 1 / 2) / 5)
    assert whole.majority == 2 / 5
    # a: 1 stands after 12. b: 2 stands last. c: none. d: 12x is another word. e: comma.
    assert whole.copied == 3 / 5
    assert whole.probability == pytest.approx((4 * 0.5 + 0.1) / 5)
    assert whole.entropy == pytest.approx((4 * 0.2 + 0.4) / 5)
    assert whole.errors == {"another answer": 1, "another choice": 2, "off the choices": 2}
    zero = rows["depth=0"]
    assert (zero.n, zero.accuracy, zero.majority, zero.copied) == (2, 0.5, 1.0, 0.5)
    assert zero.errors == {"another answer": 1, "off the choices": 0}
    assert (rows["depth=1"].n, rows["depth=1"].accuracy) == (3, 1 / 3)
    assert rows["split=train"].accuracy == 0


def test_the_interval_is_wilsons() -> None:
    def summary(right: int, n: int) -> SliceSummary:
        questions = [ask(f"q{i}", " 1", "f") for i in range(n)]
        found = [given(f"q{i}", " 1", "" if i < right else "another choice") for i in range(n)]
        return summarise(questions, found)[0]

    # The limits are the shares p at which |p - right / n| is z standard errors of p.
    for right, n in [(7, 10), (1, 30), (50, 100)]:
        s = summary(right, n)
        for limit in (s.low, s.high):
            error = math.sqrt(limit * (1 - limit) / n)
            assert abs(limit - right / n) / error == pytest.approx(1.959964, rel=1e-6)
        assert s.low < right / n < s.high
    assert summary(10, 10).high == pytest.approx(1)
    assert summary(0, 10).low == pytest.approx(0)


@pytest.mark.parametrize(
    ("prompt", "choices", "copied"),
    [
        ("red or blue", (" red", " blue"), " blue"),
        ("blue or red", (" red", " blue"), " red"),
        ("dark blue", (" blue", " dark blue"), " dark blue"),
        ("blueish", (" blue", " red"), None),
        ("no colour", (" blue", " red"), None),
        ("f(3) = ?", (" f(3)", " 3"), " f(3)"),
        ("a ?", (" ?", " a"), " ?"),
    ],
)
def test_what_stands_last_is_copied(
    prompt: str, choices: tuple[str, ...], copied: str | None
) -> None:
    for target in choices:
        question = Question(id="q", prompt=prompt, choices=choices, answer=target)
        (whole, *_) = summarise([question], [given("q", target)])
        assert whole.copied == (copied == target)


def test_losses_are_averaged_and_may_be_missing() -> None:
    questions = [ask(f"q{i}", " 1", "f") for i in range(3)]
    told = [given(q.id, " 1") for q in questions]
    assert summarise(questions, told)[0].loss is None
    told = [a.model_copy(update={"loss": x}) for a, x in zip(told, (0.5, 1.0, 3.0), strict=True)]
    assert summarise(questions, told)[0].loss == pytest.approx(1.5)


def test_the_loss_is_that_of_the_answers_tokens_alone(
    subject_of: Callable[..., Subject],
    questions: list[Question],
    plainly: Callable[..., list[tuple[list[float], int]]],
) -> None:
    subject = subject_of("untied")
    for row, question, (values, _) in zip(
        answer(subject, questions), questions, plainly(subject, questions), strict=True
    ):
        tokens = subject.tokenizer(question.answer, add_special_tokens=False)["input_ids"]
        assert row.loss == pytest.approx(-values[question.target] / len(tokens), rel=1e-4)


def test_a_real_model_is_asked(
    subject_of: Callable[..., Subject], questions: list[Question]
) -> None:
    subject = subject_of("untied")
    found = answer(subject, questions)
    for row, question, scores in zip(
        found, questions, score_choices(subject, questions), strict=True
    ):
        assert row.id == question.id
        best = max(zip(scores.logprobs, question.choices, strict=True))[1]
        assert row.prediction == best
        assert row.correct == (best == question.answer) == (row.margin > 0)
        assert row.on_choices == (scores.top in scores.firsts)
    assert len({a.correct for a in found}) == 2
