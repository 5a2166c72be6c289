"""The run folder: lock, resolved configuration that replays the run, and the manifest."""

import datetime
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
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


LEASE, BEFORE, MANIFEST, CONFIG = ".lease", ".before", "manifest.json", "config.yaml"
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


def set_aside(folder: Path, names: Sequence[str]) -> None:
    """Move the files and folders `names` that a finished run left in `folder` to .before.

    They stay there until `let_go`; what an unfinished run left is removed, .before is not.
    """
    before = folder / BEFORE
    there = [folder / name for name in names if (folder / name).exists()]
    if not (folder / MANIFEST).exists():
        for path in there:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    if (before / MANIFEST).exists():
        shutil.rmtree(before)
    before.mkdir(exist_ok=True)
    shutil.copy2(folder / CONFIG, before / CONFIG)
    # The manifest goes last: as long as it is here, not everything was moved.
    for path in sorted(there, key=lambda p: p.name == MANIFEST):
        path.replace(before / path.name)


def let_go(folder: Path) -> None:
    """Remove what `set_aside` kept: there are new results."""
    shutil.rmtree(folder / BEFORE, ignore_errors=True)


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
