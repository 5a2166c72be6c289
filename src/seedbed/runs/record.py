"""The run folder: lock, resolved configuration that replays the run, and the manifest."""

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shlex import quote
from typing import Any

import yaml

from seedbed.core.errors import DiskError, LockedError
from seedbed.core.files import write_text
from seedbed.runs.lease import Holder, held

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy", "pydantic",
            "bm25s", "sentence-transformers", "safetensors")  # fmt: skip


LEASE = ".lease"
# Several times as fast where the library that YAML brings is built in, with the same text.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lease; raises LockedError if another process writes there.

    At once where that process is on this machine; one on another machine shows that it lives, or
    is taken over as dead, within a minute.
    """

    def refuse(holder: Holder) -> None:
        raise LockedError(
            f"{folder}: another process is writing this run (process {holder.pid} on"
            f" {holder.host}); wait or use --out"
        )

    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(folder / LEASE, refuse))
        except OSError as error:
            raise DiskError(f"{folder}: cannot write: {error.strerror or error}") from error
        yield


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write config.yaml: `seedbed run FOLDER/config.yaml` replays the run."""
    text = yaml.dump(config, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    write_text(folder / "config.yaml", text)


def going_on(folder: Path) -> str:
    """The command that goes on with the run in `folder`, wherever that lies."""
    where = quote(str(folder))
    return f"seedbed run {quote(str(folder / 'config.yaml'))} --out {where}"


def now() -> str:
    """The time in UTC, ISO 8601, whole seconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def manifest(started: str, seconds: float, **more: Any) -> dict[str, Any]:
    """Versions, git state, machine and times of a run."""
    return {
        "seedbed": _version("seedbed"),
        "command": " ".join(["seedbed", *sys.argv[1:]]),
        "python": platform.python_version(),
        "platform": _platform(),
        "cpu": f"{platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: v for name in PACKAGES if (v := _version(name))},
        "git": _git(),
        "started": started,
        "finished": now(),
        "seconds": seconds,
        **more,
    }


_platform = cache(platform.platform)


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _git() -> dict[str, Any] | None:
    """Commit and dirtiness of the source checkout as this process began with it; None if none."""
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
