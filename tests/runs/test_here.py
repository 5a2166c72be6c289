import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.runs import distant_calls as calls

from seedbed.core.errors import ConfigError, LostError
from seedbed.runs import here
from seedbed.runs.here import Inline, Processes, start_here
from seedbed.runs.launch import Launch, Report
from seedbed.runs.memory import Memory, cores, memory, resident

Reports = list[tuple[Any, ...]]


@contextmanager
def _processes(told: list[str], reports: Reports, **launch: Any) -> Iterator[Processes]:
    config = Launch(**{"workers": 2, **launch})
    workers = start_here(config, 1, lambda *row: reports.append(row), told.append)
    assert isinstance(workers, Processes)
    try:
        yield workers
    finally:
        workers.close(cancel=True)


def test_calls_run_report_and_raise_in_workers_that_are_used_again(tmp_path: Path) -> None:
    told: list[str] = []
    reports: Reports = []
    with _processes(told, reports) as workers:
        squares = [workers.submit(calls.Square(n), f"square {n}") for n in range(6)]
        refused = workers.submit(calls.refuse, "refused")
        odd = workers.submit(calls.fail_oddly, "odd")
        with pytest.raises(ConfigError, match=r"^study\.yaml: no such thing$") as error:
            refused.result()
        assert "in refuse" in str(error.value.__cause__)
        with pytest.raises(RuntimeError, match="Odd: "):
            odd.result()
        assert [s.result() for s in squares] == [0, 1, 4, 9, 16, 25]
        assert len(workers._workers) == 2
        # A worker that was killed while it had nothing to do is no loss.
        for worker in workers._workers:
            worker.process.kill()
            worker.process.join()
        assert workers.submit(calls.Square(7), "again").result() == 49
    assert sorted(r for r in reports if r[0] == 3) == [
        (3, "square", k, 3, "counting") for k in (1, 2, 3)
    ]
    assert told == []


def test_a_killed_worker_is_replaced_and_its_call_alone_is_tried_again(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "once").mkdir()
    (tmp_path / "ever").mkdir()
    with _processes(told, [], retries=2) as workers:
        once = workers.submit(calls.DiesAtFirst(tmp_path / "once", 1), "seed 0, train")
        ever = workers.submit(calls.DiesAtFirst(tmp_path / "ever", 9), "seed 1, train")
        assert once.result() == 1
        with pytest.raises(
            LostError, match=r"^seed 1, train: a worker process died 3 times at this"
        ):
            ever.result()
        assert workers.submit(calls.Square(3), "next").result() == 9
    assert sorted(told) == [
        f"seed {seed}, train: its worker process died (SIGKILL, as when memory runs out);"
        f" tried again ({k} of 2)"
        for seed, k in ((0, 1), (1, 1), (1, 2))
    ]


def test_closing_gives_up_what_does_not_run(tmp_path: Path) -> None:
    told: list[str] = []
    reports: Reports = []
    with _processes(told, reports) as workers:
        running = [workers.submit(calls.Watched(tmp_path / "heard"), f"{k}") for k in (1, 2)]
        waiting = workers.submit(calls.Square(1), "waits")
        while len(reports) < 2:
            time.sleep(0.01)
        closing = threading.Thread(target=workers.close, kwargs={"cancel": True})
        closing.start()
        with pytest.raises(CancelledError):
            waiting.result()
        (tmp_path / "heard").touch()
        closing.join()
    assert [r.result() for r in running] == ["heard", "heard"]
    with pytest.raises(RuntimeError, match="let go of"):
        workers.submit(calls.Square(1), "late")


@pytest.mark.parametrize(("given", "left", "most"), [(4.0, 6.9, 1), (None, 1.9, 1), (None, 2.1, 2)])
def test_a_call_waits_for_memory_while_another_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: float | None, left: float, most: int
) -> None:
    looks: list[float] = []

    def look() -> Memory:
        looks.append(left)
        return Memory(10, left)

    # The first worker has 1 GiB: of 4 that it may need, or all that a worker is known to need;
    # unless that is given, 1 GiB of the 10 is held in reserve.
    monkeypatch.setattr(here, "memory", look)
    monkeypatch.setattr(here, "resident", lambda pid: (1.0, 1.0) if looks_at(pid) else (0.0, 0.0))
    monkeypatch.setattr(here, "LOOK_SECONDS", 0.005)

    def looks_at(pid: int) -> bool:
        return bool(pid == workers._workers[0].process.pid)

    reports: Reports = []
    with _processes([], reports, memory=given) as workers:
        first = workers.submit(calls.Watched(tmp_path / "heard"), "first")
        while not reports:
            time.sleep(0.005)
        second = workers.submit(calls.Watched(tmp_path / "heard"), "second")
        while len(reports) < most or len(looks) < 3 - most:
            time.sleep(0.005)
        (tmp_path / "heard").touch()
        assert (first.result(), second.result()) == ("heard", "heard")
        assert len(workers._workers) == most


