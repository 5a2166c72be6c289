"""A run as one file: a .tar.gz whose first member lists every file with size and SHA-256.

The same run gives the same bytes: members are sorted and carry no time, owner or permission.
`runs/arrival.py` is the way back.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from seedbed.core.errors import DiskError, InputError
from seedbed.core.files import atomic_file
from seedbed.runs.summary import read_summary

FORMAT = 1
LIST = "seedbed-archive.json"
"""The first member: what `Contents` holds."""
INSIDE = "run/"
"""What stands before the name of every file of the run."""
WEIGHTS = ("model*.safetensors", "weights*.safetensors", "adapter_model*.safetensors",
           "optimizer*", "*.pt", "*.bin")  # fmt: skip
"""Files of trained subjects, which may stay behind: a replay makes them again."""
SHOWN = ("*.html", "figures/*")
"""Files that only show a run; two runs that differ in these are the same."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Kept:
    """Size and SHA-256 (hex) of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What an archive says of itself.

    `files` are its members by their path in the run folder; `left_out` those of the run that it
    was made without. `version` and `code` are those of the seedbed that made the run.
    """

    format: int
    name: str
    study: str
    digest: str
    version: str
    code: str
    started: str
    files: dict[str, Kept]
    left_out: dict[str, Kept]

    def as_json(self) -> bytes:
        """Canonical bytes."""
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @property
    def identity(self) -> str:
        """SHA-256 (hex) over all results, with and without weights the same."""
        every = {**self.left_out, **self.files}
        lines = [f"{n} {k.sha256}\n" for n, k in sorted(every.items()) if not only_shows(n)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def export(folder: Path, out: Path, subject: bool = True) -> Contents:
    """Write the run in `folder` to the archive `out`; without `subject` its weights stay behind.

    Raises InputError if the run is not finished, is damaged, or changes meanwhile.
    """
    contents = contents_of(folder, subject)
    with (
        atomic_file(out) as temporary,
        temporary.open("wb") as raw,
        # An empty name and no time: else the same run would give other bytes tomorrow.
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        text = contents.as_json()
        tar.addfile(_member(LIST, len(text)), io.BytesIO(text))
        for name, kept in sorted(contents.files.items()):
            with (folder / name).open("rb") as file:
                watched = _Watched(file, kept.bytes)
                try:
                    tar.addfile(_member(INSIDE + name, kept.bytes), watched)
                except OSError as error:
                    if error.errno is not None:
                        raise
                    raise _changed(folder / name) from error
            if watched.sha.hexdigest() != kept.sha256 or file_grew(folder / name, kept.bytes):
                raise _changed(folder / name)
    return contents


def contents_of(folder: Path, subject: bool = True) -> Contents:
    """What an archive of this run would hold. Raises InputError if it cannot travel."""
    made = read_summary(folder)
    if made.state not in ("finished", "stopped"):
        raise InputError(f"{folder}: the run is {made.state}: {made.reason}")
    files: dict[str, Kept] = {}
    left_out: dict[str, Kept] = {}
    for path in files_of(folder):
        name = path.relative_to(folder).as_posix()
        group = files if subject or not is_weights(name) else left_out
        group[name] = kept_of(path)
    return Contents(FORMAT, folder.resolve().name, made.study, made.digest, made.version,
                    made.code, made.started, files, left_out)  # fmt: skip


def files_of(folder: Path) -> Iterator[Path]:
    """Every file of a run, sorted, without locks and temporary names.

    Raises InputError for a link.
    """
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: is a link or no plain file, which an archive does not take")
        if path.is_file():
            yield path


def kept_of(path: Path) -> Kept:
    """Size and SHA-256 of a file; raises DiskError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return Kept(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise DiskError(f"{path}: cannot read: {error.strerror or error}") from error


def is_weights(name: str) -> bool:
    """Whether a file of a run holds a trained subject's weights."""
    last = name.rpartition("/")[2]
    return any(fnmatch(last, pattern) for pattern in WEIGHTS)


def only_shows(name: str) -> bool:
    """Whether a file of a run is but a picture of its results."""
    return any(fnmatch(name, pattern) for pattern in SHOWN)


def file_grew(path: Path, size: int) -> bool:
    """Whether a file is no longer of the size it had."""
    return path.stat().st_size != size


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info


def _changed(path: Path) -> InputError:
    return InputError(f"{path}: changed while it was read; is the run being written?")


class _Watched(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.left, self.sha = file, size, hashlib.sha256()

    def read(self, size: int = -1) -> Any:
        found = self.file.read(min(size, self.left) if size >= 0 else self.left)
        self.left -= len(found)
        self.sha.update(found)
        return found
