"""Launching here: worker processes of this machine, or this very process for one worker.

A call starts while memory is left for it; one whose process dies is tried again in a new one.
"""

import atexit
import math
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from seedbed.core.errors import ConfigError, LostError
from seedbed.runs.distant import DistantTraceback
from seedbed.runs.launch import Call, Launch, Report, T, Told
from seedbed.runs.memory import cores, memory, resident
from seedbed.runs.store import code_digest

RESERVE = 0.1
"""This part of the memory stays free, unless a worker's need is given."""
LOOK_SECONDS = 0.5
"""A call that waits for memory is looked at so often."""


def places(launch: Launch, threads: int) -> int:
    """So many workers, each with `threads` torch threads: as asked, or by cores.

    Not more than there are GPUs for, where a worker needs any.
    """
    count = launch.workers or max(1, cores() // threads)
    return min(count, max(1, len(_shares(launch.gpus)))) if launch.gpus else count


def start_here(launch: Launch, threads: int, report: Report, told: Told) -> "Inline | Processes":
    """Worker processes, or for one worker this process.

    Raises ConfigError if a worker needs more GPUs than this machine shows.
    """
    if launch.gpus and not _shares(launch.gpus):
        raise ConfigError(
            f"gpus: a worker needs {launch.gpus:g}, this machine shows {len(_visible())}"
        )
    count = places(launch, threads)
    return Inline(report) if count == 1 else Processes(launch, count, report, told)


def _visible() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip()]
    found = Path("/proc/driver/nvidia/gpus")
    return [str(k) for k, _ in enumerate(found.iterdir())] if found.is_dir() else []


def _shares(gpus: float) -> list[str]:
    """The GPUs of each worker that there is room for, if each needs `gpus`; half a GPU is shared
    by two.
    """
    names = _visible()
    if gpus < 1:
        return [name for name in names for _ in range(int(1 / gpus))]
    size = math.ceil(gpus)
    return [",".join(names[k : k + size]) for k in range(0, len(names) - size + 1, size)]


class Inline:
    """Runs a call where it is submitted, one at a time."""

    broken = None

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()

    def submit(self, call: Call[T], name: str) -> "Future[T]":
        """A future that is done."""
        future: Future[T] = Future()
        with self._lock:
            try:
                future.set_result(call(self._report))
            except Exception as error:
                future.set_exception(error)
        return future

    def close(self, *, cancel: bool = False) -> None:
        """Nothing runs."""


@dataclass
class _Wanted:
    name: str
    payload: Any
    future: "Future[Any]"
    begun: bool = False
    losses: int = 0


@dataclass
class _Worker:
    process: Any
    pipe: Any
    place: int
    doing: _Wanted | None = None


