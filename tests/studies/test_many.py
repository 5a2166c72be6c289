"""Studies side by side on shared workers: what each leaves is what it leaves alone."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import ConfigError, LostError
from seedbed.core.files import read_json
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.launch import Call, Launch, Report, T, Told
from seedbed.runs.store import Stage
from seedbed.studies import run
from seedbed.studies.many import Job, run_many
from seedbed.studies.plan import Task
from seedbed.studies.study import Study, load_study

LOCK = threading.Lock()


class Threads:
    """Runs each call in a thread of its own, one after the other: torch seeds are a process's."""

    def __init__(self, fails: Callable[[str], Exception | None] = lambda name: None) -> None:
        self.fails = fails
        self.names: list[str] = []
        self.over = False
        self.broken: Exception | None = None

    def __call__(
        self, launch: Launch, threads: int, folder: Path, report: Report, told: Told
    ) -> "Threads":
        self.report = report
        return self

    def submit(self, call: Call[T], name: str) -> "Future[T]":
        self.names.append(name)
        future: Future[T] = Future()

        def work() -> None:
            with LOCK:
                if self.over or not future.set_running_or_notify_cancel():
                    future.cancel()
                    return
                try:
                    if (error := self.fails(name)) is not None:
                        raise error
                    future.set_result(call(self.report))
                except Exception as error:
                    future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future

    def close(self, *, cancel: bool = False) -> None:
        self.over = True


class Heard:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, bool]] = []

    def stage(self, task: Task, stage: Stage) -> None:
        self.stages.append((task.name, stage.taken))

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        pass

    def lost(self, line: str) -> None:
        pass


@pytest.fixture
def studies(small_study: Callable[..., Path]) -> dict[str, Study]:
    """Three of one subject: two finders' settings, and one whose gate none passes."""
    path = small_study(seeds=[0], finders=[{"kind": "bm25"}])
    changes = {"a": (), "b": ("finders.0.k1=0.5",), "stopped": ("training.steps=1",)}
    return {name: load_study(path, sets) for name, sets in changes.items()}


def side_by_side(
    studies: dict[str, Study], folder: Path, launcher: Threads, heard: Heard | None = None
) -> list[Any]:
    jobs = [Job(study, folder / name, name) for name, study in studies.items()]
    with Dispatcher(Launch(workers=3), 1, folder / ".store", launcher) as shared:
        return run_many(jobs, Launch(), heard, launcher=shared)


def files(folder: Path) -> dict[str, bytes]:
    """Everything that does not tell times."""
    skip = (
        "cost.json",
        "stage.json",
        "manifest.json",
        "scores.json",
        "summary.json",
        "history.jsonl",
    )
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in skip and not p.name.startswith(".")
    }


def scores(folder: Path) -> list[dict[str, Any]]:
    times = ("seconds", "peak_mib", "epochs")
    return [
        {k: v for k, v in r.items() if k not in times} for r in read_json(folder / "scores.json")
    ]


def test_each_ends_as_it_does_alone_and_what_they_share_is_made_once(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    heard, launcher = Heard(), Threads()
    ended = side_by_side(studies, tmp_path / "many", launcher, heard)
    assert [e.job.name for e in ended] == ["a", "b", "stopped"]
    assert [bool(e.stopped) for e in ended] == [False, False, True]
    assert "not learned" in ended[2].stopped
    assert ended[2].unfit is None
    alone = run(studies["b"], tmp_path / "alone" / "b", workers=1)
    assert files(alone) == files(tmp_path / "many" / "b")
    assert scores(alone) == scores(tmp_path / "many" / "b")
    made = [read_json(tmp_path / "many" / n / "manifest.json") for n in studies]
    # Rows 1, subjects 2, answers 2, chance 1, one for each setting of the finder.
    assert sum(m["stages_made"] for m in made) == 8
    assert sum(m["stages_taken"] for m in made) == 5 + 5 + 3 - 8
    store = tmp_path / "many" / ".store"
    assert len([p for p in store.glob("train-*") if p.is_dir()]) == 2
    assert {name.partition(": ")[0] for name, _ in heard.stages} == {"a", "b", "stopped"}


def test_unfit_input_of_one_is_recorded_and_a_lost_worker_ends_all(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    values = studies["a"].model_dump(mode="json")
    values["training"]["optimizer"] |= {"lr": 1e30, "clip": 0}
    jobs = {"unfit": Study.model_validate(values), "a": studies["a"]}
    ended = side_by_side(jobs, tmp_path / "many", Threads())
    assert [bool(e.unfit) for e in ended] == [True, False]
    assert "the loss is" in ended[0].stopped

    def fails(name: str) -> Exception | None:
        return LostError("a node is gone") if "find-bm25" in name else None

    with pytest.raises(LostError, match="a node is gone"):
        side_by_side(studies, tmp_path / "lost", Threads(fails))
    assert (
        not list((tmp_path / "lost").glob("*/manifest.json"))
        or not (tmp_path / "lost" / "a" / "scores.json").exists()
    )
    again = side_by_side(studies, tmp_path / "lost", Threads())
    assert [bool(e.stopped) for e in again] == [False, False, True]
    assert scores(tmp_path / "lost" / "a") == scores(tmp_path / "many" / "a")


def test_one_worker_runs_them_in_turn(studies: dict[str, Study], tmp_path: Path) -> None:
    begun: list[str] = []
    jobs = [Job(studies[n], tmp_path / "runs" / n, n) for n in ("stopped", "a")]
    ended = run_many(jobs, Launch(workers=1), begin=lambda job: begun.append(job.name))
    assert begun == ["stopped", "a"]
    assert [bool(e.stopped) for e in ended] == [True, False]
    assert run_many([], Launch()) == []


def test_nothing_is_submitted_once_all_is_over(tmp_path: Path) -> None:
    with Dispatcher(Launch(workers=2), 1, tmp_path, Threads()) as shared:
        token = shared.enter(lambda *_: None, lambda _: None)
        assert shared.submit(token, lambda report: 7, "seven").result() == 7
        assert shared.reserve("x") is None
        other = shared.reserve("x")
        assert other is not None
        assert not other.done()
        shared.release("x")
        assert other.done()
        assert shared.reserve("x") is None
    with pytest.raises(CancelledError):
        shared.submit(token, lambda report: 7, "seven")


def test_a_place_that_cannot_be_reached_ends_all(studies: dict[str, Study], tmp_path: Path) -> None:
    tries: list[str] = []

    def begins(launch: Launch, threads: int, folder: Path, report: Report, told: Told) -> Threads:
        tries.append(launch.on)
        raise ConfigError("--on: ray://head:10001 cannot be reached: nobody listens")

    jobs = [Job(study, tmp_path / name, name) for name, study in studies.items()]
    with (
        Dispatcher(Launch(workers=3), 1, tmp_path / ".store", begins) as shared,
        pytest.raises(ConfigError, match=r"^--on: .* nobody listens$"),
    ):
        run_many(jobs, Launch(), launcher=shared)
    assert tries == ["here"]
