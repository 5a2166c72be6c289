"""What may go from a folder of runs: unfinished, damaged and older runs, and stages nobody needs.

Nothing is taken that a run which stays was made from or would go on from. What goes is renamed
first, so that an interruption leaves whole things under one name or another.
"""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seedbed.core.errors import DataError, DiskError, LockedError
from seedbed.core.files import read_json
from seedbed.runs.index import run_folders
from seedbed.runs.lease import read
from seedbed.runs.record import LEASE, locked
from seedbed.runs.store import MARK
from seedbed.runs.summary import CONFIG, FILES, Summary, is_run, is_sweep, read_summary

What = Literal["unfinished", "damaged", "older", "stages"]
WHATS: tuple[What, ...] = ("unfinished", "damaged", "older", "stages")
STORE = ".store"
TRASH = ".trash-"
YOUNG = 3600.0
"""Seconds a stage stays in any case: a study that begins has no folder that shows it yet."""
_DIGEST = re.compile(r"(?:(?<=-)|\b)([0-9a-f]{16})(?:[0-9a-f]{48})?\b")


@dataclass(frozen=True)
class Item:
    """One folder that would go, and why."""

    path: Path
    what: What | Literal["trash"]
    why: str


@dataclass(frozen=True)
class Tidying:
    """What would go, the bytes that sets free, and what stays although it was asked for."""

    items: tuple[Item, ...]
    bytes: int
    stays: tuple[str, ...]


@dataclass
class _Stages:
    """The finished stages of one store, by the first 16 digits of their digests."""

    root: Path
    keys: dict[str, str] = field(default_factory=dict)
    """Stage folder's name → its mark as text; "" for one that is not whole."""

    @classmethod
    def read(cls, root: Path) -> "_Stages":
        found = cls(root)
        for entry in sorted(os.scandir(root), key=lambda e: e.name):
            if entry.is_dir() and not entry.name.startswith("."):
                mark = root / entry.name / MARK
                whole = mark.is_file() and ".part" not in entry.name
                found.keys[entry.name] = mark.read_text(encoding="utf-8") if whole else ""
        return found

    def by_digest(self) -> dict[str, str]:
        return {n.rpartition("-")[2]: n for n, mark in self.keys.items() if mark}


def tidying(root: Path, whats: Sequence[What]) -> Tidying:
    """What of these kinds lies under `root`; nothing is changed.

    `older` are all but the newest finished run of one configuration.
    """
    runs = [read_summary(f) for f in run_folders(root) if not is_sweep(f)]
    busy = {run.folder for run in runs if run.state == "unfinished" and _written(run.folder)}
    items, stays = [], [f"{folder}: is being written now" for folder in sorted(busy)]
    for run in runs:
        if run.state in whats and run.folder not in busy:
            what: What = "unfinished" if run.state == "unfinished" else "damaged"
            if why := _kept(run):
                stays.append(f"{run.folder}: is {what}, but {why}")
            else:
                items.append(Item(run.folder, what, run.reason))
    if "older" in whats:
        items += _older([run for run in runs if not run.folder.is_symlink()])
    going = {item.path for item in items}
    if "stages" in whats:
        for store in _stores(root):
            found, told = _unneeded(store, going)
            items += found
            stays += told
    items += [Item(p, "trash", "left by an interrupted prune or import") for p in _trash(root)]
    return Tidying(tuple(items), freed([item.path for item in items]), tuple(stays))


def take_away(found: Tidying) -> list[str]:
    """Remove what `tidying` found; returns a line on each thing that stayed after all.

    Raises DiskError if something cannot be removed.
    """
    stayed = []
    for item in found.items:
        try:
            if item.what in ("trash", "stages"):
                _remove(item.path)
                continue
            if not item.path.exists():
                continue
            with locked(item.path):
                # Whoever went on with it meanwhile has made another thing of it.
                if _state_of(item) != item.what:
                    stayed.append(f"{item.path}: is no longer {item.what}")
                    continue
                _remove(item.path)
        except LockedError:
            stayed.append(f"{item.path}: is being written now")
    return stayed


def freed(paths: Iterable[Path]) -> int:
    """Bytes that go with these folders: of files all of whose hard links lie in them."""
    links: dict[tuple[int, int], list[int]] = {}
    for path in paths:
        for state in _files(path):
            known = links.setdefault((state.st_dev, state.st_ino), [0, state.st_nlink,
                                                                    state.st_size])  # fmt: skip
            known[0] += 1
    return sum(size for met, count, size in links.values() if met >= count)


def _kept(run: Summary) -> str:
    """Why a run that was asked for is left alone; "" if it may go."""
    folder = run.folder
    if folder.is_symlink():
        return "lies elsewhere, this is a link to it"
    if run.state != "damaged":
        return ""
    if not (folder / CONFIG).is_file():
        return f"it has no {CONFIG} and may be no run at all: look, and remove it by hand"
    if not any((folder / name).exists() for name in (*FILES[1:], "seeds", LEASE)):
        return f"it has nothing of a run but {CONFIG}: look, and remove it by hand"
    return ""


