"""One launcher for any number of runs at once: calls go in from any thread, and each run is told
of its own progress and losses only.
"""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from typing import Self

from seedbed.runs.here import places
from seedbed.runs.launch import Call, Launch, Launcher, Report, T, Told, start

Start = Callable[[Launch, int, Path, Report, Told], Launcher]


class Dispatcher:
    """A launcher of the place that `launch` names, started when the first call needs it.

    `threads` are torch threads a worker, `folder` is the store's. Leaving the block waits for
    calls that run and lets go of the workers; calls that do not run yet are given up if the block
    was left by an exception.
    """

    def __init__(self, launch: Launch, threads: int, folder: Path, start: Start = start) -> None:
        self.launch, self.threads, self.folder = launch, threads, folder
        self._start = start
        self._launcher: Launcher | None = None
        self._lock, self._starting = threading.Lock(), threading.Lock()
        self._unstarted: Exception | None = None
        self._tokens = itertools.count()
        self._runs: dict[int, tuple[Report, Told]] = {}
        self._names: dict[str, int] = {}
        self._made: dict[str, Future[None]] = {}
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(cancel=kind is not None)

    @property
    def workers(self) -> int | None:
        """So many calls run at once; None: as many as there is room for."""
        if self.launch.on == "here":
            return places(self.launch, self.threads)
        return self.launch.workers

    @property
    def broken(self) -> Exception | None:
        """Why nothing can run here, whoever asks: no start, or the launcher broke; else None."""
        with self._lock:
            launcher = self._launcher
        return self._unstarted if launcher is None else launcher.broken

    def enter(self, report: Report, told: Told) -> int:
        """Register a run; the token it submits with."""
        with self._lock:
            token = next(self._tokens)
            self._runs[token] = report, told
        return token

    def leave(self, token: int) -> None:
        """Tell this run nothing more."""
        with self._lock:
            self._runs.pop(token, None)

    def begin(self) -> None:
        """Start the launcher, if it is not; raises as `submit` does."""
        self._started()

    def submit(self, token: int, call: Call[T], name: str) -> "Future[T]":
        """Have the call of the run with `token` run; see `Launcher.submit`.

        Raises CancelledError once the block was left, what the start raised if there was none.
        """
        launcher = self._started()
        with self._lock:
            self._names[name] = token
        future = launcher.submit(partial(_addressed, token, call), name)
        future.add_done_callback(lambda _: self._forget(name))
        return future

    def reserve(self, key: str) -> "Future[None] | None":
        """None where no run makes what has this `key`: the caller does, and ends with `release`.

        Otherwise a future that is done when the other run is through, well or not.
        """
        with self._lock:
            if (other := self._made.get(key)) is None:
                self._made[key] = Future()
        return other

    def release(self, key: str) -> None:
        """Whoever reserved `key` is through with it."""
        with self._lock:
            mine = self._made.pop(key)
        mine.set_result(None)

    def close(self, *, cancel: bool = False) -> None:
        """Let go of the workers, if any were started; nothing more can be submitted."""
        with self._lock:
            self._closed = True
            launcher, self._launcher = self._launcher, None
        if launcher is not None:
            launcher.close(cancel=cancel)

    def _started(self) -> Launcher:
        # Not under the other lock: a launcher that starts may have something to tell.
        with self._starting:
            with self._lock:
                if self._closed:
                    raise CancelledError
                if self._launcher is not None:
                    return self._launcher
            if self._unstarted is not None:
                raise self._unstarted
            try:
                launcher = self._start(
                    self.launch, self.threads, self.folder, self._report, self._told
                )
            except Exception as error:
                self._unstarted = error
                raise
            if self._keep(launcher):
                return launcher
        launcher.close(cancel=True)
        raise CancelledError

    def _keep(self, launcher: Launcher) -> bool:
        """Whether the block has not been left meanwhile."""
        with self._lock:
            if not self._closed:
                self._launcher = launcher
            return not self._closed

    def _forget(self, name: str) -> None:
        with self._lock:
            self._names.pop(name, None)

    def _report(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        token, _, plain = name.partition("|")
        with self._lock:
            report = self._runs.get(int(token), (None, None))[0]
        if report is not None:
            report(seed, plain, done, total, text)

    def _told(self, line: str) -> None:
        with self._lock:
            named = {token for name, token in self._names.items() if name in line}
            # A loss that names no call, such as that of a whole node, concerns everybody.
            tokens = named or set(self._runs)
            told = [self._runs[token][1] for token in sorted(tokens) if token in self._runs]
        for tell in told:
            tell(line)


def _addressed(token: int, call: Call[T], report: Report) -> T:
    # Launchers carry names as they are, so the run's token travels in them.
    return call(
        lambda seed, name, done, total, text: report(seed, f"{token}|{name}", done, total, text)
    )
