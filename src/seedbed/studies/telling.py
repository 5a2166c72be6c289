"""A running study's progress.json: a reporter that passes everything on and keeps the file fresh.

The file is written a second after something happened, so at most once a second; a study that is
over before writes none, and no result depends on it.
"""

import os
import platform
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Timer
from typing import Self

from seedbed.core.errors import DiskError
from seedbed.core.files import write_json
from seedbed.core.progress import NAME, Ended, Now, Progress, Waiting
from seedbed.runs.record import now
from seedbed.runs.store import Stage, Store
from seedbed.studies.plan import Task
from seedbed.studies.workers import Reporter

EVERY = 1.0
"""Seconds from an event to the file."""
_WAITING, _NEWEST, _LOSSES = 60, 12, 20


class Telling:
    """Tells `reporter` and, while the block lasts, the file in `folder`."""

    def __init__(
        self, folder: Path, store: Store, reporter: Reporter, every: float = EVERY
    ) -> None:
        self._path, self._store, self._reporter, self._every = folder / NAME, store, reporter, every
        self._lock = Lock()
        self._timer: Timer | None = None
        self._open = False
        self._started = now()
        self._left: dict[tuple[int, str], Task] = {}
        self._now: dict[tuple[int, str], Now] = {}
        self._kinds: dict[str, list[int]] = {}
        self._done = self._taken = self._lost = 0
        self._seconds = 0.0
        self._newest: deque[Ended] = deque(maxlen=_NEWEST)
        self._losses: deque[str] = deque(maxlen=_LOSSES)

    def __enter__(self) -> Self:
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open = False
            if self._timer is not None:
                self._timer.cancel()
            with suppress(OSError):
                self._path.unlink()

    def planned(self, tasks: Sequence[Task]) -> None:
        """These are to be taken or made next."""
        with self._lock:
            for task in tasks:
                self._left[task.seed, task.name] = task
                self._kinds.setdefault(task.stage, [0, 0])[1] += 1
            self._soon()

    def stage(self, task: Task, stage: Stage) -> None:
        """A stage was made or taken."""
        self._reporter.stage(task, stage)
        with self._lock:
            self._left.pop((task.seed, task.name), None)
            self._now.pop((task.seed, task.name), None)
            self._kinds.setdefault(task.stage, [0, 0])[0] += 1
            self._done += 1
            self._taken += stage.taken
            self._seconds += 0.0 if stage.taken else stage.seconds
            self._newest.append(
                Ended(seed=task.seed, name=task.name, seconds=stage.seconds, taken=stage.taken)
            )
            self._soon()

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        """A running stage got this far."""
        self._reporter.progress(seed, name, done, total, text)
        with self._lock:
            self._now[seed, name] = Now(seed=seed, name=name, done=done, total=total, text=text)
            self._soon()

    def lost(self, line: str) -> None:
        """A worker, node or job was lost."""
        self._reporter.lost(line)
        with self._lock:
            self._losses.append(line)
            self._lost += 1
            self._soon()

    def _soon(self) -> None:
        if self._open and self._timer is None:
            self._timer = Timer(self._every, self._write)
            self._timer.daemon = True
            self._timer.start()

    def _write(self) -> None:
        with self._lock:
            self._timer = None
            if self._open:
                # Whoever looks on can wait; a study does not end for want of this file.
                with suppress(DiskError):
                    write_json(self._path, self._state().model_dump(mode="json"))

    def _state(self) -> Progress:
        first = list(self._left.values())[:_WAITING]
        return Progress(
            pid=os.getpid(),
            host=platform.node(),
            started=self._started,
            at=now(),
            planned=sum(planned for _, planned in self._kinds.values()),
            done=self._done,
            taken=self._taken,
            seconds=self._seconds,
            kinds=tuple((kind, done, planned) for kind, (done, planned) in self._kinds.items()),
            now=tuple(self._now.values()),
            waiting=tuple(
                Waiting(seed=t.seed, name=t.name, folder=self._store.place(t.stage, t.key)[1].name)
                for t in first
            ),
            newest=tuple(self._newest),
            losses=tuple(self._losses),
            lost=self._lost,
        )
