"""A score matrix that is made block by block and can survive a kill: a .npy file and a record.

A block counts only once it is on disk and recorded with its SHA-256; a damaged one is found
when the matrix is opened and made again, alone.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed.core.config import Config, digest
from seedbed.core.errors import DataError, DiskError
from seedbed.core.files import read_json, write_json
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

MATRIX = "scores.npy"
RECORD = "shards.json"
COLUMNS = 1024
Array = NDArray[np.float64]


class Shards:
    """A float64 matrix [rows, columns]; in memory only where `folder` is None.

    `key` is whatever the numbers depend on (see `digest_of_work`): a folder made for another
    key, other ids or another `width` is emptied. `facts` are small JSON values that are
    recorded with the blocks. Raises DiskError if the folder cannot be written.
    """

    def __init__(
        self,
        rows: Sequence[str],
        columns: Sequence[str],
        folder: Path | None = None,
        key: str = "",
        width: int = COLUMNS,
    ) -> None:
        self.folder, self.width, self.count = folder, width, len(columns)
        self.facts: dict[str, Any] = {}
        self._blocks: dict[str, dict[str, Any]] = {}
        shape = (len(rows), len(columns))
        self._about = {"format": 1, "key": key, "width": width, "rows": list(rows),
                       "columns": digest(list(columns))}  # fmt: skip
        if folder is None:
            self.values: Array = np.zeros(shape)
        elif (found := self._opened(folder, shape)) is not None:
            self.values = found
        else:
            self.values = _made(folder / MATRIX, shape)
            write_json(folder / "columns.json", list(columns))
            self._record()

    def ranges(self) -> list[range]:
        """The columns, shard by shard."""
        starts = range(0, self.count, self.width)
        return [range(i, min(i + self.width, self.count)) for i in starts]

    def holds(self, rows: Sequence[int], columns: range) -> bool:
        """Whether this block is there."""
        return _name(rows, columns) in self._blocks

    def put(self, rows: Sequence[int], columns: range, block: Array) -> None:
        """Write a block [rows, columns] and record it, with `facts`."""
        self.values[np.ix_(rows, columns)] = block
        about: dict[str, Any] = {"rows": list(rows), "columns": [columns.start, columns.stop]}
        self._blocks[_name(rows, columns)] = about
        if isinstance(self.values, np.memmap):
            about["sha256"] = _sha(block)
            self.values.flush()
            self._record()

    def _record(self) -> None:
        assert self.folder is not None
        record = {**self._about, "facts": self.facts, "blocks": self._blocks}
        write_json(self.folder / RECORD, record)

    def _opened(self, folder: Path, shape: tuple[int, int]) -> Array | None:
        """The matrix of an earlier call for the same work, its whole blocks known; else None."""
        try:
            record = read_json(folder / RECORD)
            values = np.load(folder / MATRIX, mmap_mode="r+")
        except (DataError, OSError, ValueError, EOFError):
            # Nothing there, or nothing that can be trusted: it only ever saved time.
            return None
        if any(record.get(k) != v for k, v in self._about.items()):
            return None
        if values.shape != shape or values.dtype != np.float64:
            return None
        for name, about in record["blocks"].items():
            block = values[np.ix_(about["rows"], range(*about["columns"]))]
            if _sha(block) == about["sha256"]:
                self._blocks[name] = about
        self.facts = record["facts"]
        found: Array = values
        return found


def _made(path: Path, shape: tuple[int, int]) -> Array:
    """A new file of zeros with its space set aside, so that a full disk shows here."""
    try:
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        values: Array = np.lib.format.open_memmap(path, "w+", np.float64, shape)
        if hasattr(os, "posix_fallocate"):  # macOS has none
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, path.stat().st_size))
    except OSError as error:
        raise DiskError(f"{path}: cannot write: {error.strerror or error}") from error
    return values


def _name(rows: Sequence[int], columns: range) -> str:
    return f"{rows[0]}-{rows[-1]}:{columns.start}-{columns.stop}"


def _sha(block: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(block).tobytes()).hexdigest()


def digest_of_work(
    finder: Config, subject: Subject, *parts: Iterable[TokenSequence] | torch.Tensor | str
) -> str:
    """SHA-256 of all that scores depend on: configuration, weights, seed, loss and `parts`."""
    found = hashlib.sha256(digest(finder).encode())
    found.update(f"{subject.seed} {subject.loss} {subject.batch} {torch.__version__}".encode())
    found.update(str(subject.device).encode())
    for name, tensor in subject.model.state_dict().items():
        found.update(name.encode())
        found.update(_bytes(tensor))
    for part in parts:
        if isinstance(part, str):
            found.update(part.encode())
        elif isinstance(part, torch.Tensor):
            found.update(_bytes(part))
        else:
            for sequence in part:
                found.update(repr((sequence.ids, sequence.predicted)).encode())
    return found.hexdigest()


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).cpu().numpy().tobytes()
