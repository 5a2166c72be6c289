"""Calls that run on another machine: what a worker must share with who submits them, what it
does with a call, and how outcome and progress come back. Ray and SLURM have this in common.
"""

import json
import os
import pickle
import platform
import time
import traceback
import uuid
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedbed.core.errors import ConfigError, SeedbedError
from seedbed.core.files import atomic_file, write_text
from seedbed.runs.launch import Report
from seedbed.runs.record import now
from seedbed.runs.store import code_digest

JOBS = ".jobs"
PROGRESS = "progress"
SHIPPED = ("HF_", "TOKENIZERS_PARALLELISM", "OMP_", "MKL_", "TRANSFORMERS_")
"""Environment variables that begin so are a worker's too, unless it has its own."""
EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Ground:
    """What a worker shares with who submits: the folder, the code, the place paths start from."""

    folder: Path
    code: str
    start: str
    environ: dict[str, str]

    @classmethod
    def under(cls, store: Path) -> "Ground":
        """A new folder for one launcher in `.jobs` of the store."""
        name = f"{now()[:19].replace(':', '')}-{uuid.uuid4().hex[:6]}"
        folder = store.resolve() / JOBS / name
        (folder / PROGRESS).mkdir(parents=True)
        environ = {k: v for k, v in os.environ.items() if k.startswith(SHIPPED)}
        return cls(folder, code_digest(), str(Path.cwd()), environ)

    def enter(self) -> None:
        """Raises ConfigError if this machine sees another disk or runs other code."""
        host = platform.node()
        if not self.folder.is_dir():
            store = self.folder.parents[1]
            raise ConfigError(
                f"{host} sees no {store} of this run: the run folder must lie on a disk that"
                " every node shares"
            )
        if code_digest() != self.code:
            raise ConfigError(
                f"{host}: the code in {Path(__file__).parents[1]} is not that of who started the"
                " run, or has changed since; share one environment and start again"
            )
        for name, value in self.environ.items():
            os.environ.setdefault(name, value)
        with suppress(OSError):
            # Paths in a study are relative to where the command was given.
            os.chdir(self.start)


class DistantTraceback(Exception):
    """The traceback of a worker, as text; the cause of what its future raises."""

    def __str__(self) -> str:
        return "\n" + "".join(self.args)


def carry_out(payload: bytes, ground: Ground) -> bytes:
    """Run the pickled call `payload` and give its outcome, value or exception, as bytes."""
    report = _Sender(ground.folder / PROGRESS)
    try:
        ground.enter()
        return pickle.dumps((True, pickle.loads(payload)(report), ""))
    except Exception as error:
        trace = traceback.format_exc()
        try:
            data = pickle.dumps((False, error, trace))
            pickle.loads(data)
        except Exception:
            # An exception that cannot travel still says what it said.
            plain = SeedbedError(f"{type(error).__name__}: {error}")
            data = pickle.dumps((False, plain, trace))
        return data
    finally:
        report.close()


def begin(future: "Future[Any]") -> bool:
    """Mark a future as running, if it is not yet; False if it was cancelled or has ended."""
    if future.running():
        return True
    return not future.done() and future.set_running_or_notify_cancel()


def settle(future: "Future[Any]", outcome: bytes) -> None:
    """Give `future` the outcome that `carry_out` left."""
    try:
        good, found, trace = pickle.loads(outcome)
    except Exception as error:
        future.set_exception(SeedbedError(f"what a worker sent back cannot be read: {error}"))
        return
    if good:
        future.set_result(found)
    else:
        found.__cause__ = DistantTraceback(trace)
        future.set_exception(found)


class _Sender:
    """Leaves the newest progress of every stage in a file of its own, twice a second at most."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:6]}.json"
        self._rows: dict[tuple[int, str], tuple[int, int, str]] = {}
        self._last = 0.0

    def __call__(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        self._rows[seed, name] = done, total, text
        if time.monotonic() - self._last >= EVERY_SECONDS or done == total:
            self._last = time.monotonic()
            rows = [[*key, *row] for key, row in self._rows.items()]
            # Progress is only shown: a full disk shows in the stage's own files.
            with suppress(OSError, SeedbedError):
                write_text(self._path, json.dumps(rows))

    def close(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


@dataclass
class Progress:
    """Tells `report` what workers leave in the folder of `ground`."""

    ground: Ground
    report: Report
    _seen: dict[tuple[int, str], tuple[int, int, str]] = field(default_factory=dict)

    def look(self) -> None:
        """Tell what is new; a file that is gone or unreadable by now is left out."""
        for path in fresh(self.ground.folder / PROGRESS):
            try:
                rows = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
            for seed, name, *row in rows:
                if self._seen.get((seed, name)) != tuple(row):
                    self._seen[seed, name] = tuple(row)
                    self.report(seed, name, *row)


def fresh(folder: Path) -> list[Path]:
    """The visible files of a folder that other machines write, sorted."""
    # Writing to the folder makes a network file system drop its old listing of it.
    with suppress(OSError):
        os.utime(folder)
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except FileNotFoundError:
        return []


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)
