import os
import shutil
from pathlib import Path

import pytest
from tests.runs.made import config_of, write_run

from seedbed.core.files import read_json, write_json
from seedbed.runs import tidy
from seedbed.runs.record import locked
from seedbed.runs.store import Stage, Store, link_tree
from seedbed.runs.tidy import Item, take_away, tidying


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    write_run(root / "old", started="2026-11-01T00:00:00+00:00")
    write_run(root / "new", started="2026-11-02T00:00:00+00:00")
    write_run(root / "other", config_of(threads=2))
    return root


def _paths(items: tuple[Item, ...]) -> list[str]:
    return [item.path.name for item in items]


def _stage(store: Store, name: str, key: dict[str, object], text: str) -> Stage:
    def make(part: Path) -> None:
        (part / "out").write_text(text)

    made = store.stage(name, key, make)
    os.utime(made.folder, (1e9, 1e9))
    return made


def _shown(root: Path) -> dict[str, Stage]:
    """A store with the stages of `old` and `other` as a study leaves them, and of nobody."""
    store = Store(root / ".store")
    made: dict[str, Stage] = {}
    for run in ("old", "other", "gone"):
        data = _stage(store, "data", {"of": run}, run)
        train = _stage(store, "train", {"data": data.digest}, f"{run} weights")
        find = _stage(store, "find", {"train": train.digest}, f"{run} claim")
        score = _stage(store, "score", {"claims": [[0, "find", find.digest]]}, f"{run} scores")
        again = _stage(store, "retrain", {"data": data.digest}, f"{run} again")
        made |= {f"{run} {s.name}": s for s in (data, train, find, score, again)}
        if run != "gone":
            link_tree(data.folder, root / run / "seeds" / "0" / "shown-data")
            link_tree(train.folder, root / run / "seeds" / "0" / "shown-train")
            # A claim is shown without the mark of its stage.
            os.link(find.folder / "out", root / run / "seeds" / "0" / "claim")
    return made


def test_nothing_is_asked_of_whole_runs(root: Path) -> None:
    found = tidying(root, ("unfinished", "damaged", "stages"))
    assert (found.items, found.bytes, found.stays) == ((), 0, ())


def test_each_kind_of_run(root: Path) -> None:
    (root / "other" / "manifest.json").unlink()
    shutil.copytree(root / "new", root / "bad")
    (root / "bad" / "gate.json").write_text("[")
    assert _paths(tidying(root, ("unfinished",)).items) == ["other"]
    assert _paths(tidying(root, ("damaged",)).items) == ["bad"]
    older = tidying(root, ("older",))
    assert _paths(older.items) == ["old"]
    assert str(root / "new") in older.items[0].why
    everything = tidying(root, tidy.WHATS)
    assert sorted(_paths(everything.items)) == ["bad", "old", "other"]
    assert take_away(everything) == []
    assert sorted(p.name for p in root.iterdir()) == ["new"]


def test_a_stopped_run_is_no_better_version(root: Path) -> None:
    told = read_json(root / "new" / "manifest.json")
    write_json(root / "new" / "manifest.json", {**told, "stopped": "not learned"})
    assert _paths(tidying(root, ("older",)).items) == ["new"]


def test_bytes_count_what_no_other_link_keeps(root: Path) -> None:
    size = sum(p.stat().st_size for p in (root / "old").rglob("*") if p.is_file())
    model = root / "old" / "seeds" / "0" / "train" / "subject" / "model.safetensors"
    os.link(model, root / "kept")
    assert tidying(root, ("older",)).bytes == size - model.stat().st_size


def test_a_run_that_is_being_written_stays(root: Path) -> None:
    (root / "other" / "manifest.json").unlink()
    (root / "old" / "manifest.json").unlink()
    before = tidying(root, ("unfinished",))
    assert sorted(_paths(before.items)) == ["old", "other"]
    with locked(root / "other"):
        found = tidying(root, ("unfinished",))
        assert _paths(found.items) == ["old"]
        assert found.stays == (f"{root / 'other'}: is being written now",)
        assert take_away(before) == [f"{root / 'other'}: is being written now"]
    assert (root / "other").is_dir()
    assert not (root / "old").exists()


