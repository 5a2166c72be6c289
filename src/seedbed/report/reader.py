"""Reading a run folder: every file of it as typed rows, read on first use.

A damaged or missing file is one line that names it; nothing here writes.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from seedbed.core.config import first_problem, read_yaml
from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_json, read_objects, read_rows
from seedbed.core.grid import DecisionGrid
from seedbed.core.history import Snapshot
from seedbed.core.mediation import Measurement
from seedbed.core.outcomes import Outcomes
from seedbed.core.rows import Document, Question
from seedbed.core.rules import Rules
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.core.spread import Spreading
from seedbed.core.words import Words
from seedbed.report.leading import LEADING, metric_order
from seedbed.report.schema import (
    CHANCE,
    CONTROLS,
    Answer,
    Bank,
    Cost,
    Engine,
    Excluded,
    GateRow,
    Manifest,
    Measured,
    Missing,
    Organisms,
    Score,
    Step,
    Trained,
)

ModelT = TypeVar("ModelT", bound=BaseModel)
TOP_TEN = ("recall@10", "top10:")


class Seed:
    """The files of one seed of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = int(path.name)
        self._claims: dict[str, Claim] = {}

    @cached_property
    def documents(self) -> list[Document]:
        """The training documents, in training order."""
        return read_rows(self.path / "data" / "documents.jsonl", Document)

    @cached_property
    def questions(self) -> dict[str, Question]:
        """All questions by id."""
        rows = read_rows(self.path / "data" / "questions.jsonl", Question)
        return {row.id: row for row in rows}

    @cached_property
    def truth(self) -> Truth:
        """The truth that the world declares: questions × sites, as claims name them."""
        places = [self.path / folder / "truth.npz" for folder in ("cells", "parts", "data")]
        return Truth.load(next(place for place in places if place.exists()))

    @cached_property
    def history(self) -> list[Step]:
        """The logged steps of training; empty if the subject was not trained."""
        path = self.path / "train" / "history.jsonl"
        if not path.exists():
            return []
        return [_row(Step, _grouped(value), path, line) for line, value in read_objects(path)]

    @cached_property
    def trained(self) -> Trained | None:
        """Totals of training; None if the subject was not trained."""
        path = self.path / "train" / "summary.json"
        return _row(Trained, read_json(path), path, None) if path.exists() else None

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """What the subject answered, by question id."""
        path = self.path / "measure" / "answers.jsonl"
        rows = [_row(Answer, value, path, line) for line, value in read_objects(path)]
        return {row.id: row for row in rows}

    @cached_property
    def measured(self) -> list[Measured]:
        """Answers summarised by slice."""
        return _rows(Measured, self.path / "measure" / "summary.json")

    @cached_property
    def words(self) -> Words | None:
        """Written answers beside the likeliest choices; None if none were written."""
        path = self.path / "words" / "words.json"
        return _row(Words, read_json(path), path, None) if path.exists() else None

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
        return _row(Cost, read_json(path), path, None)

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
        return _row(Engine, read_json(path), path, None) if path.exists() else None

    @cached_property
    def bank(self) -> Bank | None:
        """What retraining took; None if nothing was retrained."""
        path = self.path / "effects" / "cost.json"
        return _row(Bank, read_json(path), path, None) if path.exists() else None


