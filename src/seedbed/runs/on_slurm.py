"""Launching under SLURM: calls lie in a folder, and jobs that submitit submits take them from it.

What is ours: few jobs serve many calls, states come from squeue alone (many clusters keep no
accounting), and a call whose job is lost is tried again and told.
"""

import pickle
import shutil
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seedbed.core.errors import ConfigError, LostError, SeedbedError
from seedbed.runs.distant import Ground, Progress, begin, fresh, put, settle
from seedbed.runs.launch import Call, Launch, Report, T, Told
from seedbed.runs.slurm_queue import PATIENCE_SECONDS, Queue, submitter
from seedbed.runs.spool import CALLS, DONE, ENDED, LOST, STOP, TAKEN, WAITS, Pilot

LOGS = "logs"
JOBS_MOST = 64
"""So many jobs at most where `workers` says nothing."""
ENDS_MOST = 100
"""So many jobs in a row may end by their time limit before one call is given up."""
STOP_SECONDS = 10


@dataclass
class _Call:
    name: str
    future: "Future[Any]"
    tries: int = 0
    losses: int = 0
    ends: int = 0


class OnSlurm:
    """Runs calls in jobs of SLURM, which must see the store's folder.

    Jobs are submitted when calls wait, as one array; each takes calls until none is left.
    """

    def __init__(
        self, launch: Launch, threads: int, folder: Path, report: Report, told: Told
    ) -> None:
        self._launch, self._told = launch, told
        self._most = launch.workers or JOBS_MOST
        send = submitter(launch, threads)
        self._queue = Queue(told)
        self._ground = Ground.under(folder)
        self._folder = self._ground.folder
        for name in (CALLS, TAKEN, DONE, LOST):
            (self._folder / name).mkdir()
        self._send = partial(send, self._folder / LOGS)
        self._progress = Progress(self._ground, report)
        self._calls: dict[str, _Call] = {}
        self._count = self._barren = 0
        self._useful: set[str] = set()
        self._kept: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = self._cancelled = False
        self._broken: Exception | None = None
        self._patient = 0.0
        self._thread = threading.Thread(target=self._attend, name="on-slurm", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> Exception | None:
        """Why SLURM runs none of the jobs, if it does not."""
        return self._broken

    def submit(self, call: Call[T], name: str) -> "Future[T]":
        """Have a job run `call`."""
        future: Future[T] = Future()
        with self._lock:
            if self._broken is not None:
                raise self._broken
            if self._closing:
                raise RuntimeError("the launcher is closed")
            key = f"{self._count:08d}"
            self._count += 1
            payload = pickle.dumps(call)
            # In this order: a file that belongs to no call is removed.
            self._calls[key] = _Call(name, future)
            try:
                put(self._folder / CALLS / f"{key}-0", payload)
            except SeedbedError:
                del self._calls[key]
                raise
        self._wake.set()
        return future

    def close(self, *, cancel: bool = False) -> None:
        """Wait for what was submitted; `cancel`: stop it, and its stages go on another time."""
        with self._lock:
            self._closing, self._cancelled = True, cancel
        self._wake.set()
        self._thread.join()
        (self._folder / STOP).touch()
        self._queue.stop(interrupt=cancel, seconds=STOP_SECONDS)
        for call in self._calls.values():
            if not call.future.cancel() and not call.future.done():
                call.future.set_exception(LostError(f"{call.name}: stopped"))
        self._tidy()

    def _attend(self) -> None:
        wait = WAITS[0]
        while True:
            with self._lock:
                if self._closing and (self._cancelled or not self._calls):
                    return
            self._wake.clear()
            try:
                busy = self._look()
            except Exception as error:
                # Whoever waits for a future must hear of it.
                known = isinstance(error, SeedbedError)
                self._give_up(error if known else SeedbedError(f"slurm: {error!r}"))
                continue
            wait = WAITS[0] if busy else min(wait * 1.5, WAITS[1])
            if self._wake.wait(wait if self._calls else None):
                # Calls come in bursts, and a burst is one array.
                time.sleep(WAITS[0])

    def _look(self) -> bool:
        """Everything that came about since the last look; whether anything did."""
        busy = self._collect()
        if not self._calls:
            return busy
        held = fresh(self._folder / TAKEN)
        for path in held:
            key, _, job = _parts(path)
            self._useful.add(job)
            if (call := self._calls.get(key)) is not None:
                begin(call.future)
        for path in fresh(self._folder / LOST):
            self._handed_back(path)
        for job, state in self._queue.ended():
            # What the job left before it ended is read first.
            busy = self._collect() or busy
            self._ended(job, state)
        for path in held:
            # Whoever held a call before squeue was asked, and waits to start, has lost it.
            if _parts(path)[2] in self._queue.waiting:
                self._restarted(path)
        for path in fresh(self._folder / CALLS):
            call = self._calls.get(_parts(path)[0])
            if call is None or call.future.cancelled():
                path.unlink(missing_ok=True)
                self._calls.pop(_parts(path)[0], None)
        self._progress.look()
        wanted = min(self._most, len(self._calls)) - len(self._queue.jobs)
        if wanted > 0 and time.monotonic() > self._patient:
            self._send_more(wanted)
        return busy

    def _send_more(self, count: int) -> None:
        try:
            self._queue.jobs.update(self._send([Pilot(self._ground) for _ in range(count)]))
        except ConfigError as error:
            if not self._queue.jobs:
                raise
            # Such as a limit on jobs a user; those that there are take all calls in time.
            self._patient = time.monotonic() + PATIENCE_SECONDS
            self._told(f"{error}; going on with {len(self._queue.jobs)} jobs")

    def _collect(self) -> bool:
        found = fresh(self._folder / DONE)
        for path in found:
            key, _, job = _parts(path)
            self._useful.add(job)
            self._barren = 0
            with self._lock:
                call = self._calls.pop(key, None)
            # A job that was thought lost may bring its outcome all the same: the first counts.
            if call is not None and begin(call.future):
                settle(call.future, path.read_bytes())
            path.unlink(missing_ok=True)
        return bool(found)

    def _handed_back(self, path: Path) -> None:
        """A job put a call back itself: its time was over, or SLURM has started it anew."""
        key, _, rest = _parts(path)
        job, _, why = rest.partition(".")
        call = self._calls.get(key)
        if call is None:
            path.unlink(missing_ok=True)
        elif why == ENDED:
            call.ends += 1
            over = f"{call.ends} jobs ended before it did; raise 'minutes'"
            if self._again(path, key, call, over if call.ends >= ENDS_MOST else ""):
                ended = f"job {job} reached its time limit or made room"
                self._told(f"{call.name}: {ended}; it goes on")
        else:
            self._restarted(path)

    def _restarted(self, path: Path) -> None:
        """A node failed, and SLURM starts the job that ran there anew."""
        key, _, rest = _parts(path)
        if (call := self._calls.get(key)) is not None:
            job = rest.partition(".")[0]
            self._lost(path, key, call, f"job {job} lost its node, and SLURM starts it again")

    def _ended(self, job: str, state: str) -> None:
        left = [p for p in fresh(self._folder / TAKEN) if _parts(p)[2] == job]
        what = f"job {job} ended as {state}{_quoted(self._last_words(job))}"
        for path in left:
            key = _parts(path)[0]
            if (call := self._calls.get(key)) is None:
                path.unlink(missing_ok=True)
            else:
                self._kept.add(job)
                self._lost(path, key, call, what)
        if not left and job not in self._useful and state != "COMPLETED":
            self._kept.add(job)
            self._barren += 1
            if self._barren > self._launch.retries:
                raise LostError(f"slurm: {self._barren} jobs in a row took no call; {what}")
            self._told(
                f"slurm: {what} before it took a call;"
                f" tried again ({self._barren} of {self._launch.retries})"
            )

    def _lost(self, path: Path, key: str, call: _Call, what: str) -> None:
        times = "once" if not call.losses else f"{call.losses + 1} times"
        final = call.losses >= self._launch.retries
        over = f"its job was lost {times}; the last time: {what}" if final else ""
        if self._again(path, key, call, over):
            call.losses += 1
            if not final:
                tried = f"tried again ({call.losses} of {self._launch.retries})"
                self._told(f"{call.name}: {what}; {tried}")

    def _again(self, path: Path, key: str, call: _Call, over: str) -> bool:
        """Offer a call again, or end it with what `over` says; False if a job was quicker."""
        target = self._folder / CALLS / f"{key}-{call.tries + 1}"
        try:
            path.unlink() if over else path.rename(target)
        except FileNotFoundError:
            return False
        call.tries += 1
        if over:
            with self._lock:
                self._calls.pop(key, None)
            if begin(call.future):
                call.future.set_exception(LostError(f"{call.name}: {over}"))
        return True

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            self._broken = error
            calls, self._calls = self._calls, {}
        for call in calls.values():
            if begin(call.future):
                call.future.set_exception(error)
        for path in fresh(self._folder / CALLS):
            path.unlink(missing_ok=True)

    def _last_words(self, job: str) -> str:
        for end in ("err", "out"):
            for path in sorted((self._folder / LOGS).glob(f"{job}_0_log.{end}")):
                lines = [x.strip() for x in path.read_text(errors="replace").splitlines()]
                # What srun adds when all is over says nothing about why.
                if words := [x for x in lines if x and "Force Terminated" not in x]:
                    return f"{path}: {words[-1]}"
        return ""

    def _tidy(self) -> None:
        """Logs of jobs that were lost stay where messages say; all else goes."""
        kept = tuple(f"{job}_0_log." for job in self._kept)
        for path in self._folder.iterdir():
            if path.name == LOGS and kept:
                for log in path.iterdir():
                    if not log.name.startswith(kept) or not log.stat().st_size:
                        log.unlink()
                with suppress(OSError):
                    path.rmdir()
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()


def _parts(path: Path) -> tuple[str, str, str]:
    """Key of the call, its try, and the job (in lost/ with why) that took it."""
    key, _, rest = path.name.partition("-")
    number, _, job = rest.partition(".")
    return key, number, job


def _quoted(words: str) -> str:
    return f" ({words})" if words else ""
