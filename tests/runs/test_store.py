import os
from collections.abc import Callable
from pathlib import Path

import pytest

from seedbed.core.errors import DiskError
from seedbed.core.files import read_json
from seedbed.runs.store import Store, code_digest, link_tree


def _write(text: str, calls: list[str]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        calls.append(text)
        (folder / "deep").mkdir(exist_ok=True)
        (folder / "deep" / "out.txt").write_text(text)

    return make


def test_a_stage_is_made_once_for_each_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    calls: list[str] = []
    first = store.stage("train", {"lr": 1}, _write("a", calls))
    again = store.stage("train", {"lr": 1}, _write("b", calls))
    other = store.stage("train", {"lr": 2}, _write("c", calls))
    assert calls == ["a", "c"]
    assert (first.taken, again.taken, other.taken) == (False, True, False)
    assert first.folder == again.folder != other.folder
    assert (again.folder / "deep" / "out.txt").read_text() == "a"


def test_a_failed_stage_keeps_its_part_and_is_never_taken(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "resume").write_text("place")
        (folder / ".x.1.ab.tmp").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.stage("train", {}, fail)
    assert store.take("train", {}) is None

    def go_on(folder: Path) -> None:
        assert (folder / "resume").read_text() == "place"
        (folder / "out").write_text("whole")

    stage = store.stage("train", {}, go_on)
    names = sorted(p.name for p in stage.folder.iterdir())
    assert names == ["out", "resume", "stage.json"]
    assert set(read_json(stage.folder / "stage.json")["files"]) == {"out", "resume"}


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "no mark"])
def test_a_damaged_stage_is_made_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    calls: list[str] = []
    folder = store.stage("data", {}, _write("whole", calls)).folder
    file = folder / "deep" / "out.txt"
    if damage == "cut":
        file.write_text("who")
    elif damage == "changed":
        file.write_text("WHOLE")
    elif damage == "gone":
        file.unlink()
    else:
        (folder / "stage.json").write_text("{")
    stage = store.stage("data", {}, _write("whole", calls))
    assert not stage.taken
    assert stage.remade
    assert calls == ["whole", "whole"]


def test_links_show_the_same_bytes_and_replace_what_was_there(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b" / "c"
    (source / "x").mkdir(parents=True)
    (source / "x" / "1").write_text("one")
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    link_tree(source, target)
    assert sorted(p.name for p in target.rglob("*")) == ["1", "x"]
    assert os.path.samefile(source / "x" / "1", target / "x" / "1")


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot write"):
        Store(tmp_path / "file" / "store").stage("x", {}, _write("a", []))


def test_the_code_digest_is_one_hash() -> None:
    assert len(code_digest()) == 64