class Processes:
    """At most `count` spawned worker processes, each running one call after another.

    A call starts if, with every running one grown to what one needs, memory is left: the
    launch's `memory` a worker, or else the most that any call's process has taken so far, with
    a tenth of all memory in reserve. One call always runs. Calls start in the order submitted.
    """

    def __init__(self, launch: Launch, count: int, report: Report, told: Told) -> None:
        self.count, self._launch, self._report, self._told = count, launch, report, told
        self.need = launch.memory or 0.0
        self._waiting: deque[_Wanted] = deque()
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()
        self._closing = self._cancelled = self._rung = False
        self._broken: Exception | None = None
        self._context = get_context("spawn")
        self._bell, self._ringer = self._context.Pipe(duplex=False)
        self._thread = threading.Thread(target=self._attend, name="workers", daemon=True)
        self._thread.start()
        # Without this, a program that forgot to close would wait for its idle workers.
        atexit.register(self._leave)

    @property
    def broken(self) -> Exception | None:
        """What ended the thread that hands out calls, if anything did."""
        return self._broken

    def submit(self, call: Call[T], name: str) -> "Future[T]":
        """Run `call` in the next worker that is free."""
        future: Future[T] = Future()
        payload = bytes(ForkingPickler.dumps(call))
        with self._lock:
            if self._broken is not None:
                raise self._broken
            if self._closing:
                raise RuntimeError("submitted to workers that were let go of")
            self._waiting.append(_Wanted(name, payload, future))
            self._ring()
        return future

    def close(self, *, cancel: bool = False) -> None:
        """Wait for what runs (`cancel`: give up what does not run yet) and end the processes."""
        with self._lock:
            self._closing = True
            if cancel:
                self._cancelled = True
                for wanted in self._waiting:
                    wanted.future.cancel()
            self._ring()
        self._thread.join()
        atexit.unregister(self._leave)

    def _leave(self) -> None:
        self.close(cancel=True)

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._ringer.send_bytes(b"")

    def _attend(self) -> None:
        try:
            while self._start_calls():
                self._listen()
        except Exception as error:
            # Whoever waits for a future must not wait for ever.
            with self._lock:
                self._closing, self._broken = True, error
                calls = [*self._waiting, *(w.doing for w in self._workers if w.doing)]
            for wanted in calls:
                if not wanted.future.done():
                    wanted.future.set_exception(error)
        finally:
            for worker in self._workers:
                worker.pipe.close()
            for worker in self._workers:
                worker.process.join()

    def _start_calls(self) -> bool:
        """Give calls to workers; whether anything runs or may come."""
        while (wanted := self._next()) is not None:
            try:
                worker = next((w for w in self._workers if w.doing is None), None) or self._spawn()
            except OSError as error:
                with self._lock:
                    self._waiting.appendleft(wanted)
                raise LostError(f"a worker process cannot be started: {error}") from error
            worker.doing = wanted
            try:
                worker.pipe.send_bytes(wanted.payload)
            except OSError:
                # It had died while it had nothing to do, which loses nothing.
                worker.doing = None
                self._lost(worker)
                with self._lock:
                    self._waiting.appendleft(wanted)
        with self._lock:
            busy = any(w.doing for w in self._workers) or bool(self._waiting)
            return busy or not self._closing

    def _next(self) -> _Wanted | None:
        """The next call if a worker and memory are left for it."""
        running = [w for w in self._workers if w.doing is not None]
        with self._lock:
            while self._waiting:
                wanted = self._waiting[0]
                if wanted.future.cancelled():
                    self._waiting.popleft().future.set_running_or_notify_cancel()
                elif wanted.begun and self._cancelled:
                    self._waiting.popleft().future.set_exception(_stopped(wanted))
                elif len(running) >= self.count or (running and not self._fits(running)):
                    return None
                elif wanted.begun or wanted.future.set_running_or_notify_cancel():
                    wanted.begun = True
                    return self._waiting.popleft()
                else:
                    # Cancelled a moment ago, and now told so.
                    self._waiting.popleft()
        return None

    def _fits(self, running: list[_Worker]) -> bool:
        now = memory()
        if now is None:
            return True
        growing = sum(max(0.0, self.need - resident(w.process.pid)[0]) for w in running)
        idle = next((w for w in self._workers if w.doing is None), None)
        has = resident(idle.process.pid)[0] if idle is not None else 0.0
        reserve = 0.0 if self._launch.memory else RESERVE * now.total
        return now.left - growing - max(0.0, self.need - has) >= reserve

    def _spawn(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        place = min(set(range(self.count)) - {w.place for w in self._workers})
        gpus = _shares(self._launch.gpus)[place] if self._launch.gpus else None
        process = self._context.Process(
            target=_work, args=(theirs, gpus, code_digest()), name="seedbed worker"
        )
        try:
            process.start()
        finally:
            theirs.close()
        self._workers.append(_Worker(process, ours, place))
        return self._workers[-1]

    def _listen(self) -> None:
        """Wait for news of workers or calls, or for memory."""
        pipes: dict[Any, _Worker] = {w.pipe: w for w in self._workers}
        ends: dict[Any, _Worker] = {w.process.sentinel: w for w in self._workers}
        running = sum(w.doing is not None for w in self._workers)
        short = bool(self._waiting) and 0 < running < self.count
        ready = wait([self._bell, *pipes, *ends], LOOK_SECONDS if short else None)
        if self._bell in ready:
            with self._lock:
                self._bell.recv_bytes()
                self._rung = False
        for pipe in pipes.keys() & ready:
            self._hear(pipes[pipe])
        for end in ends.keys() & ready:
            # What it said before it ended is heard first, down to the end of its pipe.
            if ends[end] in self._workers and not ends[end].pipe.poll():
                self._lost(ends[end])

    def _hear(self, worker: _Worker) -> None:
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            self._lost(worker)
            return
        if not self._launch.memory:
            self.need = max(self.need, resident(worker.process.pid)[1])
        if kind == "progress":
            self._report(*value)
            return
        wanted, worker.doing = worker.doing, None
        assert wanted is not None
        if kind == "result":
            wanted.future.set_result(value)
        else:
            error, trace = value
            error.__cause__ = DistantTraceback(trace)
            wanted.future.set_exception(error)

    def _lost(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        wanted = worker.doing
        if wanted is None:
            return
        if self._cancelled:
            wanted.future.set_exception(_stopped(wanted))
            return
        wanted.losses += 1
        how = _ending(worker.process.exitcode)
        if wanted.losses > self._launch.retries:
            times = "once" if wanted.losses == 1 else f"{wanted.losses} times"
            wanted.future.set_exception(
                LostError(
                    f"{wanted.name}: a worker process died {times} at this ({how});"
                    " fewer --workers if memory is short; run again to go on"
                )
            )
            return
        self._told(
            f"{wanted.name}: its worker process died ({how});"
            f" tried again ({wanted.losses} of {self._launch.retries})"
        )
        with self._lock:
            self._waiting.appendleft(wanted)


def _stopped(wanted: _Wanted) -> LostError:
    return LostError(f"{wanted.name}: stopped")


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, as when memory runs out" if name == "SIGKILL" else name


def _work(pipe: "Connection[Any, Any]", gpus: str | None, code: str) -> None:
    """What a worker process does: calls, one after another, until its pipe is closed.

    `code` is the digest of who started the run: what other code makes is another result.
    """
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus

    def report(seed: int, name: str, done: int, total: int, text: str) -> None:
        pipe.send(("progress", (seed, name, done, total, text)))

    try:
        while True:
            payload = pipe.recv_bytes()
            try:
                if code_digest() != code:
                    raise ConfigError(
                        f"the code in {Path(__file__).parents[1]} has changed since the run began;"
                        " start it again"
                    )
                answer = ForkingPickler.dumps(("result", pickle.loads(payload)(report)))
            except BaseException as error:
                answer = ForkingPickler.dumps(("error", (_portable(error), traceback.format_exc())))
            pipe.send_bytes(answer)
    except (EOFError, OSError, KeyboardInterrupt):
        # The process that submits has ended or has no more calls.
        return


def _portable(error: BaseException) -> BaseException:
    """`error` if another process can read it, else one that says the same."""
    try:
        found: BaseException = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return found
