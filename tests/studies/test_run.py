"""The whole chain on the smallest study: same bytes whatever happens on the way."""

import json
import random
import shutil
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from tests.studies.working import run_study

from seedbed.core.errors import ConfigError, GateError
from seedbed.core.files import read_json
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.launch import Launch
from seedbed.studies import run
from seedbed.studies.study import Study, load_study

TIMES = ("seconds", "peak_mib", "epochs")


def _scores(folder: Path) -> list[dict[str, Any]]:
    rows = json.loads((folder / "scores.json").read_text())
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


@pytest.fixture
def reference_run(
    small_study: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run folder of the small study, made once for all tests; its store lies beside it."""
    folder = tmp_path_factory.getbasetemp() / "reference" / "run"
    if not (folder / "manifest.json").exists():
        run(load_study(small_study()), folder, workers=1)
    return folder


@pytest.fixture
def reference(reference_run: Path) -> list[dict[str, Any]]:
    return _scores(reference_run)


def test_it_finds_what_was_planted(reference: list[dict[str, Any]]) -> None:
    keyed = {(r["finder"], r["metric"], r["slice"]): r for r in reference}
    oracle = keyed["oracle", "average_precision", "all"]
    found = keyed["bm25", "average_precision", "all"]
    chance = keyed["chance", "average_precision", "all"]
    assert oracle["value"] == 1
    assert found["low"] > chance["high"]
    assert found["seeds"] == [0, 1]


def test_workers_change_nothing_and_a_second_run_makes_nothing(
    small_study: Callable[..., Path], tmp_path: Path, reference: list[dict[str, Any]],
    two_workers: Dispatcher,
) -> None:  # fmt: skip
    study = load_study(small_study())
    folder = run(study, tmp_path / "two" / "run", launcher=two_workers)
    assert _scores(folder) == reference
    first = read_json(folder / "manifest.json")
    assert first["stages_made"] == 2 * (3 + 3)
    before = (folder / "scores.json").read_bytes()
    run(study, folder, workers=2)
    again = read_json(folder / "manifest.json")
    assert (again["stages_made"], again["stages_taken"]) == (0, 12)
    assert (folder / "scores.json").read_bytes() == before
    replayed = run(load_study(folder / "config.yaml"), tmp_path / "two" / "replay", workers=1)
    assert read_json(replayed / "manifest.json")["stages_made"] == 0
    assert _scores(replayed) == reference


def test_a_place_that_cannot_start_costs_no_results(
    small_study: Callable[..., Path], tmp_path: Path, reference_run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    folder = tmp_path / "run"
    shutil.copytree(reference_run, folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(ConfigError, match="gpus: a worker needs 1"):
        run(load_study(small_study()), folder, launch=Launch(gpus=1))
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_killed_again_and_again_it_ends_with_the_same_scores(
    small_study: Callable[..., Path], tmp_path: Path, reference: list[dict[str, Any]],
    begin_process: Callable[..., BaseProcess],
) -> None:  # fmt: skip
    path, folder = small_study(), tmp_path / "killed" / "run"
    store = folder.with_name(".store")
    rng = random.Random(0)
    for _ in range(6):
        process = begin_process(run_study, path, folder)
        # Not before it has added to what the others left.
        there = set(store.rglob("*"))
        while process.is_alive() and not set(store.rglob("*")) - there:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.6))
        process.kill()
        process.join()
    run(load_study(path), folder, workers=1)
    assert _scores(folder) == reference


def test_an_untrained_subject_stops_at_the_gate(
    small_study: Callable[..., Path], tmp_path: Path
) -> None:
    path = small_study(training={"steps": 1, "batch": 4, "optimizer": {"lr": 1e-6}})
    with pytest.raises(GateError, match=r"not learned.*topic=ownership \(seed \d\): accuracy"):
        run(load_study(path), tmp_path / "run", workers=1)
    assert not (tmp_path / "run" / "scores.json").exists()
    assert not list((tmp_path / "run").rglob("find-*"))
    assert "not learned" in read_json(tmp_path / "run" / "manifest.json")["stopped"]
    rows = read_json(tmp_path / "run" / "gate.json")
    assert len(rows) == 2
    assert not any(r["passed"] for r in rows)


def test_a_change_makes_only_what_depends_on_it(
    small_study: Callable[..., Path], reference_run: Path
) -> None:
    study = load_study(small_study(), ("finders.1.k1=2.0",))
    made = read_json(run(study, reference_run.with_name("b"), workers=1) / "manifest.json")
    assert (made["stages_made"], made["stages_taken"]) == (2, 10)


def test_choices_that_a_world_refuses_stop_before_training(
    quadrants_study: dict[str, Any], tmp_path: Path
) -> None:
    from seedbed.core.rows import Question
    from seedbed.studies.stages import make_subject

    study = Study.model_validate(quadrants_study)
    asked = Question(id="q", prompt="F[+1.00,+1.00]dog=", choices=(" yes", " no way"),
                     answer=" yes")  # fmt: skip

    def refuse(lengths: Mapping[str, int]) -> None:
        assert lengths == {" yes": 1, " no way": 2}
        raise ConfigError("two lengths")

    with pytest.raises(ConfigError, match="two lengths"):
        make_subject(study.subject, study.training, [], [asked], [], 0, tmp_path, check=refuse)
    with pytest.raises(ConfigError, match="'no' has 2 tokens and 'yes' 1"):
        study.world.check_labels({" yes": 1, " no": 2})