def _older(runs: Sequence[Summary]) -> list[Item]:
    by_digest: dict[str, list[Summary]] = {}
    for run in runs:
        if run.state in ("finished", "stopped"):
            by_digest.setdefault(run.digest, []).append(run)
    items = []
    for versions in by_digest.values():
        # A run that stopped at the gate is no better version than one that has scores.
        best = max(versions, key=lambda r: (r.state == "finished", r.started, str(r.folder)))
        items += [Item(r.folder, "older", f"the same configuration ran again: {best.folder}")
                  for r in versions if r is not best]  # fmt: skip
    return sorted(items, key=lambda item: item.path)


def _state_of(item: Item) -> str:
    state = read_summary(item.path).state
    return "older" if item.what == "older" and state in ("finished", "stopped") else state


def _unneeded(store: Path, going: set[Path]) -> tuple[list[Item], list[str]]:
    """The stages that no run beside the store needs, except young ones; and what stays, why."""
    beside = [f for f in _beside(store.parent) if f not in going]
    for folder in beside:
        if _may_go_on(folder):
            why = f"{store}: stays, since {folder} is unfinished and would go on from it"
            return [], [why]
    stages = _Stages.read(store)
    needed = _needed(stages, beside)
    rest = [name for name in stages.keys if name not in needed]
    young = {n for n in rest if time.time() - (store / n).stat().st_mtime < YOUNG}
    words = (
        "1 stage younger than an hour stays"
        if len(young) == 1
        else (f"{len(young)} stages younger than an hour stay")
    )
    stays = [f"{store}: {words}"] if young else []
    return [
        Item(store / name, "stages", "no run refers to it" if stages.keys[name] else "not whole")
        for name in rest
        if name not in young
    ], stays


def _needed(stages: _Stages, runs: Iterable[Path]) -> set[str]:
    """Stages that runs show, what those were made from, and what was made from them alone.

    A run shows a stage by its mark or by a file that is a hard link of it. Kinds of stage that
    no run shows (scores, retrained subjects) are needed where all that they name is.
    """
    by_digest = stages.by_digest()
    owner = {(s.st_dev, s.st_ino): n for n in stages.keys for s in _files(stages.root / n)}
    needed: set[str] = set()
    for run in runs:
        for top, _, names in os.walk(run):
            for name in names:
                with suppress(OSError):
                    state = os.lstat(os.path.join(top, name))
                    needed.add(owner.get((state.st_dev, state.st_ino), ""))
            if MARK in names:
                needed.add(by_digest.get(_digest_of(Path(top, MARK))[:16], ""))
    needed.discard("")
    shown = {name.rpartition("-")[0] for name in needed}
    inputs = {name: _inputs(name, mark, by_digest) for name, mark in stages.keys.items() if mark}
    before = -1
    while len(needed) != before:
        before = len(needed)
        for name in list(needed):
            needed |= inputs.get(name, set())
        for name, named in inputs.items():
            if name.rpartition("-")[0] not in shown and named and named <= needed:
                needed.add(name)
    return needed


def _inputs(name: str, mark: str, by_digest: Mapping[str, str]) -> set[str]:
    found = {by_digest[d] for d in _DIGEST.findall(mark) if d in by_digest}
    return found - {name}


def _digest_of(mark: Path) -> str:
    try:
        value: Any = read_json(mark)
    except DataError:
        return ""
    return str(value.get("digest", "")) if isinstance(value, dict) else ""


def _may_go_on(folder: Path) -> bool:
    if is_sweep(folder):
        return not (folder / "sweep.json").exists()
    return read_summary(folder).state == "unfinished"


def _beside(parent: Path) -> Iterator[Path]:
    """Run folders directly in `parent`, those that share its store."""
    for path in sorted(parent.iterdir()):
        if not path.name.startswith(".") and is_run(path):
            yield path


def _stores(root: Path) -> Iterator[Path]:
    parents = {folder.parent for folder in run_folders(root)} | {root}
    yield from (p / STORE for p in sorted(parents) if (p / STORE).is_dir())


def _trash(root: Path) -> Iterator[Path]:
    parents = {folder.parent for folder in run_folders(root)} | {root}
    for parent in sorted(parents | {p / STORE for p in parents}):
        yield from sorted(parent.glob(f"{TRASH}*"))
        for path in sorted(parent.glob(".import-*.tmp")):
            if time.time() - path.stat().st_mtime > YOUNG:
                yield path


def _written(folder: Path) -> bool:
    holder = read(folder / LEASE)
    if holder is None or holder.here():
        return holder is not None and not holder.gone()
    try:
        # Whether a process on another machine lives, only waiting for it tells.
        with locked(folder):
            return False
    except LockedError:
        return True
    except DiskError:
        # Where nobody may write, nobody writes.
        return False


def _files(folder: Path) -> Iterator[os.stat_result]:
    for top, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield os.lstat(os.path.join(top, name))


def _remove(path: Path) -> None:
    try:
        if not path.name.startswith(TRASH):
            path = path.rename(path.with_name(f"{TRASH}{path.name}-{uuid.uuid4().hex[:8]}"))
        shutil.rmtree(path)
    except OSError as error:
        raise DiskError(f"{path}: cannot remove: {error.strerror or error}") from error
