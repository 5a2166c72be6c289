import json
import sys
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import DataError, InputError, MissingExtra
from seedbed.core.items import Item
from seedbed.worlds.observed.foreign import Fields
from seedbed.worlds.observed.source import Source, files_of, read_items


def row(**changes: Any) -> dict[str, Any]:
    kept = {"question": "Why?", "options": ["a", "b", "c"], "answer": "B", "category": "law"}
    return {k: v for k, v in {**kept, **changes}.items() if v is not ...}


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def one(tmp_path: Path, **changes: Any) -> Item:
    path = lines(tmp_path / "items.jsonl", row(**changes))
    return read_items(Source(path=str(path)))[0]


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({}, 1),
        ({"answer": 2}, 2),
        ({"answer": "c"}, 2),
        ({"answer": ..., "answer_index": 0}, 0),
        ({"answer": "C", "answer_index": 2}, 2),
        ({"options": ["N/A", "a", "b", "N/A"], "answer": "C"}, 1),
        ({"options": ["B", "A"], "answer": "B"}, 1),
    ],
)
def test_answers_are_letters_indices_or_options(
    tmp_path: Path, changes: dict[str, Any], target: int
) -> None:
    assert one(tmp_path, **changes).target == target


def test_keys_are_settings(tmp_path: Path) -> None:
    mmlu = Fields(options="choices", category="subject")
    path = lines(tmp_path / "x.jsonl", {"question": "Why?", "choices": ["a", "b"], "answer": 1,
                                        "subject": "anatomy"})  # fmt: skip
    item = read_items(Source(path=str(path), fields=mmlu))[0]
    assert (item.answer, item.category, item.id, item.score) == ("b", "anatomy", "item-1", None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": ..., "option": ["a"]}, "options: is missing; did you mean 'option'"),
        ({"question": " "}, "question: a text is needed"),
        ({"options": "abc"}, "options: a list of texts"),
        ({"options": ["a"]}, "two or more texts"),
        ({"options": ["a", ""]}, "two or more texts"),
        ({"options": [str(n) for n in range(27)]}, "at most 26 options"),
        ({"answer": "D"}, "answer: A to C, 0 to 2 or an option itself is needed, found 'D'"),
        ({"answer": 3}, "found 3"),
        ({"answer": True}, "found True"),
        ({"answer": None}, "an answer is needed"),
        ({"answer": ...}, "answer: is missing"),
        ({"answer": "B", "answer_index": 2}, "means option B, but answer_index means C"),
        ({"memory_reason_score": 1.2}, "memory_reason_score: a number from 0 to 1"),
        ({"memory_reason_score": "high"}, "a number from 0 to 1"),
        ({"memory_reason_score": True}, "a number from 0 to 1"),
        ({"memory_reason_score": float("nan")}, "a number from 0 to 1"),
        ({"category": 3}, "category: a text is needed"),
        ({"question_id": 7}, r"question_id '7' stands at 1 already"),
    ],
)
def test_unfit_rows_are_told_with_their_line(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = lines(tmp_path / "items.jsonl", row(question_id=7), row(**changes))
    with pytest.raises(DataError, match=said) as told:
        read_items(Source(path=str(path)))
    assert str(told.value).startswith(f"{path}:2: ")
    assert "\n" not in str(told.value)


def test_unfit_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    for text, said in (("{}", "a JSON list"), ("[]", "a JSON list"), ("[3]", ":1: a JSON object"),
                       ("[\n1,]", ":2: not JSON")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read_items(Source(path=str(path)))
    with pytest.raises(InputError, match="not found"):
        read_items(Source(path=str(tmp_path / "none.json")))


def test_categories_are_kept_by_name(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", row(), row(category="physics"))
    kept = read_items(Source(path=str(path), categories=("physics",)))
    assert [i.category for i in kept] == ["physics"]
    with pytest.raises(InputError, match="did you mean 'physics'"):
        read_items(Source(path=str(path), categories=("physic",)))


def test_a_folder_with_one_list_is_that_list(tmp_path: Path) -> None:
    path = lines(tmp_path / "items.jsonl", row())
    assert len(read_items(Source(path=str(tmp_path)))) == 1
    assert files_of(Source(path=str(tmp_path))) == (path,)
    lines(tmp_path / "more.jsonl", row())
    with pytest.raises(DataError, match=r"name one of them: items.jsonl, more.jsonl"):
        read_items(Source(path=str(tmp_path)))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.usefixtures("hub")
def test_data_sets_on_disk(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [row(question=f"Why {n}?", memory_reason_score=n / 10) for n in range(6)]
    wanted = [i.question for i in read_items(Source(path=str(lines(tmp_path / "x.jsonl", *rows))))]
    table = datasets.Dataset.from_list(rows)
    saved = tmp_path / "saved"
    datasets.DatasetDict({"test": table, "validation": table.select([0])}).save_to_disk(str(saved))
    items = read_items(Source(path=str(saved), part="test"))
    assert [i.question for i in items] == wanted
    assert items[3].score == pytest.approx(0.3)
    assert len(read_items(Source(path=str(saved), part="validation"))) == 1
    with pytest.raises(InputError, match="no split is called 'tests'; set 'part' to one of test"):
        read_items(Source(path=str(saved), part="tests"))
    assert files_of(Source(path=str(saved)))


def test_a_hub_id_in_the_cache(tmp_path: Path, hub: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = hub / "datasets--own--set" / "snapshots" / "abc"
    (folder / "data").mkdir(parents=True)
    rows = [row(question=f"Why {n}?") for n in range(4)]
    datasets.Dataset.from_list(rows).to_parquet(str(folder / "data" / "test-0.parquet"))
    items = read_items(Source(path="own/set", part="test"))
    assert [i.question for i in items] == [f"Why {n}?" for n in range(4)]


@pytest.mark.usefixtures("hub")
def test_without_the_package_its_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"seedbed\[harness\]"):
        read_items(Source(path="own/set"))
