import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError, DataError, InputError
from seedbed.core.items import Item
from seedbed.worlds.contract import check_world
from seedbed.worlds.observed.splitting import Shares, split_items
from seedbed.worlds.observed.world import Observed

SPLITS = ("train", "dev", "id")


def row(n: int, **changes: Any) -> dict[str, Any]:
    """One object with the original's keys."""
    kept = {
        "question_id": n,
        "question": f"What is number {n}?",
        "options": [f"value {n}", "nothing", "something", "N/A"],
        "answer": "A",
        "answer_index": 0,
        "category": ("law", "physics", "history")[n % 3],
        "cot_content": f"A: Let's think step by step. It is {n}. The answer is (A).",
        "memory_reason_score": 0.9 if n % 2 else 0.1,
    }
    return {k: v for k, v in {**kept, **changes}.items() if v is not ...}


def write(path: Path, rows: list[Any]) -> str:
    path.write_text(json.dumps(rows))
    return str(path)


@pytest.fixture
def original(tmp_path: Path) -> str:
    return write(tmp_path / "items.json", [row(n) for n in range(120)])


def world(**values: Any) -> Observed:
    return Observed.model_validate(values)


@pytest.mark.parametrize("values", [
    {}, {"items": "forms"}, {"prompt": "options", "choices": "letters"},
    {"prompt": "options", "splits": {"most": 40}},
    {"splits": {"apart": ["plurals", "regular plurals"]}},
])  # fmt: skip
def test_contract(values: dict[str, Any]) -> None:
    check_world(world(**values), seed=1)


def test_contract_of_a_file_without_unrelated_items(original: str) -> None:
    check_world(world(items=original))


def test_contract_of_a_file_with_unrelated_categories(original: str) -> None:
    check_world(world(items=original, unrelated={"path": original, "categories": ["law"]}))


def test_the_original_is_read_as_it_is(original: str) -> None:
    questions = {q.id: q for q in world(items=original).questions(0)}
    assert len(questions) == 120
    one = questions["7"]
    assert one.prompt == "Q: What is number 7?\n\nA: "
    assert one.choices == ("value 7", "nothing", "something")
    assert one.answer == "value 7"
    assert one.slices == {"kind": "reasoning", "category": "physics"}


def test_splits_are_stratified_and_labelled(original: str) -> None:
    questions = world(items=original, splits={"train": 0.5, "dev": 0.25}).questions(3)
    of = {s: [q for q in questions if q.split == s] for s in SPLITS}
    assert [len(of[s]) for s in SPLITS] == [60, 30, 30]
    for split, mine in of.items():
        assert {q.label for q in mine} == ({""} if split == "id" else {"memory", "reasoning"})
        counts = Counter((q.slices["kind"], q.slices["category"]) for q in mine)
        assert len(counts) == 6
        assert max(counts.values()) - min(counts.values()) <= 4


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 25), min_size=1, max_size=6),
    seed=st.integers(0, 5),
    most=st.integers(0, 60),
)
def test_shares_hold_in_every_category(sizes: list[int], seed: int, most: int) -> None:
    items = [
        Item(id=f"{c}-{n}", question=f"{c} {n}", options=("a", "b"), target=0, category=str(c))
        for c, size in enumerate(sizes) for n in range(size)
    ]  # fmt: skip
    shares = Shares(train=0.5, dev=0.3, most=most)
    found = split_items({"memory": items}, shares, seed)
    total = min(most or len(items), len(items))
    assert len(found) == total
    for split, share in shares.by_split().items():
        assert abs(Counter(found.values())[split] - share * total) <= 1
        for c, size in enumerate(sizes):
            mine = [s for key, s in found.items() if key.startswith(f"{c}-")]
            assert abs(mine.count(split) - share * len(mine)) <= 2
            assert abs(len(mine) - size * total / len(items)) <= 1


def test_items_that_ask_the_same_stand_in_one_split(tmp_path: Path) -> None:
    rows = [row(n, question=f"What is  number {n // 3}?") for n in range(120)]
    questions = world(items=write(tmp_path / "items.json", rows)).questions(0)
    asked: dict[str, set[str]] = {}
    for q in questions:
        asked.setdefault(" ".join(q.prompt.split()), set()).add(q.split)
    assert len(asked) == 40
    assert all(len(splits) == 1 for splits in asked.values())


