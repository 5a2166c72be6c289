"""The run folder: lock, resolved configuration that replays the run, and the manifest."""

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from seedbed.core.errors import DiskError, LockedError
from seedbed.core.files import write_text

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy", "pydantic",
            "bm25s", "sentence-transformers", "safetensors")  # fmt: skip


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; raises LockedError at once if another process writes there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise LockedError(
            f"{folder}: another process is writing this run; wait or use --out"
        ) from error
    except OSError as error:
        raise DiskError(f"{folder}: cannot write: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write config.yaml: `seedbed run FOLDER/config.yaml` replays the run."""
    write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def now() -> str:
    """The time in UTC, ISO 8601, whole seconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def manifest(started: str, seconds: float, **more: Any) -> dict[str, Any]:
    """Versions, git state, machine and times of a run."""
    return {
        "seedbed": version("seedbed"),
        "command": " ".join(["seedbed", *sys.argv[1:]]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": f"{platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: v for name in PACKAGES if (v := _version(name))},
        "git": _git(),
        "started": started,
        "finished": now(),
        "seconds": seconds,
        **more,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """Commit and dirtiness of the source checkout; None if it is not one."""
    here = Path(__file__).parent

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    return {"commit": commit, "dirty": bool(ask("status", "--porcelain"))} if commit else None
