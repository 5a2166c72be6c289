"""Marks of numbers against scipy, plain loops, and cases whose value is known."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.scoring import numbers
from seedbed.scoring.numbers import (
    Asked,
    NumberAnswer,
    as_asked,
    baselines,
    confusion,
    entropy,
    marks,
    members,
    patterns,
    shuffled,
)


def question(i: int, truth: int, **changes: Any) -> Question:
    values = {
        "id": f"q{i}", "prompt": f"category c{i % 6}: a b c d 7 |",
        "choices": tuple(f" {n}" for n in range(10)), "answer": f" {truth}", "cause": f"c{i % 6}",
        "slices": {"category": f"c{i % 6}", "length": str(4 + i % 3)},
    }  # fmt: skip
    return Question.model_validate({**values, **changes})


def asked(truths: list[int]) -> list[Asked]:
    return [as_asked(question(i, t)) for i, t in enumerate(truths)]


def answers(truths: list[int], given: list[int | None], **changes: Any) -> list[NumberAnswer]:
    return [
        NumberAnswer(id=f"q{i}", truth=t, text=str(g), number=g,
                     outcome="no number" if g is None else "number", **changes)
        for i, (t, g) in enumerate(zip(truths, given, strict=True))
    ]  # fmt: skip


TRUTHS = [i % 9 for i in range(60)]
GIVEN: list[int | None] = [
    None if i % 11 == 0 else max(0, t // 2 + (i * 7) % 3 - 1) for i, t in enumerate(TRUTHS)
]


def written(truths: list[int], given: list[int | None]) -> dict[str, numbers.NumberMarks]:
    found = marks(asked(truths), answers(truths, given))
    return {m.slice: m for m in found if m.way == "written"}


def test_values_are_those_of_numpy_and_scipy() -> None:
    m = written(TRUTHS, GIVEN)["all"]
    have = [(g, t) for g, t in zip(GIVEN, TRUTHS, strict=True) if g is not None]
    a, t = np.array(have, dtype=float).T
    assert m.n == 60
    assert m.answered == pytest.approx(len(have) / 60)
    assert m.accuracy.value == pytest.approx((a == t).sum() / 60)
    assert m.mae.value == pytest.approx(np.abs(a - t).mean())
    assert m.bias.value == pytest.approx((a - t).mean())
    assert m.pearson.value == pytest.approx(stats.pearsonr(a, t).statistic)
    assert m.spearman.value == pytest.approx(stats.spearmanr(a, t).statistic)
    for mark in (m.accuracy, m.mae, m.bias, m.pearson, m.spearman):
        assert mark.low is not None
        assert mark.high is not None
        assert mark.value is not None
        assert mark.low < mark.value < mark.high


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 9)), min_size=3, max_size=25))
def test_weights_count_as_repetition(rows: list[tuple[int, int]]) -> None:
    a, t = np.array(rows, dtype=float).T
    weights = np.random.default_rng(0).integers(0, 4, size=(5, len(rows))).astype(float)
    weights[:, 0] += 1
    found = numbers.pearson(a, t, weights)
    ranked = numbers._correlation(numbers._ranks(a, weights), numbers._ranks(t, weights), weights)
    for row, r, rho in zip(weights.astype(int), found, ranked, strict=True):
        x, y = np.repeat(a, row), np.repeat(t, row)
        if len(set(x)) < 2 or len(set(y)) < 2:
            assert math.isnan(r)
            assert math.isnan(rho)
        else:
            assert r == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
            assert rho == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)


def test_whole_causes_are_drawn() -> None:
    weights = numbers._weights([f"c{i % 6}" for i in range(24)])
    assert (weights[:, :6] == weights[:, 6:12]).all()
    assert (weights[:, :6].sum(axis=1) == 6).all()
    few = numbers._weights(["a", "b"] * 12)
    assert (few.sum(axis=1) == 24).all()
    assert not (few[:, 0] == few[:, 2]).all()


def test_the_interval_of_a_mean_is_about_right() -> None:
    rng = np.random.default_rng(3)
    truths = [5] * 400
    given = [int(v) for v in rng.integers(0, 11, size=400)]
    rows = [as_asked(question(i, 5, cause="")) for i in range(400)]
    m = next(x for x in marks(rows, answers(truths, list(given))) if x.slice == "all")
    se = np.std(np.array(given) - 5, ddof=1) / 20
    assert m.bias.low == pytest.approx(m.bias.value - 1.96 * se, abs=0.05)
    assert m.bias.high == pytest.approx(m.bias.value + 1.96 * se, abs=0.05)


def test_always_the_same_answer_has_no_correlation() -> None:
    m = written(TRUTHS, [3] * 60)["all"]
    assert (m.pearson.value, m.spearman.value) == (None, None)
    assert m.accuracy.value == m.shuffled
    assert m.answered == 1


def test_no_answer_at_all() -> None:
    m = written(TRUTHS, [None] * 60)["all"]
    assert (m.accuracy.value, m.answered, m.shuffled) == (0, 0, 0)
    assert (m.mae.value, m.bias.low, m.pearson.value) == (None, None, None)


def test_shuffled_is_the_mean_over_all_ways_to_deal() -> None:
    given, wanted = [1, 1, 2, None], [1, 2, 2, 3]
    pairs = [g == w for g in given for w in wanted]
    assert shuffled(given, wanted) == pytest.approx(np.mean(pairs))


def test_every_question_counts_in_its_slices() -> None:
    found = written(TRUTHS, GIVEN)
    for key in ("category=", "length=", "answer=", "split="):
        assert sum(m.n for name, m in found.items() if name.startswith(key)) == 60
    only = [i for i in range(60) if i % 3 == 1]
    right = [GIVEN[i] == TRUTHS[i] for i in only]
    assert found["length=5"].accuracy.value == pytest.approx(np.mean(right))
    ten = (" 10", " 9", " 2")
    wide = [as_asked(question(i, t, choices=ten)) for i, t in enumerate([10, 9, 2])]
    order = [name for name in members(wide) if name.startswith("answer=")]
    assert order == ["answer=2", "answer=9", "answer=10"]


@pytest.mark.parametrize(("shift", "keys"), [(0, {"count"}), (1, {"count", "answer"})])
def test_the_answer_is_a_slice_where_the_count_is_another(shift: int, keys: set[str]) -> None:
    rows = [as_asked(question(i, i + shift, slices={"count": str(i)})) for i in range(4)]
    assert {name.partition("=")[0] for name in members(rows)} == {"all", "split", *keys}


def test_choices_and_expected_counts() -> None:
    rows = [
        NumberAnswer(id=f"q{i}", truth=t, choice=t, expected=t / 2, probability=0.5, entropy=1.0)
        for i, t in enumerate(TRUTHS)
    ]
    found = {m.way: m for m in marks(asked(TRUTHS), rows) if m.slice == "all"}
    assert set(found) == {"choices", "expected"}
    assert found["choices"].accuracy.value == 1
    assert found["expected"].accuracy.value is None
    assert found["expected"].bias.value == pytest.approx(-np.mean(TRUTHS) / 2)
    assert found["expected"].pearson.value == pytest.approx(1)


def test_baselines() -> None:
    truths = [3, 3, 3, 1, 7, 7, 4, 4]
    found = {b.name: b for b in baselines(asked(truths)) if b.slice == "all"}
    assert found["chance"].accuracy == pytest.approx(0.1)
    assert (found["majority"].answer, found["majority"].accuracy) == (3, 3 / 8)
    assert (found["median"].answer, found["median"].accuracy) == (3, 3 / 8)
    assert found["copied"].accuracy == 2 / 8
    # Lengths are 4, 5, 6 in turn: right where the truth is 4 in place 6.
    assert found["length"].accuracy == pytest.approx(1 / 8)
    assert found["majority"].mae == pytest.approx(np.mean([0, 0, 0, 2, 4, 4, 1, 1]))
    every = [abs(n - t) for t in truths for n in range(10)]
    assert found["chance"].mae == pytest.approx(np.mean(every))
    by_count = {b.slice: b.accuracy for b in baselines(asked(truths)) if b.name == "majority"}
    assert (by_count["answer=3"], by_count["answer=7"]) == (1, 0)


def test_no_length_and_no_number_to_copy_give_no_row() -> None:
    rows = [as_asked(question(0, 3, prompt="how many ?", slices={}))]
    assert {b.name for b in baselines(rows)} == {"chance", "majority", "median"}


def test_the_length_is_counted_from_places_where_no_slice_says_it() -> None:
    places = {"item1": (0, 1), "item2": (1, 2), "cue": (2, 3)}
    assert as_asked(question(0, 3, slices={}, places=places)).length == 2


@pytest.mark.parametrize(
    ("prompt", "last"),
    [("a 3 b 12 |", 12), ("a 3rd b", None), ("v1.5 4", 4), ("none", None), ("12:", 12)],
)
def test_the_last_number_of_a_prompt(prompt: str, last: int | None) -> None:
    assert as_asked(question(0, 3, prompt=prompt)).last == last


def test_patterns() -> None:
    truths = [5, 5, 5, 5, 5, 5]
    given: list[int | None] = [4, 6, 7, None, 4, 6]
    rows = answers(truths, given)
    rows[3] = rows[3].model_copy(update={"outcome": "refusal"})
    found = {p.name: p for p in patterns(asked(truths), rows, "written")}
    assert found["always the same"].count == 2
    assert found["off by one"].count == 4
    assert found["off by one"].shuffled == pytest.approx(4 / 6)
    assert (found["last number in the prompt"].count, found["last number in the prompt"].of) == (
        1,
        6,
    )
    # Lengths are 4, 5, 6, 4, 5, 6, and where it is 5 it cannot be told from the truth.
    assert (found["the list's length"].count, found["the list's length"].of) == (2, 4)
    assert found["refusal"].count == 1
    assert found["no number"].count == 0


def test_confusion_counts_everything_once() -> None:
    table = confusion(answers([1, 1, 2], [1, None, 3]), "written")
    assert table == {1: {"1": 1, "none": 1}, 2: {"3": 1}}


def test_entropy_in_nats() -> None:
    assert entropy([1, 2, 3, 4]) == pytest.approx(math.log(4))
    assert entropy([1, 1]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"answer": "three", "choices": ()},
            "question 'q0': its answer 'three' is no whole number",
        ),
        ({"choices": (" 3", " four")}, "question 'q0': its choice ' four' is no whole number"),
        ({"choices": (" 3",)}, "question 'q0': has one choice only"),
        ({"choices": (" 3", "3")}, "question 'q0': two of its choices are the same number"),
    ],
)
def test_what_is_no_number_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_asked(question(0, 3, **changes))