def test_a_run_that_went_on_meanwhile_stays(root: Path) -> None:
    told = (root / "other" / "manifest.json").read_text()
    (root / "other" / "manifest.json").unlink()
    found = tidying(root, ("unfinished",))
    (root / "other" / "manifest.json").write_text(told)
    assert take_away(found) == [f"{root / 'other'}: is no longer unfinished"]
    assert (root / "other").is_dir()


def test_stages_that_a_run_was_made_from_stay(root: Path) -> None:
    made = _shown(root)
    found = tidying(root, ("stages",))
    gone = {made[f"gone {name}"].folder for name in ("data", "train", "find", "score", "retrain")}
    assert {item.path for item in found.items} == gone
    take_away(found)
    for name, stage in made.items():
        assert stage.folder.exists() != name.startswith("gone")


def test_stages_go_with_the_run_that_goes(root: Path) -> None:
    made = _shown(root)
    found = tidying(root, ("older", "stages"))
    assert {i.path for i in found.items if i.what == "stages"} == {
        s.folder for name, s in made.items() if not name.startswith("other")
    }
    links = sum(s.folder.joinpath("out").stat().st_size for n, s in made.items()
                if n.startswith("old"))  # fmt: skip
    assert found.bytes > links


def test_an_unfinished_run_keeps_the_whole_store(root: Path) -> None:
    _shown(root)
    (root / "other" / "manifest.json").unlink()
    found = tidying(root, ("stages",))
    assert found.items == ()
    assert f"{root / 'other'} is unfinished and would go on from it" in found.stays[0]
    with_it = tidying(root, ("stages", "unfinished"))
    assert {item.what for item in with_it.items} == {"stages", "unfinished"}


def test_an_unfinished_sweep_keeps_the_whole_store(root: Path) -> None:
    _shown(root)
    (root / "sweep").mkdir()
    (root / "sweep" / "config.yaml").write_text("study: x\nvary: {k: [1]}\n")
    assert "sweep is unfinished" in tidying(root, ("stages",)).stays[0]
    write_json(root / "sweep" / "sweep.json", {})
    assert tidying(root, ("stages",)).stays == ()


def test_young_stages_stay(root: Path) -> None:
    made = _shown(root)
    os.utime(made["gone data"].folder)
    found = tidying(root, ("stages",))
    assert made["gone data"].folder not in {item.path for item in found.items}
    assert found.stays == (f"{root / '.store'}: 1 stage younger than an hour stays",)


def test_parts_and_stages_without_a_mark_go(root: Path) -> None:
    _shown(root)
    for name in ("train-0123456789abcdef.part-xyz", "data-0123456789abcdef"):
        (root / ".store" / name).mkdir()
        (root / ".store" / name / "half").write_text("x")
        os.utime(root / ".store" / name, (1e9, 1e9))
    whys = {i.path.name: i.why for i in tidying(root, ("stages",)).items}
    assert whys["train-0123456789abcdef.part-xyz"] == "not whole"
    assert whys["data-0123456789abcdef"] == "not whole"


def test_an_interrupted_prune_is_finished_by_the_next(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    found = tidying(root, ("older",))
    with monkeypatch.context() as patched:
        patched.setattr("seedbed.runs.tidy.shutil.rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            take_away(found)
    assert not (root / "old").exists()
    again = tidying(root, ())
    assert [item.what for item in again.items] == ["trash"]
    take_away(again)
    assert sorted(p.name for p in root.iterdir()) == ["new", "other"]


def test_what_may_be_no_run_and_what_lies_elsewhere_stays(root: Path) -> None:
    (root / "new" / "config.yaml").unlink()
    (root / "mine").mkdir()
    (root / "mine" / "config.yaml").write_text("port: 80\n")
    write_run(root.parent / "far" / "run", started="2026-10-01T00:00:00+00:00")
    (root / "far").symlink_to(root.parent / "far" / "run")
    (root / "other" / "scores.json").write_text("[")
    found = tidying(root, ("damaged", "older"))
    assert _paths(found.items) == ["other"]
    assert sorted(Path(line.partition(":")[0]).name for line in found.stays) == ["mine", "new"]
