"""progress.json of a running study: what it says, when, and that it is gone at the end."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import GateError
from seedbed.core.files import read_json, write_text
from seedbed.core.progress import NAME, Progress
from seedbed.report.running import state_of
from seedbed.runs.store import Stage, Store
from seedbed.studies.plan import Task
from seedbed.studies.telling import Telling
from seedbed.studies.workers import Quiet


class Heard(Quiet):
    """A reporter that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def stage(self, task: Task, stage: Stage) -> None:
        self.lines.append((task.name, stage.taken))

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        self.lines.append((seed, name, done, total, text))

    def lost(self, line: str) -> None:
        self.lines.append(line)


def task(seed: int, name: str) -> Task:
    return Task(seed, name, name, {"seed": seed}, lambda folder, progress: None)


def stage_of(one: Task, taken: bool) -> Stage:
    return Stage(one.stage, Path(), "", 2.0, 0.0, taken)


def written(path: Path, done: Callable[[Progress], bool]) -> Progress:
    """The file once it says what is waited for."""
    for _ in range(1000):
        if path.exists() and done(found := Progress.model_validate(read_json(path))):
            return found
        time.sleep(0.005)
    raise AssertionError(f"{path} does not say it")


def test_the_file_says_what_is_done_and_what_runs(tmp_path: Path) -> None:
    store, heard = Store(tmp_path / ".store"), Heard()
    tasks = [task(seed, name) for seed in (0, 1) for name in ("data", "train")]
    path = tmp_path / "run" / NAME
    with Telling(tmp_path / "run", store, heard, every=0.01) as telling:
        telling.planned(tasks)
        telling.stage(tasks[0], stage_of(tasks[0], taken=False))
        telling.stage(tasks[2], stage_of(tasks[2], taken=True))
        telling.progress(0, "train", 3, 10, "loss 1.0")
        telling.lost("lost worker 1; tried again")
        found = written(path, lambda p: p.lost == 1)
    assert (found.planned, found.done, found.taken, found.seconds) == (4, 2, 1, 2.0)
    assert found.kinds == (("data", 2, 2), ("train", 0, 2))
    assert [(n.seed, n.name, n.done, n.total) for n in found.now] == [(0, "train", 3, 10)]
    assert [(w.seed, w.folder) for w in found.waiting] == [
        (seed, store.place("train", {"seed": seed})[1].name) for seed in (0, 1)
    ]
    assert [(e.seed, e.name, e.taken) for e in found.newest] == [
        (0, "data", False), (1, "data", True),
    ]  # fmt: skip
    assert found.losses == ("lost worker 1; tried again",)
    assert heard.lines == [("data", False), ("data", True), (0, "train", 3, 10, "loss 1.0"),
                           "lost worker 1; tried again"]  # fmt: skip
    assert not path.exists()


def test_a_study_that_is_over_at_once_writes_nothing(tmp_path: Path) -> None:
    before = threading.active_count()
    with Telling(tmp_path, Store(tmp_path), Quiet(), every=60) as telling:
        telling.planned([task(0, "data")])
        telling.progress(0, "data", 1, 1, "")
    assert not (tmp_path / NAME).exists()
    for _ in range(1000):
        if threading.active_count() <= before:
            break
        time.sleep(0.005)
    assert threading.active_count() <= before


def test_a_study_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> None:
        with Telling(tmp_path, Store(tmp_path), Quiet(), every=0.01) as telling:
            telling.planned([task(0, "data")])
            written(tmp_path / NAME, lambda p: p.planned == 1)
            raise ValueError("it broke")

    with pytest.raises(ValueError, match="it broke"):
        broken()
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with Telling(tmp_path / "file" / "run", Store(tmp_path), Quiet(), every=0.001) as telling:
        telling.planned([task(0, "data")])
        time.sleep(0.05)
        telling.planned([task(1, "data")])


def test_a_real_study_is_seen_while_it_runs(
    small_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from seedbed.studies import run, telling
    from seedbed.studies.study import load_study

    out = tmp_path / "runs" / "one"
    states: list[dict[str, Any]] = []

    class Looking(Quiet):
        def stage(self, task: Task, stage: Stage) -> None:
            if not states:
                # What the first stage said is in the file before the second is begun.
                written(out / NAME, lambda p: p.planned > 0)
            states.append(state_of(out))

    monkeypatch.setattr(telling.Telling.__init__, "__defaults__", (0.001,))
    study = load_study(small_study(seeds=[0], training={"steps": 2, "batch": 4}))
    with pytest.raises(GateError):
        run(study, out, workers=1, reporter=Looking())
    assert {s["state"] for s in states} == {"running"}
    assert states[0]["stages"]["planned"] == len(states) == 3
    assert not (out / NAME).exists()
    assert state_of(out)["state"] == "stopped"
    assert state_of(out)["gate"] != []
