import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.runs.made import config_of, write_run

from seedbed.core.errors import DiskError, InputError
from seedbed.runs import index as module
from seedbed.runs.index import NAME, Index, run_folders
from seedbed.runs.summary import read_summary
from seedbed.runs.wanted import Condition, Wanted, since


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three runs, one of them deeper, all older than a file system's tick; a store and a sweep."""
    root = tmp_path / "runs"
    write_run(root / "a", started="2026-11-01T00:00:00+00:00")
    other = config_of(name="b", world={"kind": "counting"})
    write_run(root / "b", other, skill=9.0, started="2026-11-02T00:00:00+00:00")
    write_run(root / "deep" / "c", started="2026-11-03T00:00:00+00:00")
    (root / "sweep").mkdir()
    (root / "sweep" / "config.yaml").write_text("study: a\nvary: {k: [1, 2]}\n")
    write_run(root / ".store" / "x")
    _age(root)
    return root


def _age(root: Path) -> None:
    for path in sorted(root.rglob("*")):
        os.utime(path, (1e9, 1e9))


def _names(index: Index, **wanted: Any) -> list[str]:
    return [run.folder.name for run in index.runs(Wanted(**wanted))]


def test_the_index_says_what_the_folders_say(root: Path) -> None:
    index = Index.open(root)
    assert index.refresh() == module.Refreshed(runs=3, read=3, gone=0)
    folders = [root / "a", root / "b", root / "deep" / "c"]
    assert index.runs() == [read_summary(f) for f in folders]
    again = Index.open(root)
    assert again.notes == []
    assert again.runs() == index.runs()
    assert [run.lines for run in again.runs(lines=False)] == [()] * 3


def test_only_what_changed_is_read_again(root: Path) -> None:
    Index.open(root).refresh()
    assert Index.open(root).refresh().read == 0
    (root / "a" / "missing.json").write_text("[]\n")
    shutil.rmtree(root / "b")
    index = Index.open(root)
    assert index.refresh() == module.Refreshed(runs=2, read=1, gone=1)
    assert index.runs()[0].missing == ()


def test_a_file_changed_within_a_tick_is_read_again(root: Path) -> None:
    path = root / "a" / "missing.json"
    path.write_text('[{"finder": "x", "reason": "1"}]')
    at = path.stat().st_mtime_ns
    Index.open(root).refresh()
    path.write_text('[{"finder": "x", "reason": "2"}]')
    os.utime(path, ns=(at, at))
    index = Index.open(root)
    index.refresh()
    assert index.runs()[0].missing == (("x", "2"),)


def test_unfinished_runs_are_read_each_time(root: Path) -> None:
    (root / "a" / "manifest.json").unlink()
    _age(root)
    Index.open(root).refresh()
    before = Index.open(root).runs()[0].bytes
    (root / "a" / "seeds" / "0" / "more").write_text("123")
    os.utime(root / "a" / "seeds", (1e9, 1e9))
    index = Index.open(root)
    index.refresh()
    assert index.runs()[0].bytes == before + 3


def test_deleting_it_loses_nothing(root: Path) -> None:
    index = Index.open(root)
    index.refresh()
    (root / NAME).unlink()
    again = Index.open(root)
    again.refresh()
    assert again.runs() == index.runs()
    assert again.rebuild().read == 3


def _text(path: Path) -> None:
    path.write_text("no database")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _holes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5000:20000] = bytes(15000)
    path.write_bytes(data)


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE runs (folder)")
    file.close()


def _older(path: Path) -> None:
    file = sqlite3.connect(path)
    file.execute("UPDATE made SET by = 'another'")
    file.commit()
    file.close()


@pytest.mark.parametrize("damage", [_text, _cut, _holes, _foreign, _older])
def test_a_file_that_cannot_be_trusted_is_made_anew(root: Path, damage: Any) -> None:
    first = Index.open(root)
    first.refresh()
    damage(root / NAME)
    index = Index.open(root)
    index.refresh()
    assert len(index.notes) == 1
    assert str(root / NAME) in index.notes[0]
    assert index.runs() == first.runs()
    assert Index.open(root).notes == []


def test_where_nobody_may_write_it_serves_from_memory(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> Any:
        raise DiskError(f"{path}: cannot write: Read-only file system")

    monkeypatch.setattr(module, "atomic_file", refuse)
    index = Index.open(root)
    index.refresh()
    assert "Read-only" in index.notes[0]
    assert len(index.runs()) == 3


def test_two_at_once_both_end_with_a_whole_file(root: Path) -> None:
    one, two = Index.open(root), Index.open(root)
    one.refresh()
    shutil.rmtree(root / "b")
    two.refresh()
    assert _names(Index.open(root)) == ["a", "c"]
    assert _names(one) == ["a", "b", "c"]


def test_filters(root: Path) -> None:
    index = Index.open(root)
    index.refresh()
    assert _names(index, world="hops") == ["a", "c"]
    assert _names(index, study="[bc]") == ["b"]
    assert _names(index, finder="gradients") == ["a", "b", "c"]
    assert _names(index, finder="gradients-d*", world="count*") == ["b"]
    assert _names(index, finder="ekfac") == []
    assert _names(index, since="2026-11-02") == ["b", "c"]
    best = {r.folder.name: max(ln.value or 0 for ln in r.lines if ln.kind == "gradients"
            and ln.metric == "average_precision") for r in index.runs()}  # fmt: skip
    assert best["b"] > best["a"]
    above = Condition("average_precision", ">", best["a"])
    assert _names(index, where=(above,)) == ["b"]
    assert _names(index, where=(above,), finder="chance") == []
    assert index.values("world") == ["counting", "hops"]


def test_conditions_and_ages_are_read() -> None:
    assert Condition.read("recall@10 >= 0.5") == Condition("recall@10", ">=", 0.5)
    assert Condition.read("top10:evidence:0<=1e-1") == Condition("top10:evidence:0", "<=", 0.1)
    for wrong in ("0.5", "ap>", "ap>high", "ap~0.5"):
        with pytest.raises(InputError, match="METRIC>NUMBER"):
            Condition.read(wrong)
    now = datetime(2026, 11, 8, tzinfo=UTC)
    assert since("7d", now) == "2026-11-01T00:00:00+00:00"
    assert since("2026-11-01T02:00+02:00") == "2026-11-01T00:00:00+00:00"
    with pytest.raises(InputError, match="7d"):
        since("soon")


def test_what_is_no_folder_of_runs(root: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Index.open(root / "nowhere")
    with pytest.raises(InputError, match="is a run"):
        Index.open(root / "a")
    with pytest.raises(InputError, match="is not under"):
        Index.open(root).refresh([root.parent])
    assert [p.name for p in run_folders(root, depth=1)] == ["a", "b", "sweep"]


def test_links_and_runs_that_lost_their_configuration(root: Path) -> None:
    write_run(root.parent / "elsewhere")
    (root / "elsewhere").symlink_to(root.parent / "elsewhere")
    (root / "again").symlink_to(root / "a")
    (root / "round").symlink_to(root)
    (root / "b" / "config.yaml").unlink()
    index = Index.open(root)
    index.refresh()
    assert {r.folder.name: r.state for r in index.runs()} == {
        "a": "finished", "b": "damaged", "c": "finished", "elsewhere": "finished",
    }  # fmt: skip
