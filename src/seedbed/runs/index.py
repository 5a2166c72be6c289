"""The index of runs: their summaries in one SQLite file beside them, rebuilt from the folders.

The file is written whole under a temporary name, renamed, and opened as a thing that does not
change. So it needs none of the locks that network file systems lack, and is never half-written.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from seedbed.core.errors import DiskError, InputError
from seedbed.core.files import atomic_file
from seedbed.runs import summary
from seedbed.runs.summary import (
    CONFIG,
    FILES,
    Line,
    Summary,
    is_run,
    is_sweep,
    read_summary,
)
from seedbed.runs.wanted import Wanted

NAME, SITE = ".index.sqlite", ".seedbed-site"
"""The index, and what says that a folder is a site of runs."""
DEPTH = 4
"""Run folders are looked for so many folders deep."""
_MARK = 0x5EEDBED
_FRESH = 2_000_000_000
"""A file this young (ns) may change again within one tick of its file system's clock."""
_PLAIN = ("study", "digest", "world", "sites", "subject", "state", "reason", "started", "finished",
          "seconds", "version", "code", "command", "bytes")  # fmt: skip
_LISTS = ("seeds", "missing", "lacking")
_LINE = tuple(f.name for f in fields(Line))
_SCHEMA = f"""
CREATE TABLE made (by TEXT NOT NULL);
CREATE TABLE seen (folder TEXT PRIMARY KEY, files TEXT NOT NULL);
CREATE TABLE runs (folder TEXT PRIMARY KEY, {", ".join((*_PLAIN, *_LISTS))});
CREATE TABLE lines (folder TEXT NOT NULL, {", ".join(_LINE)});
CREATE INDEX lines_of ON lines (folder);
"""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh found: runs there are, how many were read, how many are gone."""

    runs: int
    read: int
    gone: int


@dataclass
class Index:
    """The runs under `root`. `notes` say what was not as it should be and what was done."""

    root: Path
    database: sqlite3.Connection
    notes: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, root: Path) -> "Index":
        """The index of the folder `root`; one that cannot be trusted is begun anew, with a note.

        Raises InputError if `root` is not there or is a run itself.
        """
        _check(root)
        # Queries go to a copy in memory, so that nobody waits for anybody.
        index = cls(root, sqlite3.connect(":memory:"))
        if (root / NAME).exists():
            try:
                index._load()
                return index
            except (sqlite3.Error, _NotOurs) as error:
                why = str(error)
                index.notes.append(f"{root / NAME}: {why}; made anew from the folders")
                index.database = sqlite3.connect(":memory:")
        index._begin()
        return index

    def _load(self) -> None:
        uri = f"file:{quote(str((self.root / NAME).resolve()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as saved:
            saved.backup(self.database)
        mark = self.database.execute("PRAGMA application_id").fetchone()[0]
        if mark != _MARK:
            raise _NotOurs("is no index of seedbed's")
        if (found := self.database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise _NotOurs(f"is damaged ({' '.join(str(found).split())})")
        if [row[0] for row in self.database.execute("SELECT by FROM made")] != [_maker()]:
            raise _NotOurs("was made by another version")

    def _begin(self) -> None:
        self.database.executescript(_SCHEMA)
        self.database.execute("INSERT INTO made VALUES (?)", (_maker(),))
        self.database.execute(f"PRAGMA application_id = {_MARK}")
        self.database.commit()

    def rebuild(self) -> Refreshed:
        """Forget everything and read every folder again."""
        self.database = sqlite3.connect(":memory:")
        self._begin()
        return self.refresh()

    def refresh(self, folders: Sequence[Path] | None = None) -> Refreshed:
        """Read what changed since the last time, forget what is gone, and write the file.

        `folders`: look at these only, each a run folder under the root.
        """
        there = dict(self._named(run_folders(self.root) if folders is None else folders))
        known = dict(self.database.execute("SELECT folder, files FROM seen"))
        gone = [f for f in known if f not in there] if folders is None else []
        read = 0
        for name, folder in there.items():
            files = _files(folder)
            if known.get(name) == files and files:
                continue
            self._forget(name)
            if not is_run(folder):
                gone.append(name)
                continue
            read += self._read(name, folder, files)
        for name in gone:
            self._forget(name)
        self.database.commit()
        if read or gone or not (self.root / NAME).exists():
            self._save()
        runs = self.database.execute("SELECT count(*) FROM runs").fetchone()[0]
        return Refreshed(runs, read, len(gone))

    def _named(self, folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
        for folder in folders:
            try:
                name = folder.relative_to(self.root).as_posix()
            except ValueError as error:
                raise InputError(f"{folder}: is not under {self.root}") from error
            try:
                name.encode()
            except UnicodeEncodeError:
                shown = name.encode(errors="backslashreplace").decode()
                self.notes.append(f"{self.root}: a run whose name is no text is left out: {shown}")
                continue
            yield name, folder

    def _read(self, name: str, folder: Path, files: str) -> int:
        made = None if is_sweep(folder) else read_summary(folder)
        if made is not None and made.state == "unfinished":
            # Its other files change too while it is being written.
            files = ""
        self.database.execute("INSERT INTO seen VALUES (?, ?)", (name, files))
        if made is None:
            return 0
        values = [getattr(made, k) for k in _PLAIN]
        values += [json.dumps(getattr(made, k)) for k in _LISTS]
        self.database.execute(_insert("runs", 1 + len(values)), (name, *values))
        lines = [(name, *(getattr(line, k) for k in _LINE)) for line in made.lines]
        self.database.executemany(_insert("lines", 1 + len(_LINE)), lines)
        return 1

    def _forget(self, name: str) -> None:
        for table in ("seen", "runs", "lines"):
            self.database.execute(f"DELETE FROM {table} WHERE folder = ?", (name,))

    def _save(self) -> None:
        """Write the file; where nobody may write, the index serves from memory."""
        try:
            with (
                atomic_file(self.root / NAME) as temporary,
                closing(sqlite3.connect(temporary)) as file,
            ):
                self.database.backup(file)
        except (DiskError, sqlite3.Error) as error:
            self.notes.append(f"{error}; the index is kept in memory")

    def runs(self, wanted: Wanted | None = None, lines: bool = True) -> list[Summary]:
        """The runs that fit, by folder; their `lines` only if asked for."""
        clause, values = (wanted or Wanted()).clause()
        kept: dict[str, list[Line]] = {}
        if lines:
            query = f"SELECT lines.* FROM lines JOIN runs USING (folder) WHERE {clause}"
            for name, *row in self.database.execute(f"{query} ORDER BY lines.rowid", values):
                kept.setdefault(name, []).append(Line(*row))
        query = f"SELECT folder, {', '.join((*_PLAIN, *_LISTS))} FROM runs WHERE {clause}"
        rows = self.database.execute(f"{query} ORDER BY folder", values)
        return [self._summary(row, tuple(kept.get(row[0], ()))) for row in rows]

    def _summary(self, row: Sequence[Any], lines: tuple[Line, ...]) -> Summary:
        plain = dict(zip(_PLAIN, row[1:], strict=False))
        seeds, missing, lacking = (json.loads(text) for text in row[1 + len(_PLAIN) :])
        return Summary(
            **plain,
            folder=self.root / row[0],
            seeds=tuple(seeds),
            lines=lines,
            missing=tuple((a, b) for a, b in missing),
            lacking=tuple((a, b) for a, b in lacking),
        )

    def values(self, column: str) -> list[str]:
        """What stands in a column of the runs (`world`, `study`, …), or `finder` and `kind`."""
        table = "lines" if column in _LINE and column != "sites" else "runs"
        assert column in (*_PLAIN, *_LINE)
        rows = self.database.execute(f"SELECT DISTINCT {column} FROM {table} ORDER BY 1")
        return [str(row[0]) for row in rows]


class _NotOurs(Exception):
    """Why a file is not trusted."""


def run_folders(root: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Folders of runs and sweeps under `root`, in order of names; none within another.

    See `is_run`; those that lost their config.yaml count too. Hidden folders and sites are passed
    over, and links to what lies under `root` anyway.
    """
    yield from _below(root, root.resolve(), depth)


