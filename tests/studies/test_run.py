"""The whole chain on the smallest study: same bytes whatever happens on the way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import ConfigError, GateError
from seedbed.core.files import read_json
from seedbed.studies import run
from seedbed.studies.study import Study, load_study

TIMES = ("seconds", "peak_mib", "epochs")


def _scores(folder: Path) -> list[dict[str, Any]]:
    rows = json.loads((folder / "scores.json").read_text())
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


@pytest.fixture
def reference(small_study: Callable[..., Path], tmp_path: Path) -> list[dict[str, Any]]:
    return _scores(run(load_study(small_study()), tmp_path / "reference" / "run", workers=1))


def test_it_finds_what_was_planted(reference: list[dict[str, Any]]) -> None:
    keyed = {(r["finder"], r["metric"], r["slice"]): r for r in reference}
    oracle = keyed["oracle", "average_precision", "all"]
    found = keyed["bm25", "average_precision", "all"]
    chance = keyed["chance", "average_precision", "all"]
    assert oracle["value"] == 1
    assert found["low"] > chance["high"]
    assert found["seeds"] == [0, 1]


def test_workers_change_nothing_and_a_second_run_makes_nothing(
    small_study: Callable[..., Path], tmp_path: Path, reference: list[dict[str, Any]]
) -> None:
    study = load_study(small_study())
    folder = run(study, tmp_path / "two" / "run", workers=2)
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


def test_killed_again_and_again_it_ends_with_the_same_scores(
    small_study: Callable[..., Path], tmp_path: Path, reference: list[dict[str, Any]]
) -> None:
    command = [sys.executable, "-m", "seedbed.cli.main", "run", str(small_study()),
               "--out", str(tmp_path / "killed" / "run"), "--workers", "1",
               "--no-report"]  # fmt: skip
    rng = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)  # fmt: skip
        time.sleep(rng.uniform(2.5, 5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert _scores(tmp_path / "killed" / "run") == reference


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
    small_study: Callable[..., Path], tmp_path: Path
) -> None:
    run(load_study(small_study()), tmp_path / "a", workers=1)
    run(load_study(small_study(), ("finders.1.k1=2.0",)), tmp_path / "b", workers=1)
    made = read_json(tmp_path / "b" / "manifest.json")
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
