"""The stage store: a stage's output is kept under the digest of everything it depends on.

A stage is made in a part folder that survives a kill (so training can resume in it) and is
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

from seedbed.core.config import digest
from seedbed.core.errors import DataError, DiskError
from seedbed.core.files import read_json, write_json
from seedbed.runs.cost import Measured, measured
from seedbed.runs.lease import Lease, held, read

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

        Two processes that want the same stage wait for each other, on any machines. Raises
        DiskError if the folder cannot be written, and whatever `make` raises (what it has
        written then waits for the next try).
        """
        code, folder = self.place(name, key)
        mark = {"stage": name, "digest": code, "key": key}
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            while True:
                if (found := self.take(name, key)) is not None:
                    return found
                with held(_lease_of(folder)) as lease:
                    if (found := self.take(name, key)) is not None:
                        return found
                    made = _make(folder, mark, make, lease)
                if made is not None:
                    cost, damage = made
                    return Stage(name, folder, code, cost.seconds, cost.peak_mib, False, damage)
        except OSError as error:
            raise DiskError(f"{self.root}: cannot write: {error.strerror or error}") from error


def part_of(folder: Path) -> Path:
    """Where the stage of `folder` is being made now, or was when it was last left."""
    holder = read(_lease_of(folder))
    own = [] if holder is None else [_part(folder, t) for t in (holder.token, *holder.after)]
    return next((part for part in own if part.exists()), _part(folder))


def _lease_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lease")


def _part(folder: Path, token: str = "") -> Path:
    """The part folder of the lease with this token, or the one that nobody holds."""
    return folder.with_name(f"{folder.name}.part{'-' if token else ''}{token}")


def _make(
    folder: Path, mark: dict[str, Any], make: Callable[[Path], None], lease: Lease
) -> tuple[Measured, str] | None:
    """Make the stage in a part folder of this lease: (cost, what was wrong with an older one).

    None if the lease was taken over meanwhile: whoever did has moved the part folder to a name
    of its own, so what is written here under the old name is not in it and is thrown away.
    """
    damage = _damage(folder) if folder.exists() else ""
    if damage:
        shutil.rmtree(folder)
    part = _adopt(folder, lease)
    own = _inode(part)
    try:
        with measured() as cost:
            make(part)
        _seal(part, mark, cost)
        if lease.mine():
            part.replace(folder)
            return cost, damage
    except Exception:
        if lease.mine() and not folder.exists():
            raise
    finally:
        if _inode(part) != own or folder.exists():
            # Written after the part folder was moved, or by the time another try was done.
            shutil.rmtree(part, ignore_errors=True)
        elif lease.mine():
            # Without the token, the next try finds it whoever makes that.
            part.replace(_part(folder))
    return None


def _adopt(folder: Path, lease: Lease) -> Path:
    """The part folder of `lease`, with what the last try left in it."""
    part = _part(folder, lease.holder.token)
    for token in (*lease.holder.after, ""):
        left = _part(folder, token)
        if part.exists():
            shutil.rmtree(left, ignore_errors=True)
        elif left.exists():
            left.replace(part)
    part.mkdir(exist_ok=True)
    if lease.holder.unsure:
        for path in _files(part):
            # The last holder may wake up with files open: it keeps those, this has copies.
            copy = path.with_name(f".{path.name}.{lease.holder.token}.tmp")
            shutil.copy2(path, copy)
            copy.replace(path)
    return part


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _seal(part: Path, mark: dict[str, Any], cost: Measured) -> None:
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
