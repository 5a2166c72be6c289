"""Where the claims of a run folder lie, kind of site by kind of site, and rows by their id.

A folder holds claims about the world's own sites, about other kinds (`crossed`) and, after
learning from users, about transcripts (`attribution`); all are marked by a truth beside them.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seedbed.core.errors import DataError
from seedbed.core.files import read_objects
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.report.seed_reader import TRUTHS

CLAIM, FIND = "claim.npz", "find-"
CROSSED, ATTRIBUTION, INCENTIVES = "crossed", "attribution", "incentives"
OF_FOLDER = {"cells": SiteKind.CELL, "parts": SiteKind.INPUT, "classes": SiteKind.DIRECTION,
             "kinds": SiteKind.USER}  # fmt: skip
_LINE = re.compile(rb'^\{"id": ?"([^"\\]*)"[^\n]*$', re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """One seed's claims about a kind of site: their folder and what they are read with.

    `data` are folders with questions.jsonl and documents.jsonl, the first that has a file counts.
    """

    seed: int
    sites: str
    folder: Path
    truth: Path
    data: tuple[Path, ...]
    answers: Path
    outcomes: Path

    @property
    def finders(self) -> tuple[str, ...]:
        """Labels of the finders with a claim here, sorted."""
        return tuple(sorted(p.name.removeprefix(FIND) for p in self.folder.glob(f"{FIND}*")))

    def claim_file(self, finder: str) -> Path:
        """Where the claim of a finder lies."""
        return self.folder / f"{FIND}{finder}" / CLAIM

    def file(self, name: str) -> Path:
        """The first of the data folders' files of that name; the first folder's if none is."""
        return next((d / name for d in self.data if (d / name).is_file()), self.data[0] / name)

    @cached_property
    def declared(self) -> Truth:
        """The truth that the claims are marked by; raises DataError."""
        return Truth.load(self.truth)

    @cached_property
    def questions(self) -> "Rows":
        """The questions' rows; raises DataError."""
        return Rows(self.file("questions.jsonl"))

    @cached_property
    def documents(self) -> "Rows":
        """The documents' rows; raises DataError."""
        return Rows(self.file("documents.jsonl"))

    @cached_property
    def said(self) -> "Rows | None":
        """The rows of answers; None where none were kept."""
        return Rows(self.answers) if self.answers.is_file() else None

    def claim(self, finder: str) -> Claim:
        """The claim of a finder; raises DataError."""
        return Claim.load(self.claim_file(finder))


class Rows:
    """The rows of a JSONL file by id, each parsed when it is asked for. Raises DataError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_bytes()
        except OSError as error:
            raise DataError(path, None, error.strerror or str(error)) from error
        self._lines = {m[1]: m[0] for m in _LINE.finditer(text)}
        self._parsed: dict[str, dict[str, Any]] = {}
        if len(self._lines) != sum(1 for line in text.split(b"\n") if line.strip()):
            # Rows of other writers: their ids may stand anywhere in the line.
            self._parsed = {str(row.get("id")): row for _, row in read_objects(path)}

    def row(self, name: str) -> dict[str, Any] | None:
        """The row with that id, or None."""
        if name in self._parsed:
            return self._parsed[name]
        line = self._lines.get(name.encode())
        if line is None:
            return None
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise DataError(self.path, None, f"the row of {name!r} is not JSON: {error}") from error
        return found


def places(run: Path) -> dict[str, list[Place]]:
    """Kind of site → places with claims, seed by seed; the world's own kind first."""
    own: dict[str, list[Place]] = {}
    others: dict[str, list[Place]] = {}
    for seed in seeds(run):
        here = run / "seeds" / str(seed)
        kind, truth = own_truth(here)
        effects = here / "effects" / "outcomes.npz"
        place = Place(seed, kind, here, truth, (here / "data",),
                      here / "measure" / "answers.jsonl", effects)  # fmt: skip
        if place.finders:
            own.setdefault(kind, []).append(place)
        for there in sorted((here / CROSSED).glob("[!.]*")):
            found = Place(
                seed, there.name, there, there / "truth.npz", (there / "data", here / "data"),
                there / "measure" / "answers.jsonl", there / "effects" / "outcomes.npz",
            )  # fmt: skip
            if found.finders:
                others.setdefault(there.name, []).append(found)
        if (traced := _traced(seed, here)) is not None:
            others.setdefault(traced.sites, []).append(traced)
    return {**own, **{k: v for k, v in sorted(others.items()) if k not in own}}


def _traced(seed: int, here: Path) -> Place | None:
    """Claims about the transcripts that an agent learned from; their rows lie in its ground."""
    folder = here / ATTRIBUTION
    if not folder.is_dir():
        return None
    # Only the ground that finders look into keeps its rows.
    ground = tuple(p.parent for p in sorted(here.glob(f"{INCENTIVES}/*/data/questions.jsonl")))
    place = Place(seed, SiteKind.DOCUMENT, folder, folder / "truth.npz", ground or (here / "data",),
                  folder / "answers.jsonl", folder / "outcomes.npz")  # fmt: skip
    return place if place.finders else None


def seeds(run: Path) -> list[int]:
    """The seeds with a folder, in order."""
    return sorted(int(p.name) for p in (run / "seeds").glob("*") if p.name.isdigit())


def own_truth(here: Path) -> tuple[str, Path]:
    """The world's own kind of site and the truth that its claims are marked by, in a seed."""
    for name in TRUTHS:
        path = here / name / "truth.npz"
        if path.is_file() and name in OF_FOLDER:
            return OF_FOLDER[name], path
    return SiteKind.DOCUMENT, here / "data" / "truth.npz"