def _machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = f"MemTotal: {16 * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {12 * 2**20} kB\n"


@pytest.mark.parametrize(
    ("files", "total", "left"),
    [
        ({}, 16, 12),
        # A limit of a group further up holds too, and the file cache is not taken.
        ({"proc/self/cgroup": "0::/job/step\n", "sys/fs/cgroup/job/step/memory.max": "max\n",
          "sys/fs/cgroup/job/memory.max": str(4 * 2**30),
          "sys/fs/cgroup/job/memory.current": str(3 * 2**30),
          "sys/fs/cgroup/job/memory.stat": f"anon 5\ninactive_file {2**30}\n"}, 4, 2),
        ({"proc/self/cgroup": "4:cpu,memory:/job\n0::/\n",
          "sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(8 * 2**30),
          "sys/fs/cgroup/memory/job/memory.usage_in_bytes": str(5 * 2**30),
          "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63)}, 8, 3),
    ],
)  # fmt: skip
def test_memory_is_what_the_tightest_limit_leaves(
    tmp_path: Path, files: dict[str, str], total: float, left: float
) -> None:
    root = _machine(tmp_path, {"proc/meminfo": MEMINFO, **files})
    assert memory(root) == Memory(total, left)


def test_where_the_system_tells_nothing_cores_alone_decide(tmp_path: Path) -> None:
    assert memory(tmp_path) is None
    assert resident(1, tmp_path) == (0, 0)
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "proc/1/status").write_text(f"Name: x\nVmHWM: {2**21} kB\nVmRSS: {2**20} kB\n")
    assert resident(1, tmp_path) == (1, 2)


@pytest.mark.parametrize(
    ("visible", "gpus", "shares"),
    [
        ("4,5,6", 1, ["4", "5", "6"]),
        ("4,5,6", 2, ["4,5"]),
        ("4,5", 0.5, ["4", "4", "5", "5"]),
        ("", 1, []),
    ],
)
def test_workers_share_out_the_gpus(
    monkeypatch: pytest.MonkeyPatch, visible: str, gpus: float, shares: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert here._shares(gpus) == shares
    assert here.places(Launch(workers=8, gpus=gpus), 1) == max(1, len(shares))
    if not shares:
        with pytest.raises(ConfigError, match="a worker needs 1, this machine shows 0"):
            here.start_here(Launch(gpus=gpus), 1, lambda *_: None, lambda _: None)


def test_a_worker_sees_its_gpus_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with _processes([], [], gpus=1, workers=2) as workers:
        assert workers.submit(calls.visible_gpus, "first").result() == "4"


def test_one_worker_is_this_process() -> None:
    reports: Reports = []
    inline = start_here(Launch(workers=1), 1, lambda *row: reports.append(row), lambda _: None)
    assert isinstance(inline, Inline)

    def call(report: Report) -> int:
        report(1, "name", 1, 1, "done")
        return os.getpid()

    def refuse(report: Report) -> None:
        raise ConfigError("no")

    assert inline.submit(call, "own").result() == os.getpid()
    assert reports == [(1, "name", 1, 1, "done")]
    assert isinstance(inline.submit(refuse, "refused").exception(), ConfigError)


def test_a_worker_that_cannot_be_started_is_told_to_whoever_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    with _processes([], []) as workers:
        monkeypatch.setattr(workers._context.Process, "start", refuse)
        first = workers.submit(calls.Square(1), "first")
        with pytest.raises(LostError, match=r"cannot be started: .*temporarily unavailable"):
            first.result()
        with pytest.raises(LostError, match="cannot be started"):
            workers.submit(calls.Square(2), "second")
        assert workers.broken is not None


def test_what_dies_while_all_is_given_up_is_not_tried_again(tmp_path: Path) -> None:
    told: list[str] = []
    with _processes(told, []) as workers:
        running = workers.submit(calls.Marked(tmp_path / "begun"), "runs")
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        closing = threading.Thread(target=workers.close, kwargs={"cancel": True})
        closing.start()
        while not workers._cancelled:
            time.sleep(0.01)
        workers._workers[0].process.kill()
        closing.join()
        with pytest.raises(LostError, match=r"^runs: stopped$"):
            running.result()
    assert told == []


def test_a_worker_with_other_code_makes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "code_digest", lambda: "before the edit")
    with _processes([], []) as workers:
        future = workers.submit(calls.Square(1), "square")
        with pytest.raises(ConfigError, match="has changed since the run began; start it again"):
            future.result()


@pytest.mark.parametrize(
    ("quota", "most"), [("max 100000", os.cpu_count() or 1), ("150000 100000", 1)]
)
def test_cores_are_those_of_the_container(tmp_path: Path, quota: str, most: int) -> None:
    files = {"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": f"{quota}\n"}
    assert 1 <= cores(_machine(tmp_path, files)) <= most
