"""The measured truth within a study: the bank is made once, resumes, and marks every claim."""

import shutil
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.studies.working import run_study

from seedbed.core.files import read_json
from seedbed.core.outcomes import Outcomes
from seedbed.runs.dispatch import Dispatcher
from seedbed.studies import run
from seedbed.studies.study import load_study

TIMES = ("seconds", "peak_mib", "epochs")
BANK = {"subsets": 4, "keep": 0.6}


@pytest.fixture
def bank_study(small_study: Callable[..., Path]) -> Path:
    return small_study(measured=BANK, seeds=[0], finders=[{"kind": "bm25"}])


@pytest.fixture
def bank_run(bank_study: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `bank_study` with a store of its own, copied from one made for all tests."""
    made = tmp_path_factory.getbasetemp() / "bank" / "run"
    if not (made / "manifest.json").exists():
        run(load_study(bank_study), made, workers=1)
    return Path(shutil.copytree(made.parent, tmp_path / "bank")) / made.name


def _rows(folder: Path) -> list[dict[str, Any]]:
    rows = read_json(folder / "scores.json")
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def _bank(store: Path) -> list[Path]:
    return sorted(store.glob("retrain-????????????????"))


def test_every_claim_is_marked_against_both_truths(
    small_study: Callable[..., Path], bank_run: Path
) -> None:
    bank = {**BANK, "groups": 2, "removal": {"questions": 1, "top": [2]}}
    study = small_study(measured=bank, seeds=[0], finders=[{"kind": "bm25"}])
    # Nothing and the subsets are in the store.
    folder = run(load_study(study), bank_run.with_name("more"), workers=1)
    # Nothing, subsets, groups, and the top 2 of two finders and the labels.
    rows = 1 + 4 + 2 + 3
    outcomes = Outcomes.load(folder / "seeds" / "0" / "effects" / "outcomes.npz")
    assert outcomes.outputs.shape[:2] == (rows, 2)
    assert np.isfinite(outcomes.outputs).all()
    keyed = {(r["finder"], r["truth"], r["metric"], r["slice"]): r for r in _rows(folder)}
    for finder in ("bm25", "chance", "labels", "oracle"):
        for metric in ("lds", "group_r"):
            row = keyed[finder, "measured", metric, "all"]
            assert row["chance"] == 0
            assert row["oracle"] == keyed["oracle", "measured", metric, "all"]["value"]
            assert row["low"] <= row["value"] <= row["high"]
    drop = keyed["labels", "measured", "drop@2", "all"]
    assert drop["chance"] == keyed["chance", "measured", "drop@2", "all"]["value"]
    assert drop["oracle"] == drop["value"]
    assert ("labels", "declared", "average_precision", "all") not in keyed
    cost = read_json(folder / "seeds" / "0" / "effects" / "cost.json")
    assert cost["subjects"] == 2 * rows
    assert cost["epochs"] > 1


def test_workers_change_nothing_and_one_damaged_subject_is_made_again(
    bank_study: Path, bank_run: Path, two_workers: Dispatcher, tmp_path: Path
) -> None:
    study, one = load_study(bank_study), bank_run
    two = run(study, tmp_path / "b" / "run", launcher=two_workers)
    assert _rows(one) == _rows(two)
    outcomes = "seeds/0/effects/outcomes.npz"
    assert (one / outcomes).read_bytes() == (two / outcomes).read_bytes()
    run(study, one, workers=1)
    assert read_json(one / "manifest.json")["stages_made"] == 0
    store = one.with_name(".store")
    shard = _bank(store)[2] / "outputs.json"
    shard.write_text(shard.read_text().replace("e", "f", 1) + " ")
    stamps = {p: p.stat().st_mtime_ns for p in _bank(store)}
    run(study, one, workers=1)
    assert read_json(one / "manifest.json")["stages_made"] == 1
    changed = [p for p, at in stamps.items() if p.stat().st_mtime_ns != at]
    assert changed == [shard.parent]
    assert _rows(one) == _rows(two)


def test_killed_in_the_middle_of_the_bank_it_goes_on(
    bank_study: Path, bank_run: Path, begin_process: Callable[..., BaseProcess], tmp_path: Path
) -> None:
    folder = tmp_path / "killed" / "run"
    process = begin_process(run_study, bank_study, folder)
    deadline = time.monotonic() + 120
    while len(_bank(tmp_path / "killed" / ".store")) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    there = len(_bank(tmp_path / "killed" / ".store"))
    assert 3 <= there < 8
    run(load_study(bank_study), folder, workers=1)
    made = read_json(folder / "manifest.json")
    assert made["stages_taken"] >= 3 + there
    assert _rows(folder) == _rows(bank_run)


def test_a_longer_bank_and_another_finder_reuse_what_is_there(
    small_study: Callable[..., Path], bank_run: Path
) -> None:
    longer = small_study(measured={**BANK, "subsets": 5}, seeds=[0],
                         finders=[{"kind": "bm25"}, {"kind": "longest_match"}])  # fmt: skip
    folder = run(load_study(longer), bank_run.with_name("longer"), workers=1)
    # One subset under two seeds and one finder (the chance row and the rest are there).
    assert read_json(folder / "manifest.json")["stages_made"] == 2 + 1


def test_a_finder_that_cannot_run_is_named_and_the_others_go_on(
    small_study: Callable[..., Path], bank_run: Path, tmp_path: Path
) -> None:
    source = tmp_path / "absent.py"
    source.write_text(
        "from seedbed.finders.base import Finder\n\n\n"
        "class Absent(Finder):\n    kind: str = 'absent'\n\n"
        "    def unavailable(self) -> str:\n        return 'it is not installed'\n"
    )
    study = small_study(seeds=[0], finders=[{"kind": "bm25"}, {"kind": f"{source}:Absent",
                                                               "label": "absent"}])  # fmt: skip
    folder = run(load_study(study), bank_run.with_name("lacking"), workers=1)
    assert read_json(folder / "missing.json") == [
        {"finder": "absent", "reason": "it is not installed"}
    ]
    assert {r["finder"] for r in _rows(folder)} == {"bm25", "chance", "oracle"}


def test_without_a_bank_there_is_no_measured_truth(
    small_study: Callable[..., Path], bank_run: Path
) -> None:
    folder = run(load_study(small_study(seeds=[0])), bank_run.with_name("none"), workers=1)
    assert {r["truth"] for r in _rows(folder)} == {"declared"}
    assert not (folder / "seeds" / "0" / "effects").exists()
