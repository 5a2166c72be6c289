"""Calls and a study on a real SLURM of two nodes; jobs are killed, cancelled and out of time."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.runs import distant_calls as calls
from tests.runs.conftest import scores_of

from seedbed.core.errors import ConfigError, GateError, LostError, SeedbedError
from seedbed.core.files import read_json
from seedbed.runs import slurm_queue
from seedbed.runs.launch import Launch
from seedbed.runs.on_slurm import OnSlurm
from seedbed.studies import run
from seedbed.studies.study import Study

pytest.importorskip("submitit")
Report = Callable[..., None]


@pytest.fixture(autouse=True)
def _ask_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_queue, "POLLS", (0.3, 0.5))


@contextmanager
def _launcher(folder: Path, report: Report, told: list[str], **options: Any) -> Iterator[OnSlurm]:
    launch = Launch(on="slurm", **options)
    launcher = OnSlurm(launch, 1, folder, report, told.append)
    try:
        yield launcher
    finally:
        launcher.close()


def test_calls_come_back_as_what_they_are(
    slurm: Path, tmp_path: Path, report: Report, reports: list[tuple[Any, ...]]
) -> None:
    told: list[str] = []

    def hear(*row: Any) -> None:
        report(*row)
        (tmp_path / "heard").touch()

    with _launcher(tmp_path, hear, told, workers=2, memory=0.5) as launcher:
        squares = [launcher.submit(calls.Square(i), f"square {i}") for i in range(6)]
        watched = launcher.submit(calls.Watched(tmp_path / "heard"), "watched")
        refused = launcher.submit(calls.refuse, "refused")
        gate = launcher.submit(calls.stop_at_the_gate, "gate")
        odd = launcher.submit(calls.fail_oddly, "odd")
        assert [future.result() for future in squares] == [0, 1, 4, 9, 16, 25]
        assert watched.result() == "heard"
        with pytest.raises(ConfigError, match=r"^study.yaml: no such thing$") as wrong:
            refused.result()
        assert "in refuse" in str(wrong.value.__cause__)
        with pytest.raises(GateError, match="not learned") as stopped:
            gate.result()
        assert stopped.value.exit_code == 3
        with pytest.raises(SeedbedError, match="Odd: what it said"):
            odd.result()
    assert (7, "watched", 1, 2, "half") in reports
    assert told == []
    assert list((tmp_path / ".jobs").iterdir()) == []


def test_killed_and_cancelled_jobs_are_tried_again_until_lost(
    slurm: Path, tmp_path: Path, report: Report
) -> None:
    told: list[str] = []
    folders = [tmp_path / name for name in ("once", "twice", "cancelled")]
    for folder in folders:
        folder.mkdir()
    with _launcher(tmp_path, report, told, workers=3, retries=1) as launcher:
        once = launcher.submit(calls.DiesAtFirst(folders[0], 1), "dies once")
        twice = launcher.submit(calls.DiesAtFirst(folders[1], 2), "dies twice")
        cancelled = launcher.submit(calls.JobEndsAtFirst(folders[2], ("scancel",)), "is cancelled")
        assert once.result() == 1
        with pytest.raises(LostError, match=r"dies twice: its job was lost 2 times") as lost:
            twice.result()
        assert lost.value.exit_code == 5
        job, _ = cancelled.result()
    first = (folders[2] / "try-0").read_text()
    assert job != first
    lines = {line.split(":")[0]: line for line in told}
    assert sorted(lines) == ["dies once", "dies twice", "is cancelled"]
    assert "ended as FAILED" in lines["dies once"]
    assert "Killed); tried again (1 of 1)" in lines["dies once"]
    assert f"job {first} ended as CANCELLED" in lines["is cancelled"]
    kept = [path.name for path in (tmp_path / ".jobs").rglob("*") if path.is_file()]
    assert f"{first}_0_log.err" in kept
    assert all(name.endswith(("_log.err", "_log.out")) for name in kept)


def test_a_job_whose_time_is_over_goes_on_in_the_same_job(
    slurm: Path, tmp_path: Path, report: Report
) -> None:
    told: list[str] = []
    # The signal that SLURM itself sends before the time limit.
    end = ("scancel", "--signal=USR2")
    with _launcher(tmp_path, report, told, workers=1, retries=0, minutes=2) as launcher:
        future = launcher.submit(calls.JobEndsAtFirst(tmp_path, end), "long")
        job, restarts = future.result()
    assert (tmp_path / "try-0").read_text() == job
    assert restarts == "1"
    assert told == [f"long: job {job} reached its time limit or made room; it goes on"]


def test_giving_up_interrupts_what_runs_and_leaves_no_job(
    slurm: Path, tmp_path: Path, report: Report
) -> None:
    launcher = OnSlurm(Launch(on="slurm", workers=1), 1, tmp_path, report, print)
    running = launcher.submit(calls.Marked(tmp_path / "begun"), "runs")
    waiting = launcher.submit(calls.wait, "waits")
    while not ((tmp_path / "begun").exists() and running.running()):
        time.sleep(0.05)
    launcher.close(cancel=True)
    with pytest.raises(LostError, match="runs: stopped"):
        running.result()
    assert (tmp_path / "begun").read_text() == "let go"
    with pytest.raises(CancelledError):
        waiting.result()
    left = subprocess.run(["squeue", "-h", "-t", "PENDING,RUNNING"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert left.stdout == ""


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"options": {"partition": "nowhere"}}, ConfigError,
         "sbatch refuses the job: .*invalid partition specified: nowhere"),
        ({"setup": ("echo no module >&2", "exit 3"), "workers": 2}, LostError,
         r"jobs in a row took no call; job \d+(_\d)? ended as FAILED .*: no module"),
    ],
)  # fmt: skip
def test_what_slurm_refuses_is_said(
    slurm: Path, tmp_path: Path, report: Report, options: dict[str, Any], error: type, what: str
) -> None:
    with _launcher(tmp_path, report, [], retries=1, **options) as launcher:
        futures = [launcher.submit(calls.Square(i), f"square {i}") for i in range(2)]
        for future in futures:
            with pytest.raises(error, match=what):
                future.result()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"options": {"time": 10}}, "options.time: .* say 'minutes'"),
        ({"options": {"cpus-per-task": 2}}, "options.cpus_per_task: .* threads"),
        ({"gpus": 0.5}, r"whole GPUs only, not 0\.5"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_submitted(
    tmp_path: Path, report: Report, options: dict[str, Any], what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        OnSlurm(Launch(on="slurm", **options), 1, tmp_path, report, print)
    assert list(tmp_path.iterdir()) == []


def test_without_slurm_it_says_so(
    tmp_path: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no sbatch here"):
        OnSlurm(Launch(on="slurm"), 1, tmp_path, report, print)


def test_a_study_with_a_job_killed_midway_gives_the_same_scores(
    slurm: Path, tmp_path: Path, hops_small: Study, scores_here: str
) -> None:
    store = tmp_path / ".store"
    killed: list[int] = []

    def kill() -> None:
        # A training takes half a second: scancel's signal would come too late on an idle machine.
        while not killed:
            if list(store.glob("train-*.part-*")):
                killed.extend(_jobs_of(store))
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    folder = run(hops_small, tmp_path / "run", launch=Launch(on="slurm", workers=2))
    thread.join()
    assert scores_of(folder) == scores_here
    losses = read_json(folder / "manifest.json")["losses"]
    assert 1 <= len(losses) <= len(killed)
    assert all(re.search(r"job \d+\S* ended as", line) for line in losses)


def _jobs_of(store: Path) -> list[int]:
    """Processes of jobs that work for a store."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = path.read_bytes().decode(errors="replace")
            if str(store) in command and "submitit.core._submit" in command:
                found.append(int(path.parent.name))
    return found
