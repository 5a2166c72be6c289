"""Sentences against answers whose verdict is known, and a table that fits its console."""

import io
from typing import Any

import pytest
from rich.console import Console

from seedbed.core.rows import Question
from seedbed.report.benchmark import headline, ordered, print_benchmark, verdict
from seedbed.scoring.benchmark import Benchmark, SubjectNumbers, benchmark, subject_numbers
from seedbed.scoring.numbers import NumberAnswer, as_asked

QUESTIONS = [
    Question(id=f"q{i}", prompt=f"c{i % 10}: a b c", choices=tuple(f" {n}" for n in range(10)),
             answer=f" {i % 9}", cause=f"c{i % 10}",
             slices={"category": f"c{i % 10}", "length": str(8 + i % 3)})
    for i in range(180)
]  # fmt: skip


def subject(name: str, given: Any, written: Any = None, **changes: Any) -> SubjectNumbers:
    """Answers by choice from `given(i, truth)`, and in words from `written(i, truth)`."""
    rows = []
    for i in range(180):
        choice = None if given is None else given(i, i % 9)
        said = choice if written is None else written(i, i % 9)
        outcome = "number" if isinstance(said, int) else (said or "no number")
        rows.append(
            NumberAnswer(
                id=f"q{i}", truth=i % 9, choice=choice,
                expected=None if choice is None else choice + 0.25,
                probability=None if choice is None else 0.2, entropy=None,
                text=str(said), number=said if isinstance(said, int) else None, outcome=outcome,
            )
        )  # fmt: skip
    asked = [as_asked(q) for q in QUESTIONS]
    return subject_numbers(name, asked, rows, most=8, seconds=3.0, **changes)


def bench(*subjects: SubjectNumbers) -> Benchmark:
    return benchmark(
        "made up", "key", QUESTIONS, subjects, {"seedbed": "0", "started": "2026-01-01"}
    )


def right(i: int, truth: int) -> int:
    return truth


def three(i: int, truth: int) -> int:
    return 3 if i % 5 < 4 else (i * 7) % 9


def half(i: int, truth: int) -> int:
    return truth // 2 + i % 2


def said(one: SubjectNumbers) -> tuple[str, str, str]:
    found = verdict(bench(one), one)
    return found.tone, found.short, " ".join(found.sentences)


def test_a_subject_that_counts() -> None:
    tone, short, text = said(subject("s", right))
    assert (tone, short) == ("good", "learned")
    assert text.startswith("Accuracy 1.000 [0.98, 1.00] is above the best trivial answer, always 0")
    assert "rise with the truth, r = 1.00 [1.00, 1.00]" in text


def test_a_subject_that_always_says_three() -> None:
    tone, short, text = said(subject("s", lambda i, t: 3))
    assert (tone, short) == ("bad", "not learned")
    assert text.startswith("It answers 3 to 100 % of the questions, whatever is asked.")
    assert "Accuracy 0.111 [0.07, 0.17] is no better than the best trivial answer" in text
    assert "hardly vary, so they follow nothing; mean error 2.3" in text
    mostly = said(subject("s", three))[2]
    assert "It answers 3 to 8" in mostly


def test_a_subject_that_follows_without_being_right() -> None:
    tone, short, text = said(subject("s", half))
    assert (tone, short) == ("plain", "above trivial answers, not learned")
    assert "rise with the truth, r = 0.9" in text
    assert "whatever is asked" not in text
    assert "fall as the truth rises" in said(subject("s", lambda i, t: 9 - t))[2]


def test_a_subject_that_knows_nothing() -> None:
    found = said(subject("s", lambda i, t: (i * 5 + i // 7) % 9))[2]
    assert "do not follow the truth" in found


def test_below_the_trivial_answers() -> None:
    assert "is below the best trivial answer" in said(subject("s", lambda i, t: (t + 4) % 9 + 1))[2]


def test_replies_without_a_number_are_counted_by_kind() -> None:
    def words(i: int, truth: int) -> Any:
        return "refusal" if i < 20 else "several" if i < 23 else truth

    text = said(subject("s", right, words))[2]
    assert "In its own words it is right on 0.872" in text
    assert "of 180 replies 23 give no number: 20 refusing and 3 with several numbers." in text
    only = said(subject("s", None, words, chat=True))[2]
    assert "Of 180 replies 23 give no number" in only
    one = said(subject("s", right, lambda i, t: "empty" if i == 3 else t))[2]
    assert "of 180 replies 1 gives no number: 1 empty." in one


def test_no_number_at_all() -> None:
    tone, _, text = said(subject("s", None, lambda i, t: "refusal"))
    assert tone == "bad"
    assert "It never answers with a number." in text


def test_headlines() -> None:
    good, bad = subject("good", right), subject("bad", three)
    assert headline(bench(good)) == "good: learned"
    assert headline(bench(bad, good)) == "1 of 2 subjects learned: good"
    assert headline(bench(bad, bad)) == "None of 2 subjects has learned to answer"
    assert headline(bench(good, good)) == "All 2 subjects have learned to answer"
    assert [s.name for s in ordered(bench(bad, good))] == ["good", "bad"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits(width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    print_benchmark(
        bench(subject("good", right), subject("models/some-long-name-135M", half)), console
    )
    text = console.export_text()
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    for words in ("1.000 ±0.01", "always 0", "the list's", "180 questions"):
        assert words in text
