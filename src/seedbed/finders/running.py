"""Running moments of states by label: means and squares in float64, and no state is kept.

Enough for directions of class means at any number of questions.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedbed.core.cells import Cell
from seedbed.core.directions import Directions
from seedbed.core.errors import DataError, InputError
from seedbed.core.files import atomic_file
from seedbed.core.rows import Question
from seedbed.finders.fitting import SAME
from seedbed.finders.states import gathered, model_digest, spotted
from seedbed.models.blocks import blocks_of, site_of
from seedbed.models.subject import Subject

CHUNK = 256
"""Questions between two saves."""
_KEY = "seedbed moments 1"


@dataclass(frozen=True)
class Moments:
    """Moments of the states of each label at each cell, float64.

    `tables` holds, as NAME/CELL: `count` [labels] of questions that have the cell's place, `mean`
    [labels, width], `squares` [labels, width] (sums of squared deviations from the label's mean),
    `length` [labels] (mean norm of states), and, where it was asked for, `within` [width, width]
    (products of deviations from the labels' means, summed over all questions). `about` tells
    the model, the cells and the questions.
    """

    labels: tuple[str, ...]
    tables: dict[str, Tensor]
    about: dict[str, Any]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells in running order."""
        return tuple(Cell.parse(name) for name in self.about["cells"])

    def of(self, name: str, cell: Cell) -> Tensor:
        """One table of one cell."""
        return self.tables[f"{name}/{cell.name}"]

    def directions(self, positive: str, negative: str) -> Directions:
        """The difference of two labels' means at each cell, threshold midway between them.

        Cells where the means are the same are left out. Raises InputError for an unknown label,
        one without a question, and if no cell is left.
        """
        for label in (positive, negative):
            if label not in self.labels:
                raise InputError(f"no question is labelled {label!r}; labels: {list(self.labels)}")
        p, n = self.labels.index(positive), self.labels.index(negative)
        sites, vectors, numbers = [], [], []
        for cell in self.cells:
            count, mean = self.of("count", cell)[[p, n]], self.of("mean", cell)
            apart = mean[p] - mean[n]
            spread = float(apart.norm())
            length = float((count * self.of("length", cell)[[p, n]]).sum() / count.sum())
            if not bool((count > 0).all()) or not spread > SAME * length:
                continue
            vector = apart / spread
            sites.append(cell.name)
            vectors.append(vector.numpy())
            numbers.append((float(vector @ (mean[p] + mean[n]) / 2), spread, length))
        if not sites:
            raise InputError(f"the means of {positive!r} and {negative!r} are the same everywhere")
        middle, spreads, lengths = np.array(numbers).T
        made = {**self.about, "method": "difference"}
        return Directions(
            tuple(sites), np.stack(vectors), middle, spreads, lengths, positive, negative, made
        )

    def save(self, path: Path) -> None:
        """Write as safetensors, whose metadata holds the labels and `about` as JSON."""
        _save(path, self, self.about["questions"])

    @classmethod
    def load(cls, path: Path) -> "Moments":
        """Read what `save` or `moments` wrote; raises DataError if it is not, or not complete."""
        found, done = _load(path)
        if done < found.about["questions"]:
            raise DataError(
                path, None,
                f"holds {done} of {found.about['questions']} questions; the run that wrote it was"
                " interrupted, and goes on when it is repeated",
            )  # fmt: skip
        return found


def moments(
    subject: Subject,
    questions: Sequence[Question],
    labels: Mapping[str, str],
    cells: Sequence[Cell],
    *,
    answer: bool = False,
    within: bool = False,
    path: Path | None = None,
) -> Moments:
    """Moments of states by `labels` (question id → label), from one forward pass a question.

    With `path` the sums are saved there after every `CHUNK` questions, and an interrupted run
    goes on from there to the same bytes. Merged by Chan, Golub and LeVeque's formulas (1983).
    Raises InputError for a question without a label, DataError if `path` holds something else.
    """
    rows = [spotted(subject, q, answer=answer) for q in questions]
    lacking = [q.id for q in questions if q.id not in labels]
    if lacking:
        raise InputError(f"question {lacking[0]!r} has no label")
    names = tuple(sorted({labels[q.id] for q in questions}))
    told = json.dumps([[row.id, row.ids, labels[row.id]] for row in rows])
    about = {
        "model": model_digest(subject.model),
        "cells": [cell.name for cell in cells],
        "answer": answer,
        "batch": subject.batch,
        "questions": len(rows),
        "prompts": hashlib.sha256(told.encode()).hexdigest(),
        "count": {name: sum(labels[row.id] == name for row in rows) for name in names},
        "versions": {name: version(name) for name in ("seedbed", "torch", "transformers")},
    }
    state, done = _begun(subject, names, about, cells, path, within=within)
    number = torch.tensor([names.index(labels[row.id]) for row in rows])
    for start in range(done, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        for index, found in gathered(subject, some, cells):
            own = number[start : start + CHUNK][index]
            for cell, states in found.items():
                _add(state, cell, states.double().cpu(), own)
        if path is not None:
            _save(path, state, start + len(some))
    return state


def _add(state: Moments, cell: Cell, x: Tensor, labels: Tensor) -> None:
    """Merge states x [rows, width] of one batch into the moments of a cell."""
    count, mean, squares, length = (
        state.of(name, cell) for name in ("count", "mean", "squares", "length")
    )
    within = state.tables.get(f"within/{cell.name}")
    here = x[:, 0].isfinite()
    for label in range(len(state.labels)):
        own = x[here & (labels == label)]
        if not len(own):
            continue
        middle, total = own.mean(0), count[label] + len(own)
        away, share = middle - mean[label], count[label] * len(own) / total
        far = own - middle
        squares[label] += far.square().sum(0) + away.square() * share
        if within is not None:
            within += far.T @ far + torch.outer(away, away) * share
        mean[label] += away * len(own) / total
        length[label] += (own.norm(dim=1).mean() - length[label]) * len(own) / total
        count[label] = total


def _begun(
    subject: Subject, names: tuple[str, ...], about: dict[str, Any], cells: Sequence[Cell],
    path: Path | None, *, within: bool,
) -> tuple[Moments, int]:  # fmt: skip
    if path is not None and path.exists():
        found, done = _load(path)
        same = found.about == about and any("within/" in t for t in found.tables) == within
        if not same:
            raise DataError(path, None, "holds moments of something else; name another file or"
                            " remove this one")  # fmt: skip
        return found, done
    blocks, tables = blocks_of(subject.model), {}
    for cell in cells:
        width, labels = blocks.numbers(site_of(cell)), len(names)
        shapes = {"count": (labels,), "mean": (labels, width), "squares": (labels, width),
                  "length": (labels,)} | ({"within": (width, width)} if within else {})  # fmt: skip
        for name, shape in shapes.items():
            tables[f"{name}/{cell.name}"] = torch.zeros(shape, dtype=torch.float64)
    return Moments(names, tables, about), 0


def _save(path: Path, state: Moments, done: int) -> None:
    from safetensors.torch import save_file

    # One key alone, since the format does not keep the order of several.
    told = json.dumps({"labels": state.labels, "about": state.about, "done": done}, sort_keys=True)
    with atomic_file(path) as temporary:
        save_file(state.tables, temporary, {_KEY: told})


def _load(path: Path) -> tuple[Moments, int]:
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise DataError(path, None, "no such file")
    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()[_KEY])
            tables = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 # no dict
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(path, None, f"not saved moments of seedbed: {error}") from error
    return Moments(tuple(told["labels"]), tables, told["about"]), int(told["done"])
