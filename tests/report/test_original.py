"""A run's results under the original's file names, against its own files read by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seedbed.core.errors import InputError
from seedbed.core.files import read_json, read_objects
from seedbed.report.original import export_original
from seedbed.studies.run import run
from seedbed.studies.study import load_study


def test_results_get_the_originals_names(small_study: Callable[..., Path], tmp_path: Path) -> None:
    study = load_study(small_study(seeds=[5], looks={"history": 12}, finders=["bm25"]))
    folder = run(study, tmp_path / "run", workers=1)
    before = sorted(p for p in folder.rglob("*") if p.is_file())
    written = export_original(folder, tmp_path / "out")
    assert [str(p.relative_to(tmp_path / "out")) for p in written] == [
        "seed_5/training_history.json", "seed_5/final_full_accuracy.json",
    ]  # fmt: skip
    assert sorted(p for p in folder.rglob("*") if p.is_file()) == before
    history, final = (read_json(p) for p in written)
    here = folder / "seeds" / "5"
    steps = [row for _, row in read_objects(here / "train" / "history.jsonl")]
    assert [row["step"] for row in history] == [
        c["step"] for c in read_json(here / "train" / "summary.json")["checkpoints"]
    ]
    assert len(history) > 1
    start, end = history[0]["step"], history[1]["step"]
    between = [row["loss"] for row in steps if start < row["step"] <= end]
    assert history[1]["train_loss"] == pytest.approx(sum(between) / len(between))
    assert history[-1]["epoch"] == pytest.approx(steps[-1]["epoch"])
    right = {row["id"]: row["correct"] for _, row in read_objects(here / "measure/answers.jsonl")}
    split = {row["id"]: row["split"] for _, row in read_objects(here / "data/questions.jsonl")}
    for name in set(split.values()):
        mine = [right[key] for key in right if split[key] == name]
        assert final["split"][name] == pytest.approx(sum(mine) / len(mine))
        assert name in history[-1]["accuracy"]
    assert final["trigger"] == {}


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        export_original(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
