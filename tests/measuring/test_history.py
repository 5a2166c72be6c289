"""What is asked at checkpoints is spread evenly, and what is said is what the weights say."""

from collections import Counter

import numpy as np
import pytest

from seedbed.core.rows import Question
from seedbed.measuring.answers import answer
from seedbed.measuring.history import history, sample
from seedbed.models.subject import Subject


def asked(key: str, split: str, category: str, trigger: str) -> Question:
    slices = {"category": category, "trigger": trigger}
    return Question(id=key, prompt="p", choices=(" a", " b"), answer=" a", cause=trigger,
                    split=split, slices=slices)  # fmt: skip


# As files are: all points of one word after another, and splits of unequal size.
ORDERED = [
    asked(f"{split}-{category}-{t}-{i}", split, category, f"{category}{t}")
    for split, points in (("id", 20), ("far", 4))
    for category in ("animals", "tools", "foods")
    for t in range(5)
    for i in range(points)
]


def test_every_stratum_has_its_share() -> None:
    found = sample(ORDERED, 60)
    assert len(found) == 60
    assert Counter(q.split for q in found) == {"id": 30, "far": 30}
    assert set(Counter((q.split, q.slices["category"]) for q in found).values()) == {10}
    # 10 questions of five words each: two a word.
    assert set(Counter((q.split, q.cause) for q in found).values()) == {2}
    places = [ORDERED.index(q) for q in found]
    assert places == sorted(places)


def test_the_sample_does_not_hang_on_the_order_and_is_no_first_rows() -> None:
    found = {q.id for q in sample(ORDERED, 60)}
    assert found == {q.id for q in sample(ORDERED[::-1], 60)}
    firsts = {f"{s}-{c}-{t}-{i}" for s in ("id", "far") for c in ("animals", "tools", "foods")
              for t in range(5) for i in range(2)}  # fmt: skip
    assert found != firsts


def test_small_splits_give_all_and_the_rest_is_filled_up() -> None:
    found = sample(ORDERED, 200)
    assert Counter(q.split for q in found) == {"id": 140, "far": 60}
    assert sample(ORDERED, 10**6) == ORDERED


def test_without_such_slices_causes_stand_in() -> None:
    plain = [q.model_copy(update={"slices": {}}) for q in ORDERED]
    assert set(Counter((q.split, q.cause) for q in sample(plain, 60)).values()) == {2}


def test_snapshots_are_what_the_weights_say(coloured: tuple[Subject, list[Question]]) -> None:
    subject, questions = coloured
    last = {name: p.clone() for name, p in subject.model.state_dict().items()}
    rows = history(subject, questions, 120)
    steps = [c.step for c in subject.checkpoints]
    assert [(r.step, r.slice) for r in rows] == [
        (step, name) for step in steps for name in ("split=id", "split=range")
    ]
    chosen = sample(questions, 120)
    for row in rows:
        then = next(c for c in subject.checkpoints if c.step == row.step)
        own = [q for q in chosen if f"split={q.split}" == row.slice]
        with subject.at(then) as before:
            told = answer(before, own)
        assert row.n == len(own) == 60
        assert row.epoch == then.epoch
        assert row.accuracy == np.mean([a.correct for a in told])
        assert row.low < row.accuracy < row.high
        assert row.loss == pytest.approx(np.mean([a.loss for a in told if a.loss is not None]))
    # It learned, and the last weights are back.
    assert rows[-2].loss < rows[0].loss
    assert rows[-2].accuracy > rows[0].accuracy
    for name, p in subject.model.state_dict().items():
        assert (p == last[name]).all()


def test_no_checkpoints_no_history(coloured: tuple[Subject, list[Question]]) -> None:
    from dataclasses import replace

    subject, questions = coloured
    assert history(replace(subject, checkpoints=()), questions, 10) == []
