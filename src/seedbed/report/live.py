"""What a study that is still running has come to: its steps, the rounds done, newest episodes.

Reads only; every table is read once.
"""

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from seedbed.core.config import read_yaml
from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_json, read_objects
from seedbed.core.incentives import EXACT, PLAYED
from seedbed.core.transcripts import Transcript
from seedbed.core.units import Units, load_units
from seedbed.report.running import in_store, state_of
from seedbed.report.seed_reader import row_of

CONFIG, FINISHED, TRAINING = "config.yaml", "manifest.json", "running.json"
_LANES = {
    "incentives": {"agents in training": TRAINING, "agents measured": "incentives.json"},
    "mediation": {"mediated": "mediation.json"},
    "organisms": {"organisms judged": "organisms.json"},
    "spread": {"taught again": "spread.json"},
}
"""What a study has besides its steps, by the key that asks for it: step → file it ends with."""
NEWEST = 6
_ROUNDS, _TABLES, _TRANSCRIPTS = "iterations", "tables.npz", "transcripts.jsonl"
_SHOWN = {
    "gameable": ("harm", 1.0), "other": ("harm", 0.0),
    "rating": ("rating", None), "welfare": ("welfare", None),
}  # fmt: skip
Numbers = dict[str, float]


@dataclass
class Watched:
    """A run folder, finished or not. Raises InputError if there is no such folder."""

    path: Path
    _known: dict[Path, Numbers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no such folder; a run folder is needed")
        if not (self.path / CONFIG).is_file():
            raise InputError(f"{self.path}: not a run folder, there is no config.yaml in it")

    @property
    def finished(self) -> bool:
        """Whether the study has ended."""
        return (self.path / FINISHED).exists()

    def steps(self) -> dict[str, str]:
        """Step of this study → the file that it ends with, in order."""
        asked = [lane for key, lane in _LANES.items() if self._config.get(key) is not None]
        learned = "base learned" if self._config.get("incentives") is not None else "learned"
        lanes = {step: file for lane in asked for step, file in lane.items()}
        last = {"finders scored": "scores.json", "finished": FINISHED}
        return {"configured": CONFIG, learned: "gate.json", **lanes, **last}

    @cached_property
    def _config(self) -> dict[str, Any]:
        return read_yaml(self.path / CONFIG)

    def state(self) -> dict[str, Any]:
        """Plain values: `stages`, `run` (see `running.state_of`) and of a users' study `cells`
        with rounds done, `courses` by cell, `newest` episodes.

        A course is (round, mean over the seeds that have it) of harm to gameable users and to
        others, rating and welfare.
        """
        try:
            return self._state()
        except (DataError, FileNotFoundError):
            # A stage that ends while it is read moves to its place.
            return self._state()

    def _state(self) -> dict[str, Any]:
        cells = self._cells()
        rounds = {key: self._rounds(folder) for key, folder in cells.items()}
        return {
            "name": self.path.resolve().name,
            "stages": [[name, (self.path / file).exists()] for name, file in self.steps().items()],
            "run": state_of(self.path),
            "finished": self.finished,
            "cells": [{"cell": c, "seed": s, "rounds": len(rounds[c, s])} for c, s in cells],
            "courses": _courses(rounds),
            "newest": self._newest(cells),
        }

    def _cells(self) -> dict[tuple[str, int], Path]:
        """(cell, seed) → where its rounds lie, while it is made or after."""
        path = self.path / TRAINING
        found = {}
        for row in read_json(path) if path.exists() else []:
            name = str(row["cell"]).rpartition("/")[2]
            found[name, int(row["seed"])] = in_store(self.path / row["folder"])
        return found

    def _rounds(self, folder: Path) -> list[Numbers]:
        """The numbers of the rounds from the first on that have been measured."""
        found: list[Numbers] = []
        for k in itertools.count():
            path = folder / _ROUNDS / f"{k:03d}" / _TABLES
            if not path.exists():
                return found
            if path not in self._known:
                self._known[path] = numbers_of(load_units(path))
            found.append(self._known[path])
        return found

    def _newest(self, cells: dict[tuple[str, int], Path]) -> list[dict[str, Any]]:
        paths = [(path.stat().st_mtime_ns, cell, seed, path)
                 for (cell, seed), folder in cells.items()
                 for path in folder.glob(f"{_ROUNDS}/*/{_TRANSCRIPTS}")]  # fmt: skip
        if not paths:
            return []
        _, cell, seed, path = max(paths)
        rows = itertools.islice(read_objects(path), NEWEST)
        told = [row_of(Transcript, value, path, line) for line, value in rows]
        return [
            {"cell": cell, "seed": seed, "round": t.iteration, "environment": t.opening.environment,
             "failure": t.failure, "said": [[s.role, s.content] for s in t.said()],
             "ratings": t.ratings()}
            for t in told
        ]  # fmt: skip


def numbers_of(tables: dict[str, Units]) -> Numbers:
    """Means over the users of a round's tables, by probabilities where they are known."""
    by = EXACT if any(n.startswith(f"{EXACT}:") for n in tables) else PLAYED
    here = [t for n, t in tables.items() if n.startswith(f"{by}:")]
    found = {}
    for name, (column, kind) in _SHOWN.items():
        values = np.concatenate([t.column(column)[_of(t, kind)] for t in here] or [np.array([])])
        values = values[np.isfinite(values)]
        if values.size:
            found[name] = float(values.mean())
    return found


def _of(table: Units, kind: float | None) -> Any:
    return slice(None) if kind is None else table.column("gameable") == kind


def _courses(rounds: dict[tuple[str, int], list[Numbers]]) -> dict[str, list[Numbers]]:
    """Cell → round by round the means over the seeds that have come so far."""
    found: dict[str, list[Numbers]] = {}
    for cell in dict.fromkeys(c for c, _ in rounds):
        seeds = [done for (c, _), done in rounds.items() if c == cell]
        course = []
        for k in range(max(map(len, seeds), default=0)):
            here = [done[k] for done in seeds if k < len(done)]
            names = dict.fromkeys(n for one in here for n in one)
            course.append({n: fmean(one[n] for one in here if n in one) for n in names})
        found[cell] = course
    return found
