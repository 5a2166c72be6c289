"""Taking a run from an archive: everything is checked before anything can be seen.

Members are written by name and content only, never as links, devices or paths elsewhere.
"""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from pydantic import TypeAdapter, ValidationError

from seedbed.core.errors import DiskError, InputError
from seedbed.runs.archive import (
    CHUNK,
    FORMAT,
    INSIDE,
    LIST,
    Contents,
    files_of,
    is_weights,
    kept_of,
    only_shows,
)
from seedbed.runs.index import Index
from seedbed.runs.store import code_digest
from seedbed.runs.summary import Summary, read_summary

_CONTENTS = TypeAdapter(Contents)
_LONGEST_LIST = 64 << 20
_ROUND = 4096
"""What a member may take in an archive beside its bytes: heads and padding."""
_NAME = re.compile(r"[\w][\w.+@=,-]{0,199}")


@dataclass(frozen=True)
class Arrived:
    """What became of an archive: the run's folder, and lines that say what a reader must know.

    `outcome`: `new`; `version` of a run that is here too, kept under another name; `here`
    already, nothing was done.
    """

    folder: Path
    outcome: Literal["new", "version", "here"]
    lines: tuple[str, ...]


class _Damaged(Exception):
    """What differs, member first."""


def take_in(archive: Path, root: Path) -> Arrived:
    """Import an archive into the folder of runs `root`.

    Raises InputError, and leaves nothing behind, if anything in it is not as it says; DiskError
    if there is no room.
    """
    if not archive.is_file():
        what = "is a folder, an archive is needed" if archive.is_dir() else "no such file"
        raise InputError(f"{archive}: {what}")
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file, a folder of runs is needed")
    if (root / "config.yaml").exists():
        raise InputError(f"{root}: is a run; give the folder that is to hold it")
    new = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        temporary = root / f".import-{uuid.uuid4().hex[:12]}.tmp"
        temporary.mkdir()
    except OSError as error:
        raise DiskError(f"{root}: cannot write: {error.strerror or error}") from error
    try:
        contents = _unpack(archive, temporary)
        arrived = _checked(archive, temporary, contents)
        return _settle(temporary, contents, arrived, root)
    except _Damaged as error:
        raise InputError(f"{archive}: {error}; nothing was written") from error
    except OSError as error:
        raise DiskError(f"{root}: cannot write: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if new:
            with suppress(OSError):
                root.rmdir()


def read_contents(archive: Path) -> Contents:
    """What an archive says of itself; its files are not checked. Raises InputError."""
    try:
        with _opened(archive) as (tar, _):
            return _first(tar, archive)
    except _Damaged as error:
        raise InputError(f"{archive}: {error}") from error


class _Bounded(io.RawIOBase):
    """What unpacks from an archive, up to a number of bytes: a small file can hold very many."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, left: int) -> None:
        self.file, self.left = file, left

    def read(self, size: int = -1) -> Any:
        found = self.file.read(size)
        self.left -= len(found)
        if self.left < 0:
            raise _Damaged("unpacks to more than its list says")
        return found


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[tarfile.TarFile, "_Bounded"]]:
    with archive.open("rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            raise _Damaged("is no archive of seedbed's: it is not gzip")
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw) as unpacked:
            packed = _Bounded(unpacked, _LONGEST_LIST + _ROUND)
            try:
                tar = tarfile.open(fileobj=packed, mode="r|")  # noqa: SIM115 (closed below)
            except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise _Damaged(f"is no archive of seedbed's, or cut: {error}") from error
            with tar:
                yield tar, packed


def _first(tar: tarfile.TarFile, archive: Path) -> Contents:
    with _reading(LIST):
        info = tar.next()
        if info is None or info.name != LIST or not info.isreg():
            name = info.name if info is not None else "nothing"
            raise _Damaged(f"is no archive of seedbed's: it begins with {name!r}, not {LIST!r}")
        if info.size > _LONGEST_LIST:
            raise _Damaged(f"member {LIST!r}: {info.size} bytes, more than any list has")
        file = tar.extractfile(info)
        text = file.read() if file is not None else b""
    try:
        plain = json.loads(text)
        if isinstance(plain, dict) and plain.get("format") != FORMAT:
            raise _Damaged(f"has format {plain.get('format')!r}, and this seedbed"
                           f" {version('seedbed')} reads format {FORMAT}")  # fmt: skip
        contents = _CONTENTS.validate_python(plain)
    except (ValueError, RecursionError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise _Damaged(f"member {LIST!r}: not the list of an archive: {what}") from error
    for name in (*contents.files, *contents.left_out):
        if not _safe(name):
            raise _Damaged(f"member {name!r}: leads out of the run folder or is no plain name")
    if not _NAME.fullmatch(contents.name):
        raise _Damaged(f"member {LIST!r}: {contents.name!r} is no name of a folder")
    if any(kept.bytes < 0 for kept in contents.files.values()):
        raise _Damaged(f"member {LIST!r}: a size below 0")
    return contents


def _safe(name: str) -> bool:
    parts = PurePosixPath(name).parts
    plain = name == "/".join(parts) and "\\" not in name and name.isprintable()
    return (
        plain
        and bool(parts)
        and all(
            part not in ("/", "..") and not part.startswith(".") and len(part.encode()) <= 255
            for part in parts
        )
    )


def _unpack(archive: Path, folder: Path) -> Contents:
    """Write every member under `folder`, each checked against the list."""
    with _opened(archive) as (tar, packed):
        contents = _first(tar, archive)
        needed = sum(kept.bytes for kept in contents.files.values())
        if needed > (free := shutil.disk_usage(folder).free):
            raise DiskError(
                f"{folder.parent}: no room: the run has {needed} bytes, {free} are free"
            )
        packed.left += needed + _ROUND * (len(contents.files) + 4)
        left = dict(contents.files)
        last = LIST
        while True:
            with _reading(last, after=True):
                info = tar.next()
            if info is None:
                break
            last = info.name
            name = info.name.removeprefix(INSIDE)
            if not info.name.startswith(INSIDE) or name not in contents.files:
                raise _Damaged(f"member {info.name!r}: is not in the archive's list")
            if name not in left:
                raise _Damaged(f"member {info.name!r}: stands twice")
            if not info.isreg():
                raise _Damaged(f"member {info.name!r}: is a link or device, a file is needed")
            kept = left.pop(name)
            if info.size != kept.bytes:
                raise _Damaged(f"member {info.name!r}: {info.size} bytes, the list says"
                               f" {kept.bytes}")  # fmt: skip
            with _reading(info.name):
                file = tar.extractfile(info)
                assert file is not None
                found = _write(file, folder / name)
            if found != kept.sha256:
                raise _Damaged(f"member {info.name!r}: SHA-256 {found[:12]}…, the list says"
                               f" {kept.sha256[:12]}…")  # fmt: skip
        # The packing's own checksum stands at the very end; nothing else may.
        with _reading(last, after=True):
            while rest := packed.read(CHUNK):
                if rest.strip(b"\0"):
                    raise _Damaged(f"after member {last!r}: further bytes")
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise _Damaged(f"member {INSIDE + min(left)!r}: is missing{more}")
    return contents


@contextmanager
def _reading(name: str, after: bool = False) -> Iterator[None]:
    """What goes wrong while a member is unpacked, in one line that names it."""
    where = f"{'after ' if after else ''}member {name!r}"
    try:
        yield
    except EOFError as error:
        raise _Damaged(f"{where}: the archive ends here, it is cut") from error
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile) as error:
        raise _Damaged(f"{where}: does not unpack: {error}") from error


def _write(file: IO[bytes], path: Path) -> str:
    """Copy into a new file and return the SHA-256 (hex) of what was there."""
    sha = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as out:
        while block := file.read(CHUNK):
            sha.update(block)
            out.write(block)
    return sha.hexdigest()


def _checked(archive: Path, folder: Path, contents: Contents) -> Summary:
    made = read_summary(folder)
    if made.state not in ("finished", "stopped"):
        raise _Damaged(f"the run in it is {made.state}: {made.reason}")
    for what, told, found in (("configuration", contents.digest, made.digest),
                              ("version", contents.version, made.version),
                              ("code", contents.code, made.code)):  # fmt: skip
        if told != found:
            raise _Damaged(f"member {LIST!r}: {what} {told[:12]!r}, the run in it says"
                           f" {found[:12]!r}")  # fmt: skip
    return made


def _settle(folder: Path, contents: Contents, made: Summary, root: Path) -> Arrived:
    """Give the run its name, beside whatever has that name already."""
    index = Index.open(root)
    index.refresh()
    versions = [run for run in index.runs(lines=False) if run.digest == made.digest]
    for run in versions:
        if (lacking := _lacking(run.folder, contents)) is not None:
            return Arrived(run.folder, "here", _completed(folder, run.folder, lacking))
    name = contents.name
    if (root / name).exists() or versions:
        name = f"{contents.name}-{contents.identity[:8]}"
    if (root / name).exists():
        raise InputError(f"{root / name}: stands in the way and is not this run; move it")
    place = root / name
    try:
        os.rename(folder, place)
    except OSError as error:
        if place.exists():
            # Two imports of one archive at once: the other was first.
            raise InputError(f"{place}: appeared meanwhile; import it again to compare") from error
        raise
    lines = [f"{place}: imported, {len(contents.files)} files checked"]
    lines += [
        f"{run.folder}: another version of this run, with the same configuration; both are kept:"
        f" {_told(run)}; the one imported: {_told(made)}"
        for run in versions
    ]
    if not versions and name != contents.name:
        lines.append(f"{root / contents.name}: has that name already, so this one is called {name}")
    lines += foreign(made)
    if contents.left_out:
        size = sum(kept.bytes for kept in contents.left_out.values()) / 1e6
        lines.append(f"without {len(contents.left_out)} files of weights ({size:.1f} MB), which"
                     " were left out on export; a replay trains anew")  # fmt: skip
    return Arrived(place, "version" if versions else "new", tuple(lines))


def foreign(run: Summary) -> list[str]:
    """A line if another version or other code made this run than is here; else none."""
    here, code = version("seedbed"), code_digest()
    if run.version == here and run.code == code:
        return []
    who = f"seedbed {run.version or 'of unknown version'}"
    if run.version == here:
        who += f" with other code ({run.code[:8] or 'unknown'}, here {code[:8]})"
    else:
        who += f" (here {here})"
    return [f"made by {who}: it is shown as it is; replaying it here may give other results"]


def _told(run: Summary) -> str:
    return f"seedbed {run.version}, code {run.code[:8]}, started {run.started}"


def _completed(folder: Path, there: Path, lacking: Sequence[str]) -> tuple[str, ...]:
    """Move weights that a run here was imported without into it; lines for the reader."""
    if not lacking:
        return (f"{there}: already here, nothing was done",)
    for name in lacking:
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / name, there / name)
    return (f"{there}: already here; {len(lacking)} files of weights that it lacked were added",)


def _lacking(folder: Path, contents: Contents) -> list[str] | None:
    """None if the run here differs from the archive's, else the weights that it lacks."""
    here = {p.relative_to(folder).as_posix(): p for p in files_of(folder)}
    every = {**contents.left_out, **contents.files}
    absent = [n for n in contents.files if n not in here and not only_shows(n)]
    if not all(is_weights(n) for n in absent):
        return None
    if any(n not in every for n in here if not only_shows(n)):
        return None
    both = [n for n in here if n in every and not only_shows(n)]
    # Sizes first: most versions differ in these, and weights are slow to read.
    if any(here[n].stat().st_size != every[n].bytes for n in both):
        return None
    return absent if all(kept_of(here[n]) == every[n] for n in both) else None
