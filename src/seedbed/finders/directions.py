"""Directions that tell two classes of questions apart, and controls that should not.

Fitted on the examples of train, the cell chosen on dev; everything else is only classified.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator

from seedbed.core.cells import Cell
from seedbed.core.directions import DirectionClaim, Directions
from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.fitting import (
    METHODS,
    SHRINKAGE,
    Examples,
    Fitted,
    Labelled,
    Method,
    fitted,
    labels_for,
)
from seedbed.finders.kept import states_of
from seedbed.finders.measures import ByMeasure
from seedbed.finders.placement import Floats, auc
from seedbed.finders.states import States, Sweep, held, model_digest
from seedbed.finders.surface import SURFACES, Surface, surface
from seedbed.models.blocks import blocks_of, site_of
from seedbed.models.subject import Subject

__all__ = ["METHODS", "DirectionFinder", "Sweep", "directions_of"]

Measure = Method | Surface
MEASURES: tuple[Measure, ...] = (*METHODS, *SURFACES)


class DirectionFinder(ByMeasure):
    """Which of two classes is a question of? One direction a cell, by each measure.

    `measure`: difference, mass-mean, probe (directions); random, shuffled, shuffled-probe
    (controls with directions); surface, words, familiarity (controls without: tokens at their
    positions, tokens anywhere, how likely the prompt is to the model). One name or a list.
    """

    kind: str = "directions"
    measure: Measure | tuple[Measure, ...] = "difference"
    sweep: Sweep = Sweep()
    ridges: tuple[float, ...] = Field(default=(0.01, 0.1, 1.0), min_length=1)
    sites = SiteKind.DIRECTION

    @field_validator("measure", mode="before")
    @classmethod
    def _measures_exist(cls, measure: Any) -> Any:
        for name in [measure] if isinstance(measure, str) else measure:
            if name not in MEASURES:
                near = get_close_matches(str(name), MEASURES, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(MEASURES)}"
                raise ValueError(f"there is no measure {name!r}; {hint}")
        return measure

    @field_validator("ridges")
    @classmethod
    def _ridges_are_positive(cls, ridges: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < ridge < float("inf") for ridge in ridges):
            raise ValueError("every ridge must be positive")
        return ridges

    def variants(self) -> tuple[Self, ...]:
        """One finder a measure, named by it alone where no label stands before it."""
        if isinstance(self.measure, str):
            return (self,)
        lead = f"{self.label}-" if self.label else ""
        return tuple(
            self.model_copy(update={"measure": m, "label": f"{lead}{m}"}) for m in self.measure
        )

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """DirectionClaims [questions, 2 classes]: ±(x · v − middle) / spread at one cell.

        `questions` hold the labelled examples of the splits train and dev, and those without a
        label; all get a row. The cell is the first of those with the largest AUC on dev; its name
        is in `notes["site"]` and in `made["site"]` of the directions. 0 for a question
        that lacks the cell's place. Raises InputError for too few examples, for other than two
        classes, for streams of unequal width, and where the classes differ at no cell.
        """
        examples = Examples.of(questions)
        wanted: list[Method] = [m for m in METHODS if m in self.measures]
        claims: dict[Measure, Claim] = {}
        if wanted:
            every = [*examples.train, *examples.dev]
            cells = _alike(subject, self.sweep.cells(subject, every))
            answer = self.sweep.answer
            with states_of(subject, every, cells, answer=answer) as states:
                found = directions_of(subject, examples, states, wanted, self.ridges, answer=answer)
            claims |= _classified(subject, self.sweep, questions, examples, found)
        for measure in SURFACES:
            if measure in self.measures:
                scores, notes = surface(measure, subject, questions, examples, self.ridges)
                claims[measure] = _claim(questions, examples, scores, notes, None)
        return [claims[m] for m in self.measures]


@dataclass(frozen=True)
class Found:
    """What one method found: the row of the cell chosen on dev, all directions, notes."""

    chosen: Fitted
    directions: Directions
    notes: dict[str, str]


def directions_of(
    subject: Subject, examples: Examples, states: States, methods: Sequence[Method],
    ridges: Sequence[float], *, answer: bool = False,
) -> dict[Method, Found]:  # fmt: skip
    """Directions at every cell of the states of train and then dev, by each method.

    States may lie on disk: a few cells at a time are read. `answer`: they are means over prompt
    and answer. Raises InputError where the classes differ at no cell.
    """
    data = examples.labelled(states)
    about = {
        "model": model_digest(subject.model),
        "streams": "what a block takes in is resid_pre, what it hands on resid_post",
        "answer": answer,
        "train": examples.counts(examples.train),
        "dev": examples.counts(examples.dev),
        "versions": {name: version(name) for name in ("seedbed", "torch", "transformers")},
    }
    found = {}
    for method in methods:
        rows, lacking = fitted(method, data, subject.seed, ridges)
        if not rows:
            raise InputError(
                f"directions: the means of {examples.classes[0]!r} and {examples.classes[1]!r} are"
                " the same at every cell"
            )
        told = labels_for(method, data, subject.seed)
        marks = [_on_dev(row, told) for row in rows]
        best = int(np.argmax(marks))
        made = {**about, "method": method, **_settings(method, ridges),
                "site": rows[best].cell.name, "dev_auc": marks[best]}  # fmt: skip
        if rows[best].told:
            made["chosen"] = {row.cell.name: row.told for row in rows}
        notes = {"site": rows[best].cell.name, "dev": f"AUC {marks[best]:.3f}"}
        if lacking:
            notes["left out"] = (
                f"{len(lacking)} of {len(states.cells)} cells, such as {lacking[0].name}: the"
                " means of the classes are the same there"
            )
        found[method] = Found(rows[best], _directions(rows, examples, made), notes)
    return found


def _alike(subject: Subject, cells: Sequence[Cell]) -> Sequence[Cell]:
    """The cells; raises InputError if their states differ in width."""
    blocks = blocks_of(subject.model)
    width = {blocks.numbers(site_of(cell)): cell.stream for cell in cells}
    if len(width) > 1:
        named = " and ".join(map(repr, width.values()))
        raise InputError(
            f"sweep.streams: states of {named} differ in width; give each a finder of its own"
        )
    return cells


def _settings(method: Method, ridges: Sequence[float]) -> dict[str, Any]:
    if method == "mass-mean":
        return {"shrinkage": SHRINKAGE}
    return {"ridges": list(ridges)} if method.endswith("probe") else {}


def _on_dev(row: Fitted, data: Labelled) -> float:
    """The AUC of a direction on dev."""
    seen = data.at(row.cell)[1] @ row.vector
    return auc(seen.numpy(), (data.dev_y == 1).numpy())


def _directions(rows: Sequence[Fitted], examples: Examples, made: dict[str, Any]) -> Directions:
    numbers = {
        name: np.array([getattr(row, name) for row in rows])
        for name in ("middle", "spread", "norm")
    }
    return Directions(
        tuple(row.cell.name for row in rows), np.stack([row.vector.numpy() for row in rows]),
        **numbers, positive=examples.classes[1], negative=examples.classes[0], made=made,
    )  # fmt: skip


def _classified(
    subject: Subject, sweep: Sweep, questions: Sequence[Question], examples: Examples,
    found: Mapping[Method, Found],
) -> dict[Measure, Claim]:  # fmt: skip
    """The claims of all methods, from one pass over all questions at their chosen cells."""
    cells = list(dict.fromkeys(f.chosen.cell for f in found.values()))
    states = held(subject, questions, cells, answer=sweep.answer)
    claims: dict[Measure, Claim] = {}
    for method, f in found.items():
        seen = states.at(f.chosen.cell).double() @ f.chosen.vector
        scores = (seen - f.chosen.middle) / (f.chosen.spread or 1.0)
        absent = scores.isnan()
        notes = dict(f.notes)
        if bool(absent.any()):
            notes["absent"] = f"{int(absent.sum())} questions lack the place and score 0"
        values = scores.masked_fill(absent, 0.0).numpy()
        claims[method] = _claim(questions, examples, values, notes, f.directions)
    return claims


def _claim(
    questions: Sequence[Question], examples: Examples, scores: Floats, notes: dict[str, str],
    directions: Directions | None,
) -> DirectionClaim:  # fmt: skip
    ids = tuple(q.id for q in questions)
    both = np.column_stack([-scores, scores])
    return DirectionClaim(ids, examples.classes, both, SiteKind.DIRECTION, notes, directions)
