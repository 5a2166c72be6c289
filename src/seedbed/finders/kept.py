"""States on disk: safetensors shards of bounded size, one tensor a cell, and a JSON sidecar.

A shard is written whole or not at all, so an interrupted run goes on where it stopped and ends
in the same bytes.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from seedbed.core.cells import Cell
from seedbed.core.errors import DataError
from seedbed.core.files import atomic_file, read_json, write_json
from seedbed.core.rows import Question
from seedbed.finders.states import (
    Spotted,
    States,
    gathered,
    held,
    model_digest,
    spotted,
)
from seedbed.models.blocks import blocks_of, site_of
from seedbed.models.subject import Subject

Precision = Literal["float32", "float16", "bfloat16"]
SHARD = 2**28
"""Bytes of states in a shard: what is held in memory, once while reading, twice while writing."""
HELD = 2**30
"""Bytes of states that `states_of` holds in memory."""
SIDECAR = "states.json"


@dataclass(frozen=True)
class Kept:
    """States in a folder; one cell is read at a time."""

    folder: Path
    about: dict[str, Any]

    @property
    def questions(self) -> tuple[str, ...]:
        """Ids in the order of rows."""
        return tuple(self.about["questions"])

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells in running order."""
        return tuple(Cell.parse(name) for name in self.about["cells"])

    def at(self, cell: Cell) -> Tensor:
        """States [questions, width] of a cell, float32; NaN where a question lacks the place.

        Raises DataError if a shard is damaged.
        """
        from safetensors import SafetensorError, safe_open

        found = []
        for path in _paths(self.folder, self.about):
            try:
                with safe_open(path, "pt") as file:
                    found.append(file.get_tensor(cell.name).float())
            except (SafetensorError, OSError) as error:
                raise DataError(path, None, f"not a shard of states: {error}") from error
        return torch.cat(found)

    def width(self, cell: Cell) -> int:
        """How many numbers a state has."""
        return int(self.about["widths"][self.about["cells"].index(cell.name)])

    @classmethod
    def load(cls, folder: Path) -> "Kept":
        """Read what `keep` wrote; raises DataError if it is no such folder or not complete."""
        about = read_json(folder / SIDECAR)
        if not isinstance(about, dict) or about.get("format") != _FORMAT:
            raise DataError(folder / SIDECAR, None, "not saved states of seedbed")
        paths = _paths(folder, about)
        there = sum(path.exists() for path in paths)
        if there < len(paths):
            raise DataError(
                folder, None,
                f"holds {there} of {len(paths)} shards; the run that wrote them was interrupted,"
                " and goes on when it is repeated",
            )  # fmt: skip
        return cls(folder, about)


def keep(
    subject: Subject,
    questions: Sequence[Question],
    cells: Sequence[Cell],
    folder: Path,
    *,
    answer: bool = False,
    precision: Precision = "float32",
    shard: int = SHARD,
) -> Kept:
    """Write the states of questions at cells to `folder`, going on where an earlier run stopped.

    A shard holds as many questions, in order, as make up to `shard` bytes, at least one. The
    sidecar tells the model (a digest of its weights), the questions, how many tokens each has
    and where its places stand, the cells, and versions. Raises DataError if the folder holds
    states of something else, InputError for an unfit cell or question.
    """
    rows = [spotted(subject, q, answer=answer) for q in questions]
    blocks = blocks_of(subject.model)
    widths = [blocks.numbers(site_of(cell)) for cell in cells]
    bits = torch.finfo(getattr(torch, precision)).bits
    size = max(1, shard // max(1, sum(widths) * bits // 8))
    places = sorted({cell.place for cell in cells})
    about: dict[str, Any] = {
        "format": _FORMAT,
        "model": model_digest(subject.model),
        "cells": [cell.name for cell in cells],
        "widths": widths,
        "answer": answer,
        "precision": precision,
        "batch": subject.batch,
        "rows_per_shard": size,
        "questions": [row.id for row in rows],
        "prompts": hashlib.sha256(json.dumps([row.ids for row in rows]).encode()).hexdigest(),
        "tokens": [len(row.ids) for row in rows],
        "positions": {p: [row.places.get(p, (-1,))[-1] for row in rows] for p in places},
        "versions": {name: version(name) for name in ("seedbed", "torch", "transformers")},
    }
    _begun(folder, about)
    for number, path in enumerate(_paths(folder, about)):
        if not path.exists():
            _write(path, subject, rows[number * size : (number + 1) * size], cells, widths,
                   getattr(torch, precision))  # fmt: skip
    return Kept(folder, about)


@contextmanager
def states_of(
    subject: Subject, questions: Sequence[Question], cells: Sequence[Cell], *, answer: bool = False
) -> Iterator[States]:
    """States for as long as the block lasts: in memory up to `HELD` bytes, else in a temporary
    folder (in the subject's scratch, where an interrupted run finds them again).
    """
    blocks = blocks_of(subject.model)
    size = 4 * len(questions) * sum(blocks.numbers(site_of(cell)) for cell in cells)
    if size <= HELD:
        yield held(subject, questions, cells, answer=answer)
        return
    with TemporaryDirectory() as temporary:
        folder = (subject.scratch or Path(temporary)) / "states"
        yield keep(subject, questions, cells, folder, answer=answer)


_FORMAT = "seedbed states 1"


def _begun(folder: Path, about: dict[str, Any]) -> None:
    path = folder / SIDECAR
    if not path.exists():
        write_json(path, about)
        return
    known = read_json(path)
    other = [key for key in about if not isinstance(known, dict) or known.get(key) != about[key]]
    if other:
        raise DataError(folder, None, f"holds states of something else ({', '.join(other)}"
                        " differ); name another folder or remove this one")  # fmt: skip


def _paths(folder: Path, about: dict[str, Any]) -> list[Path]:
    count = -(-len(about["questions"]) // about["rows_per_shard"])
    return [folder / f"states-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]


def _write(
    path: Path, subject: Subject, rows: Sequence[Spotted], cells: Sequence[Cell],
    widths: Sequence[int], dtype: torch.dtype,
) -> None:  # fmt: skip
    from safetensors.torch import save_file

    held = {cell: torch.empty(len(rows), width, dtype=dtype)
            for cell, width in zip(cells, widths, strict=True)}  # fmt: skip
    for index, found in gathered(subject, rows, cells):
        for cell, states in found.items():
            held[cell][index] = states.to(device="cpu", dtype=dtype)
    with atomic_file(path) as temporary:
        save_file({cell.name: states for cell, states in held.items()}, temporary)