def _below(folder: Path, top: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((e.name, e.is_symlink()) for e in found if e.is_dir())
    except OSError:
        return
    for name, link in entries:
        path = folder / name
        if name.startswith(".") or (link and path.resolve().is_relative_to(top)):
            continue
        if is_run(path):
            yield path
        elif depth > 1 and not (path / SITE).exists():
            yield from _below(path, top, depth - 1)


def _check(root: Path) -> None:
    if not root.is_dir():
        what = "is a file, a folder of runs is needed" if root.exists() else "no such folder"
        raise InputError(f"{root}: {what}")
    if (root / CONFIG).exists():
        raise InputError(
            f"{root}: is a run; give the folder that holds it: {root.resolve().parent}"
        )


def _files(folder: Path) -> str:
    """What tells whether a run changed: time (ns) and size of its files."""
    found = []
    for name in (*FILES, "seeds"):
        try:
            state = os.stat(folder / name)
        except OSError:
            continue
        found.append(f"{name} {state.st_mtime_ns} {state.st_size}")
        if state.st_mtime_ns > time.time_ns() - _FRESH:
            found.append(f"read at {time.time_ns()}")
    return "\n".join(found)


def _insert(table: str, columns: int) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})"


@cache
def _maker() -> str:
    """The code that made an index: what is read from a folder depends on it."""
    sources = [Path(__file__), Path(summary.__file__)]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