class Run:
    """A run folder. Raises InputError if `path` is not one or the run is not finished."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            what = "is a file, a run folder is needed" if path.exists() else "no such folder"
            raise InputError(f"{path}: {what}{_near(path)}")
        if not (path / "config.yaml").is_file():
            raise InputError(
                f"{path}: not a run folder, there is no config.yaml in it{_near(path)}"
            )
        for name in ("manifest.json", "gate.json") + (() if self.stopped else ("scores.json",)):
            if not (path / name).is_file():
                raise InputError(
                    f"{path}: the run is not finished, there is no {name}; "
                    f"go on with: seedbed run {path / 'config.yaml'}"
                )

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.config.get("name") or self.path.resolve().name)

    @property
    def stopped(self) -> str | None:
        """Why the study ended at the gate; None if it did not."""
        return self.manifest.stopped if (self.path / "manifest.json").is_file() else None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return read_yaml(self.path / "config.yaml")

    @cached_property
    def manifest(self) -> Manifest:
        """Versions, machine, times."""
        path = self.path / "manifest.json"
        return _row(Manifest, read_json(path), path, None)

    @cached_property
    def scores(self) -> list[Score]:
        """Every scored row; empty if the study ended at the gate.

        Of a handful of sites the top ten are all of them, so such rows are not shown.
        """
        path = self.path / "scores.json"
        rows = _rows(Score, path) if path.exists() or not self.stopped else []
        few = bool(rows) and self.few_sites
        return [r for r in rows if not (few and r.metric.startswith(TOP_TEN))]

    @cached_property
    def gate(self) -> list[GateRow]:
        """Accuracy against the gate, seed by seed."""
        return _rows(GateRow, self.path / "gate.json")

    @cached_property
    def excluded(self) -> list[Excluded]:
        """Questions left out, with reasons; empty if the file is not there."""
        path = self.path / "excluded.json"
        return _rows(Excluded, path) if path.exists() else []

    @cached_property
    def missing(self) -> list[Missing]:
        """Finders that could not run here, with reasons; empty if the file is not there."""
        path = self.path / "missing.json"
        return _rows(Missing, path) if path.exists() else []

    @cached_property
    def warnings(self) -> dict[str, tuple[str, ...]]:
        """What finders warn of in their claims → the finders that do, best first."""
        found: dict[str, dict[str, None]] = {}
        scored = [f for truth in self.truths for f in self.finders(truth)]
        for seed in self.seeds:
            for finder in dict.fromkeys(f for f in scored if f in seed.finders):
                if text := seed.notes(finder).get("warning"):
                    found.setdefault(text, {})[finder] = None
        return {text: tuple(finders) for text, finders in found.items()}

    @cached_property
    def mediation(self) -> list[Measurement]:
        """What patching measured; empty if the study asked for no mediation."""
        path = self.path / "mediation.json"
        return _rows(Measurement, path) if path.exists() else []

    @cached_property
    def organisms(self) -> Organisms | None:
        """Organisms and the finders of layers; None if the study made none."""
        path = self.path / "organisms.json"
        return _row(Organisms, read_json(path), path, None) if path.exists() else None

    @cached_property
    def spreading(self) -> Spreading | None:
        """What the second stage of training spread to; None if there was none."""
        path = self.path / "spread.json"
        return _row(Spreading, read_json(path), path, None) if path.exists() else None

    @cached_property
    def rules(self) -> Rules | None:
        """Which rules explain the answers, and finders of rules; None if none were asked."""
        path = self.path / "rules.json"
        return _row(Rules, read_json(path), path, None) if path.exists() else None

    @cached_property
    def engines(self) -> list[Engine]:
        """How patching ran, seed by seed."""
        return [seed.engine for seed in self.seeds if seed.engine is not None]

    @cached_property
    def shared(self) -> list[tuple[str, ...]]:
        """Finders whose claims come from one piece of work, and so show one cost."""
        groups: dict[Cost, list[str]] = {}
        for finder in self.seeds[0].finders:
            cost = self.seeds[0].cost(finder)
            if cost.shared_by > 1:
                groups.setdefault(cost, []).append(finder)
        return [tuple(names) for names in groups.values() if len(names) > 1]

    @cached_property
    def seeds(self) -> list[Seed]:
        """The seeds that have a folder, in order."""
        folder = self.path / "seeds"
        numbers = [p for p in folder.glob("*") if p.is_dir() and p.name.isdigit()]
        if not numbers:
            raise InputError(f"{folder}: no seed of this run has a folder here")
        return [Seed(p) for p in sorted(numbers, key=lambda p: int(p.name))]

    @cached_property
    def noun(self) -> str:
        """What the main claims are about: `document`, `cell` or `part` of the input."""
        kind = self.seeds[0].truth.site_kind
        return "part" if kind is SiteKind.INPUT else kind.value

    @cached_property
    def few_sites(self) -> bool:
        """Whether the claims are about the few parts of an input, or rules."""
        return self.noun in (SiteKind.RULE, "part")

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, str], Score]:
        return {row.key: row for row in self.scores}

    def score(self, finder: str, truth: str, metric: str, slice_: str) -> Score | None:
        """One row of the scores, or None."""
        return self._index.get((finder, truth, metric, slice_))

    @cached_property
    def truths(self) -> tuple[str, ...]:
        """Truths with scores, declared first."""
        return tuple(sorted({row.truth for row in self.scores}))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics with scores, the leading ones first."""
        return tuple(sorted({row.metric for row in self.scores}, key=metric_order))

    def metrics_of(self, truth: str) -> tuple[str, ...]:
        """Those of `metrics` that are marked against this truth."""
        found = {row.metric for row in self.scores if row.truth == truth}
        return tuple(m for m in self.metrics if m in found)

    @cached_property
    def slices(self) -> tuple[str, ...]:
        """Slices with scores: all and correct, then by question, by hop, by both."""
        return tuple(sorted({row.slice for row in self.scores}, key=_slice_order))

    @cached_property
    def hops(self) -> tuple[str, ...]:
        """The single-hop slices, nearest first."""
        return tuple(s for s in self.slices if s.startswith("hop=") and "," not in s)

    def finders(self, truth: str = "declared") -> tuple[str, ...]:
        """Finders without the controls, best first by what leads under this truth."""
        names = {row.finder for row in self.scores if row.truth == truth} - set(CONTROLS)

        def order(name: str) -> tuple[float, str]:
            row = self.score(name, truth, LEADING[truth], "all")
            return (-row.value if row and row.value is not None else float("inf"), name)

        return tuple(sorted(names, key=order))

    def controls(self, truth: str) -> tuple[str, ...]:
        """The controls that have rows under this truth."""
        found = {row.finder for row in self.scores if row.truth == truth}
        return tuple(c for c in CONTROLS if c in found)

    def base_rate(self, truth: str, metric: str, slice_: str) -> float | None:
        """The chance column of the chance row or, without one, of any other; else its value."""
        row = self.score(CHANCE, truth, metric, slice_)
        names = (CHANCE, *self.finders(truth), *self.controls(truth))
        found = (self.score(name, truth, metric, slice_) for name in names)
        level = next((r.chance for r in found if r is not None and r.chance is not None), None)
        return level if level is not None or row is None else row.value


def _slice_order(name: str) -> tuple[int, int, str]:
    fixed = {"all": 0, "correct": 1}
    rank = fixed.get(name, 4 if "," in name else 3 if name.startswith("hop") else 2)
    return rank, 1 if name.startswith("hop>") else 0, name


def _grouped(value: dict[str, Any]) -> dict[str, Any]:
    groups = {k.removeprefix("loss:"): v for k, v in value.items() if k.startswith("loss:")}
    return {**value, "groups": {k: v for k, v in groups.items() if v is not None}}


def _row(model: type[ModelT], value: Any, path: Path, line: int | None) -> ModelT:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise DataError(path, line, first_problem(error, model)) from error


def _rows(model: type[ModelT], path: Path) -> list[ModelT]:
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


def _near(path: Path) -> str:
    for folder in (path, path.parent):
        if folder.is_dir():
            found = sorted(p.parent for p in folder.glob("*/config.yaml"))
            if found:
                return f"; run folders here: {', '.join(map(str, found[:4]))}"
    return ""
