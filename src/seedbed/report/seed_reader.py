"""Reading one seed of a run folder: every file of it as typed rows, read on first use.

A damaged or missing file is one line that names it; nothing here writes.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from seedbed.core.config import first_problem
from seedbed.core.errors import DataError
from seedbed.core.files import read_json, read_objects, read_rows
from seedbed.core.grid import DecisionGrid
from seedbed.core.history import Snapshot
from seedbed.core.outcomes import Outcomes
from seedbed.core.rows import Document, Question
from seedbed.core.sites import Claim, Truth
from seedbed.core.words import Words
from seedbed.report.schema import Answer, Bank, Cost, Engine, Measured, Step, Trained

ModelT = TypeVar("ModelT", bound=BaseModel)


TRUTHS = ("cells", "parts", "classes", "kinds", "data")
"""Folders of truths: those that were brought to the sites of claims before the world's own."""


class Seed:
    """The files of one seed of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = int(path.name)
        self._claims: dict[str, Claim] = {}

    @cached_property
    def documents(self) -> list[Document]:
        """The training documents, in training order; none where nothing was planted."""
        path = self.path / "data" / "documents.jsonl"
        return read_rows(path, Document) if path.exists() and path.stat().st_size else []

    @cached_property
    def questions(self) -> dict[str, Question]:
        """All questions by id."""
        rows = read_rows(self.path / "data" / "questions.jsonl", Question)
        return {row.id: row for row in rows}

    @cached_property
    def truth(self) -> Truth:
        """The truth that the world declares: questions × sites, as claims name them."""
        places = [self.path / folder / "truth.npz" for folder in TRUTHS]
        return Truth.load(next(place for place in places if place.exists()))

    @cached_property
    def history(self) -> list[Step]:
        """The logged steps of training; empty if the subject was not trained."""
        path = self.path / "train" / "history.jsonl"
        if not path.exists():
            return []
        return [row_of(Step, _grouped(value), path, line) for line, value in read_objects(path)]

    @cached_property
    def trained(self) -> Trained | None:
        """Totals of training; None if the subject was not trained."""
        path = self.path / "train" / "summary.json"
        return row_of(Trained, read_json(path), path) if path.exists() else None

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """What the subject answered, by question id."""
        path = self.path / "measure" / "answers.jsonl"
        rows = [row_of(Answer, value, path, line) for line, value in read_objects(path)]
        return {row.id: row for row in rows}

    @cached_property
    def measured(self) -> list[Measured]:
        """Answers summarised by slice."""
        return rows_of(Measured, self.path / "measure" / "summary.json")

    @cached_property
    def words(self) -> Words | None:
        """Written answers beside the likeliest choices; None if none were written."""
        path = self.path / "words" / "words.json"
        return row_of(Words, read_json(path), path) if path.exists() else None

    @cached_property
    def snapshots(self) -> list[Snapshot]:
        """What was answered at each checkpoint; empty if nothing was asked then."""
        path = self.path / "history" / "history.jsonl"
        return read_rows(path, Snapshot) if path.exists() else []

    @cached_property
    def grid(self) -> DecisionGrid | None:
        """The decision map of the study's subject; None if none was made."""
        path = self.path / "grid" / "grid.npz"
        return DecisionGrid.load(path) if path.exists() else None

    @cached_property
    def later_grids(self) -> dict[tuple[str, str], DecisionGrid]:
        """(arm, method) → the decision map after the second stage, sorted; empty without any."""
        found = {}
        for path in sorted(self.path.glob("spread/*/grid.npz")):
            # Names of arms and methods hold no plus sign.
            arm, _, method = path.parent.name.removeprefix("grid-").partition("+")
            found[arm, method] = DecisionGrid.load(path)
        return found

    @cached_property
    def finders(self) -> tuple[str, ...]:
        """Names of the finders with a claim, sorted."""
        return tuple(sorted(p.name.removeprefix("find-") for p in self.path.glob("find-*")))

    def claim(self, finder: str) -> Claim:
        """The claim of one finder: questions asked × sites; kept after the first read."""
        if finder not in self._claims:
            self._claims[finder] = Claim.load(self.path / f"find-{finder}" / "claim.npz")
        return self._claims[finder]

    def cost(self, finder: str) -> Cost:
        """What the finder took."""
        path = self.path / f"find-{finder}" / "cost.json"
        return row_of(Cost, read_json(path), path)

    def notes(self, finder: str) -> dict[str, str]:
        """What the finder notes about its claim, without reading the scores."""
        return Claim.load_notes(self.path / f"find-{finder}" / "claim.npz")

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """What retrained subjects answered; None if none was retrained."""
        path = self.path / "effects" / "outcomes.npz"
        return Outcomes.load(path) if path.exists() else None

    @cached_property
    def engine(self) -> Engine | None:
        """How patching ran; None if nothing was mediated."""
        path = self.path / "mediation" / "engine.json"
        return row_of(Engine, read_json(path), path) if path.exists() else None

    @cached_property
    def bank(self) -> Bank | None:
        """What retraining took; None if nothing was retrained."""
        path = self.path / "effects" / "cost.json"
        return row_of(Bank, read_json(path), path) if path.exists() else None


def row_of(model: type[ModelT], value: Any, path: Path, line: int | None = None) -> ModelT:
    """A row of `path`; raises DataError naming file, line and key."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise DataError(path, line, first_problem(error, model)) from error


def rows_of(model: type[ModelT], path: Path) -> list[ModelT]:
    """The rows of a JSON list; raises DataError naming file, row and key."""
    values = read_json(path)
    if not isinstance(values, list):
        raise DataError(path, None, f"a list of rows is needed, found a {type(values).__name__}")
    rows = []
    for number, value in enumerate(values):
        try:
            rows.append(model.model_validate(value))
        except ValidationError as error:
            raise DataError(path, None, f"row {number}: {first_problem(error, model)}") from error
    return rows


def _grouped(value: dict[str, Any]) -> dict[str, Any]:
    groups = {k.removeprefix("loss:"): v for k, v in value.items() if k.startswith("loss:")}
    return {**value, "groups": {k: v for k, v in groups.items() if v is not None}}
