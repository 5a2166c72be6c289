"""The stage store: a stage's output is kept under the digest of everything it depends on.

A stage is made in a `.part` folder that survives a kill (so training can resume in it) and is
renamed when whole; its files are checked by size and SHA-256 whenever it is taken again.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from seedbed.core.config import digest
from seedbed.core.errors import DataError, DiskError
from seedbed.core.files import read_json, write_json
from seedbed.runs.cost import measured

MARK = "stage.json"


@dataclass(frozen=True)
class Stage:
    """One finished stage: where it lies, its digest, its cost, whether it was there before."""

    name: str
    folder: Path
    digest: str
    seconds: float
    peak_mib: float
    taken: bool
    remade: str = ""


class Store:
    """Finished stages under one folder, shared by the runs beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, name: str, key: dict[str, Any]) -> tuple[str, Path]:
        """(digest, folder) of the stage `name` with `key`, whether it exists or not."""
        code = digest({"stage": name, **key})
        return code, self.root / f"{name}-{code[:16]}"

    def take(self, name: str, key: dict[str, Any]) -> Stage | None:
        """The finished stage if it is there and whole, else None."""
        code, folder = self.place(name, key)
        if not folder.exists() or _damage(folder):
            return None
        mark = read_json(folder / MARK)
        return Stage(name, folder, code, mark["seconds"], mark["peak_mib"], True)

    def stage(self, name: str, key: dict[str, Any], make: Callable[[Path], None]) -> Stage:
        """Take the stage `name` with `key`, or make it with `make(folder)`.

        Two processes that want the same stage wait for each other. Raises DiskError if the
        folder cannot be written, and whatever `make` raises (the `.part` folder then stays).
        """
        code, folder = self.place(name, key)
        part = folder.with_name(folder.name + ".part")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f".{folder.name}.lock"):
                if (found := self.take(name, key)) is not None:
                    return found
                damage = _damage(folder) if folder.exists() else ""
                if damage:
                    shutil.rmtree(folder)
                part.mkdir(exist_ok=True)
                with measured() as cost:
                    make(part)
                _seal(part, {"stage": name, "digest": code, "key": key}, cost)
                part.replace(folder)
        except OSError as error:
            raise DiskError(f"{self.root}: cannot write: {error.strerror or error}") from error
        return Stage(name, folder, code, cost.seconds, cost.peak_mib, False, damage)


def _seal(part: Path, mark: dict[str, Any], cost: Any) -> None:
    for left in part.rglob(".*.tmp"):
        # A kill in the middle of an atomic write leaves its temporary name behind.
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    files = {str(p.relative_to(part)): _fingerprint(p) for p in _files(part)}
    costs = {"seconds": cost.seconds, "peak_mib": cost.peak_mib}
    write_json(part / MARK, {**mark, **costs, "files": files})


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MARK)


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def _damage(folder: Path) -> str:
    """What is wrong with a finished stage; "" if nothing is."""
    try:
        wanted = read_json(folder / MARK)["files"]
    except (DataError, KeyError) as error:
        return str(error)
    for name, fingerprint in wanted.items():
        path = folder / name
        if not path.exists():
            return f"{path}: is gone"
        if _fingerprint(path) != fingerprint:
            return f"{path}: differs from what was written"
    return ""


def link_tree(source: Path, target: Path) -> None:
    """Show the files of `source` under `target` as hard links (copies across file systems).

    `target` is replaced whole. Raises DiskError if that cannot be written.
    """
    from seedbed.core.files import atomic_folder

    with atomic_folder(target) as temporary:
        for path in sorted(source.rglob("*")):
            place = temporary / path.relative_to(source)
            if path.is_dir():
                place.mkdir(exist_ok=True)
                continue
            try:
                os.link(path, place)
            except OSError:
                shutil.copy2(path, place)


@cache
def code_digest() -> str:
    """SHA-256 of the package's own sources and lists, except what only shows or commands."""
    package = Path(__file__).parents[1]
    sha = hashlib.sha256()
    for path in sorted(p for end in ("py", "txt", "yaml") for p in package.rglob(f"*.{end}")):
        name = path.relative_to(package).as_posix()
        if not name.startswith(("report/", "cli/")):
            sha.update(name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()
