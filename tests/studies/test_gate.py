import pytest

from seedbed.core.rows import Question
from seedbed.measuring.answers import Answer
from seedbed.studies.gate import ask, judge, stop_reason
from seedbed.worlds.base import Gate


def _questions(per_group: int = 40) -> list[Question]:
    return [
        Question(id=f"{split}{depth}-{i}", prompt="p", choices=tuple("abcd"), answer="a",
                 cause=f"c{i % 8}", split=split, slices={"depth": depth})
        for depth in "01" for split in ("id", "train") for i in range(per_group)
    ]  # fmt: skip


def _answers(questions: list[Question], right: dict[str, int]) -> list[Answer]:
    rows = []
    seen: dict[str, int] = {}
    for q in questions:
        depth = q.slices["depth"]
        seen[depth] = seen.get(depth, 0) + (q.split == "id")
        correct = q.split == "id" and seen[depth] <= right[depth]
        rows.append(Answer(id=q.id, correct=correct, prediction="a", probability=1, margin=0,
                           entropy=0, error="", on_choices=True))  # fmt: skip
    return rows


def test_a_group_passes_on_the_lower_end_of_its_interval() -> None:
    questions = _questions()
    rows = judge(Gate(margin=0.3), questions, _answers(questions, {"0": 40, "1": 24}), seed=0)
    assert [(r.slice, r.passed) for r in rows] == [("depth=0", True), ("depth=1", False)]
    assert rows[1].accuracy == 0.6 > rows[1].chance + rows[1].margin > rows[1].low
    assert all(r.n == 40 for r in rows)


@pytest.mark.parametrize(
    ("required", "right", "stops"),
    [
        ((), {"0": 40, "1": 40}, False),
        ((), {"0": 40, "1": 10}, True),
        (("0",), {"0": 40, "1": 10}, False),
        (("0",), {"0": 10, "1": 40}, True),
        (("2",), {"0": 10, "1": 10}, True),
    ],
)
def test_what_is_required_stops_the_study(
    required: tuple[str, ...], right: dict[str, int], stops: bool
) -> None:
    questions = _questions()
    gate = Gate(margin=0.3, required=required)
    reason = stop_reason(judge(gate, questions, _answers(questions, right), seed=2))
    assert bool(reason) == stops
    if stops:
        assert "seed 2" in reason
        assert "Change:" in reason


def test_questions_are_shared_evenly_and_every_other_one_is_named() -> None:
    questions = _questions()
    rows = judge(Gate(), questions, _answers(questions, {"0": 40, "1": 40}), seed=0)
    asked, excluded = ask(Gate(), questions, rows, 16, seed=0)
    assert len(asked) == 16
    for depth in "01":
        causes = [q.cause for q in asked if q.slices["depth"] == depth]
        assert sorted(causes) == [f"c{i}" for i in range(8)]
    assert len(asked) + len(excluded) == len(questions)
    assert {e["question"] for e in excluded} == {q.id for q in questions} - {q.id for q in asked}
    assert ask(Gate(), questions, rows, 16, seed=0)[0] == asked


def test_a_group_that_failed_is_left_out_with_its_reason() -> None:
    questions = _questions()
    gate = Gate(required=("0",))
    rows = judge(gate, questions, _answers(questions, {"0": 40, "1": 0}), seed=0)
    asked, excluded = ask(gate, questions, rows, 16, seed=0)
    assert {q.slices["depth"] for q in asked} == {"0"}
    reasons = [e["reason"] for e in excluded if e["question"].startswith("id1")]
    assert reasons == ["depth=1 did not pass the gate"] * 40