def test_items_without_a_score_are_asked_apart(tmp_path: Path) -> None:
    rows = [row(n, memory_reason_score=... if n % 5 == 0 else 0.8 * (n % 2)) for n in range(60)]
    made = world(items=write(tmp_path / "items.json", rows))
    unscored = [q for q in made.questions(0) if q.split == "unscored"]
    assert [q.id for q in unscored] == [str(n) for n in range(0, 60, 5)]
    assert {q.label for q in unscored} == {""}
    truth = made.truth(0).select(tuple(q.id for q in unscored))
    assert np.isnan(truth.values).all()
    assert {truth.names[i] for i in truth.labels.flat} == {"unknown"}


def test_truth_is_what_was_annotated(original: str) -> None:
    made = world(items=original, threshold=0.5)
    truth, questions = made.truth(0), made.questions(0)
    assert truth.sites == ("memory", "reasoning")
    for q, values, labels in zip(questions, truth.values, truth.labels, strict=True):
        assert values.tolist() == [q.slices["kind"] == s for s in truth.sites]
        assert truth.names[labels[int(values.argmax())]] == "annotated"


def test_the_threshold_itself_is_memory(tmp_path: Path) -> None:
    rows = [row(n, memory_reason_score=(0.5, 0.51)[n % 2]) for n in range(40)]
    path = write(tmp_path / "items.json", rows)
    kinds = {q.id: q.slices["kind"] for q in world(items=path).questions(0)}
    assert (kinds["0"], kinds["1"]) == ("memory", "reasoning")
    with pytest.raises(DataError, match=r"no item of class 'reasoning'.*threshold 0.6 and 40"):
        world(items=path, threshold=0.6).questions(0)


def test_unrelated_items_are_no_items(original: str, tmp_path: Path) -> None:
    made = world(items=original, unrelated={"path": original, "categories": ["law"]})
    questions = made.questions(0)
    unrelated = [q for q in questions if q.split == "unrelated"]
    assert {q.slices["category"] for q in unrelated} == {"law"}
    assert {q.slices["kind"] for q in unrelated} == {"unrelated"}
    assert "law" not in {q.slices["category"] for q in questions if q.split in SPLITS}
    other = write(tmp_path / "other.json", [row(n, question=f"And {n}?") for n in range(5)])
    questions = world(items=original, unrelated=other).questions(0)
    assert sum(q.split == "unrelated" for q in questions) == 5
    assert len({q.id for q in questions}) == 125


def test_categories_apart_are_an_axis_of_their_own(original: str) -> None:
    questions = world(items=original, splits={"apart": ["law"]}).questions(0)
    apart = [q for q in questions if q.slices["category"] == "law"]
    assert {q.split for q in apart} == {"category"}
    assert {q.slices["kind"] for q in apart} == {"memory", "reasoning"}
    with pytest.raises(InputError, match="did you mean 'physics'"):
        world(items=original, splits={"apart": ["phisics"]}).questions(0)


def test_letters_are_choices_where_options_are_shown(original: str) -> None:
    one = world(items=original, prompt="options", choices="letters").questions(0)[0]
    assert one.choices == ("A", "B", "C")
    assert one.prompt.endswith("B. nothing\nC. something\nAnswer: ")
    with pytest.raises(ConfigError, match="set prompt: options"):
        validate(Observed, {"choices": "letters"}, "study")


def test_options_of_the_same_text_are_one_choice(tmp_path: Path) -> None:
    rows = [row(n, options=["x", "y", "x", "z"], answer="C", answer_index=2) for n in range(40)]
    one = world(items=write(tmp_path / "items.json", rows)).questions(0)[0]
    assert (one.choices, one.answer) == (("x", "y", "z"), "x")


def test_inputs_are_the_files(original: str) -> None:
    assert world().inputs() == ()
    assert world(items=original, unrelated="forms").inputs() == (Path(original),)


def test_a_workspace_is_looked_in(original: str, tmp_path: Path) -> None:
    folder = tmp_path / "ws/datasets/lirefs"
    folder.mkdir(parents=True)
    Path(original).rename(folder / "items.json")
    for name in ("lirefs", "lirefs/items.json", "datasets/lirefs"):
        made = world(items=name, workspace=tmp_path / "ws")
        assert len(made.questions(0)) == 120
        assert made.inputs() == (folder / "items.json",)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"items": "fact-and-sums"}, "did you mean 'facts-and-sums'"),
        (
            {"items": {"path": "forms", "parts": "test"}},
            "items.parts: unknown key; did you mean 'part'",
        ),
        ({"splits": {"train": 0.7, "dev": 0.3}}, "some must be left"),
        ({"threshold": 1.0}, "less than 1"),
    ],
)
def test_bad_settings_are_told(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        validate(Observed, values, "study").questions(0)
