"""Many studies side by side: each is planned by a thread of this process, all share the workers.

Planning is light and waits most of the time, so a worker that one study leaves idle takes up
another's stage. What several studies need is made once, and each ends as it would alone.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from seedbed.core.errors import DiskError, GateError, InputError, MissingExtra
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.launch import Launch
from seedbed.runs.store import Stage, code_digest
from seedbed.studies.plan import Task
from seedbed.studies.run import run
from seedbed.studies.study import Study
from seedbed.studies.workers import Quiet, Reporter

MOST = 64
"""So many studies are planned at once, however many workers there are."""
FOR_EACH = 3
"""So many for each worker: one waits for the last of its finders, one is at its gate."""


@dataclass(frozen=True)
class Job:
    """One study, the run folder it goes into, and what it is called in a progress display."""

    study: Study
    folder: Path
    name: str = ""


@dataclass(frozen=True)
class Ended:
    """How one study ended: why it stopped ("" if it finished), and the wall seconds it took.

    `unfit` is the error where its input was wrong; None where it finished or stopped at the gate.
    """

    job: Job
    stopped: str
    unfit: InputError | None
    seconds: float


def run_many(
    jobs: Sequence[Job],
    launch: Launch,
    reporter: Reporter | None = None,
    at_once: int | None = None,
    begin: Callable[[Job], None] | None = None,
    launcher: Dispatcher | None = None,
) -> list[Ended]:
    """Run every job where `launch` says, or on `launcher`; how each ended, in the order given.

    At most `at_once` are planned at a time (default: three a worker); one worker runs them one
    after the other. A study that stops at its gate or whose input turns out unfit is recorded
    and the others go on. A place that cannot be reached, LostError, DiskError, MissingExtra,
    LockedError and an interrupt end all: what was made stays in the store, and the same call goes
    on from there. `begin` is told each job when its turn comes.
    """
    if not jobs:
        return []
    told = _Told(reporter or Quiet(), begin)
    if launcher is not None:
        return _run(jobs, launcher, told, at_once)
    threads = max(job.study.threads for job in jobs)
    with Dispatcher(launch, threads, jobs[0].folder.resolve().parent / ".store") as own:
        return _run(jobs, own, told, at_once)


class _Told:
    """One reporter for the threads of all studies, told by one of them at a time."""

    def __init__(self, reporter: Reporter, begin: Callable[[Job], None] | None) -> None:
        self.reporter, self._begin = reporter, begin
        self.lock = threading.Lock()
        self.over = False

    def begin(self, job: Job) -> None:
        with self.lock:
            if self.over:
                raise CancelledError
            if self._begin is not None:
                self._begin(job)


class _Named:
    """A reporter that says which study a stage is of."""

    def __init__(self, told: _Told, name: str) -> None:
        self._told, self._name = told, f"{name}: " if name else ""

    def stage(self, task: Task, stage: Stage) -> None:
        with self._told.lock:
            self._told.reporter.stage(replace(task, name=self._name + task.name), stage)

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        with self._told.lock:
            self._told.reporter.progress(seed, self._name + name, done, total, text)

    def lost(self, line: str) -> None:
        with self._told.lock:
            self._told.reporter.lost(line)


def _run(
    jobs: Sequence[Job], launcher: Dispatcher, told: _Told, at_once: int | None
) -> list[Ended]:
    workers = launcher.workers or MOST
    if workers == 1 and launcher.launch.on == "here":
        # One worker is this very thread.
        return [_one(job, launcher, told) for job in jobs]
    count = min(at_once or FOR_EACH * workers, MOST, len(jobs))
    # Reads all sources, once a process: not by every thread at its start.
    code_digest()
    ended: dict[int, Ended] = {}
    with ThreadPoolExecutor(count, thread_name_prefix="study") as pool:
        futures = {pool.submit(_one, job, launcher, told): i for i, job in enumerate(jobs)}
        try:
            for future in as_completed(futures):
                ended[futures[future]] = future.result()
        except BaseException:
            # Threads that wait for a call are told that it is given up, and end.
            told.over = True
            pool.shutdown(wait=False, cancel_futures=True)
            launcher.close(cancel=True)
            raise
    return [ended[i] for i in range(len(jobs))]


def _one(job: Job, launcher: Dispatcher, told: _Told) -> Ended:
    told.begin(job)
    clock, stopped, unfit = time.perf_counter(), "", None
    try:
        run(job.study, job.folder, None, _Named(told, job.name), launcher=launcher)
    except (DiskError, MissingExtra):
        raise
    except GateError as error:
        stopped = str(error)
    except InputError as error:
        if error is launcher.broken:
            raise
        stopped, unfit = str(error), error
    return Ended(job, stopped, unfit, time.perf_counter() - clock)
