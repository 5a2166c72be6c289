"""benchmark.json: what it holds comes back, and each figure is that of its answers."""

from typing import Any

import pytest

from seedbed.core.rows import Question
from seedbed.scoring.benchmark import Benchmark, benchmark, subject_numbers
from seedbed.scoring.numbers import NumberAnswer, as_asked


def questions(n: int = 30) -> list[Question]:
    return [
        Question(id=f"q{i}", prompt=f"a b {i}", choices=(" 0", " 1", " 2"), answer=f" {i % 3}",
                 cause=f"c{i % 6}", slices={"length": str(i % 2), "same": "x"})
        for i in range(n)
    ]  # fmt: skip


def answers(given: list[int | None], **changes: Any) -> list[NumberAnswer]:
    return [
        NumberAnswer(id=f"q{i}", truth=i % 3, number=g, text=f" {g} ", tokens=2,
                     outcome="number" if g is not None else "no number", **changes)
        for i, g in enumerate(given)
    ]  # fmt: skip


@pytest.fixture
def made() -> Benchmark:
    asked = [as_asked(q) for q in questions()]
    right: list[int | None] = [i % 3 for i in range(30)]
    same: list[int | None] = [None if i < 3 else 1 for i in range(30)]
    chosen = answers(same, choice=2, expected=1.5, probability=0.25, entropy=1.0)
    subjects = [
        subject_numbers("good", asked, answers(right), most=4, seconds=1.0, chat=True, dollars=0.5),
        subject_numbers("same", asked, chosen, most=4, seconds=2.0),
    ]
    return benchmark("somewhere", "key", questions(), subjects, {"seedbed": "1"})


def test_it_comes_back_from_json(made: Benchmark) -> None:
    assert Benchmark.model_validate_json(made.model_dump_json()) == made


def test_ways_are_those_that_were_asked(made: Benchmark) -> None:
    good, same = made.subjects
    assert good.first == "written"
    assert same.first == "choices"
    assert [w.way for w in same.ways] == ["choices", "written"]
    assert [w.way for w in good.ways] == ["written"]
    assert good.mark("choices") is None
    assert same.told("expected") is None
    assert same.mark("expected") is not None


def test_figures_of_a_subject(made: Benchmark) -> None:
    good, same = made.subjects
    assert (good.tokens, good.dollars, good.probability) == (60, 0.5, None)
    assert same.probability == pytest.approx(0.25)
    marks = same.mark("written", "length=0")
    assert marks is not None
    assert marks.n == 15
    written = same.told("written")
    assert written is not None
    assert written.table[0] == {"1": 9, "none": 1}
    assert [(r.text, r.count, r.number) for r in same.replies] == [("1", 27, 1), ("None", 3, None)]


def test_slices_with_one_value_are_left_out(made: Benchmark) -> None:
    assert made.slices == {
        "answer": ["answer=0", "answer=1", "answer=2"], "length": ["length=0", "length=1"]
    }  # fmt: skip
    assert made.truths == {0: 10, 1: 10, 2: 10}
    assert made.best.accuracy == pytest.approx(1 / 3)
    assert made.baseline("nothing") is None
