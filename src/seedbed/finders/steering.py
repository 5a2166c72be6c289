"""Steering along directions, measured beside patching: what changes, where, and what else?

Every number stands beside random directions of the same length at the same sites.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.selectivity import CHOSEN, UNRELATED, Column
from seedbed.core.units import Units
from seedbed.finders.distinct import distinct, distinct_pairs
from seedbed.finders.effect import effects_of
from seedbed.finders.lines import (
    ABLATED,
    AMPLIFIED,
    Measured,
    Scale,
    Way,
    lines_of,
    tried,
)
from seedbed.finders.patched_pairs import patched_pairs
from seedbed.finders.pushes import Spent
from seedbed.finders.selectivity import (
    Choice,
    at_points,
    choices_on,
    perplexities,
    selective,
    shortlist,
    target_of,
    with_documents,
)
from seedbed.finders.voices import OUTCOMES, Voice, voices_of
from seedbed.models.blocks import Blocks, blocks_of
from seedbed.models.subject import Subject

RowT = TypeVar("RowT")
# Points of a recurrent computation that are steered at: some 30,000 passes with the defaults.
DEPTHS = 5
# So many sites and doses of each direction, the best for the target, are tried on unrelated
# questions before one is chosen.
SHORTLIST = 8
ALIKE = "their choices begin with the same token, so no next token tells them apart"


class Steering(Config):
    """Steer at every site of the directions, and patch there.

    `doses` are multiples of `unit` (see `lines_of`), each towards the other class; `random`
    draws of random directions stand beside. `ablate` and `amplify` take the part along a
    direction out of states, or double it. `questions` of each class, and as many of dev and
    unrelated ones, are steered; `small` is the dose of the effect per layer. `places` keep only
    such sites (none: all), `depths` so many points of the computation, evenly spread (0: all).
    Where blocks run several times nothing can be resumed: 0 is 5 there, and `questions` a third.
    """

    doses: tuple[float, ...] = Field(default=(1.0, 2.0, 4.0), min_length=1)
    unit: Scale = "spread"
    random: int = Field(default=3, ge=0)
    actions: tuple[Literal["add", "ablate", "amplify"], ...] = ("add", "ablate", "amplify")
    places: tuple[str, ...] = ()
    depths: int = Field(default=0, ge=0)
    questions: int = Field(default=24, ge=1)
    documents: int = Field(default=48, ge=0)
    small: float = Field(
        default=0.02, ge=0, allow_inf_nan=False, description="0: no effect per layer"
    )
    patch: bool = True

    @model_validator(mode="after")
    def _doses_differ(self) -> "Steering":
        if len(set(self.doses)) < len(self.doses) or not all(0 <= d < inf for d in self.doses):
            raise ValueError("doses: each stands once, none is negative or without end")
        return self


@dataclass(frozen=True)
class Steered:
    """Tables by name, SECTION:SLICE, and how the engine ran."""

    tables: dict[str, Units]
    engine: dict[str, Any]


def steered(
    config: Steering,
    subject: Subject,
    directions: Mapping[str, Directions],
    dev: Sequence[Question],
    test: Sequence[Question],
    unrelated: Sequence[Question],
    kinds: Mapping[str, str],
    pairs: Sequence[Pair],
    documents: Sequence[Document],
) -> Steered:
    """Patch, steer and measure the effect at every site of `directions`.

    `dev` chooses each direction's site and dose and is not reported; half of `unrelated` helps,
    the other half is reported beside `test`. `kinds` are the classes of questions by id. Of choices
    that begin with the same token one is kept; questions without another, and pairs with such
    choices, are left out and named in the engine's `left_out`. Raises InputError for directions
    that do not fit together or the model, for unfit questions, and where none of a class is left.
    """
    seed, config = subject.seed, _affordable(config, blocks_of(subject.model))
    lines = lines_of(directions, config.random, config.unit, config.places, seed, config.depths)
    engine = _Engine()
    groups = {"dev": dev, "test": test, UNRELATED: unrelated}
    dev, test, unrelated = (engine.askable(subject, name, some, kinds, lines.classes)
                            for name, some in groups.items())  # fmt: skip
    count = config.questions
    apart = drawn(unrelated, count * 2 * (2 if dev else 1), seed, "unrelated")
    half = len(apart) // 2 if dev else 0
    asked = {
        "dev": of_each(dev, kinds, lines.classes, count, seed),
        "test": of_each(test, kinds, lines.classes, count, seed),
        "unrelated-dev": apart[:half],
        "unrelated": apart[half:],
    }
    voices = {name: voices_of(subject, qs, kinds, lines.classes) for name, qs in asked.items()}
    engine.told["questions"] = {name: len(some) for name, some in voices.items()}
    tables: dict[str, Units] = {}
    if config.patch and pairs:
        known = {p.clean.id: p for p in engine.alike(subject, pairs)}
        cleans = of_each([p.clean for p in known.values()], kinds, lines.classes, count, seed)
        some = [known[q.id] for q in cleans]
        found, spent = patched_pairs(subject, some, kinds, lines.cells)
        engine.add("patching", spent, pairs=len(some))
        tables |= found
    doses = sorted(config.doses) if "add" in config.actions else []
    measured: dict[str, Measured] = {}
    for name in ("dev", "test"):
        ways = _ways(config, doses, name == "test")
        measured[name], spent = tried(subject, voices[name], lines, ways)
        engine.add(f"steering {name}", spent)
    target = target_of(voices["dev"], voices["test"])
    short = shortlist(measured["dev"], lines, doses, target, SHORTLIST)
    apart_dev, spent = at_points(subject, voices["unrelated-dev"], lines, short)
    engine.add("steering unrelated-dev", spent)
    chosen = choices_on(short, measured["dev"], apart_dev, target)
    engine.choose(target, chosen)
    at_choice = _at_choice(measured["test"], chosen, doses)
    tables |= _slices("steering", voices["test"], at_choice | measured["test"])
    if chosen:
        curve = [replace(choice, dose=dose) for choice in chosen.values() for dose in doses]
        apart_test, spent = at_points(subject, voices["unrelated"], lines, curve)
        engine.add("steering unrelated", spent)
        units, causes, columns = selective(
            (voices["test"], measured["test"]), (voices["unrelated"], apart_test), target, chosen,
            doses,
        )  # fmt: skip
        texts = drawn(documents, config.documents, seed, "documents")
        losses = perplexities(subject, texts, lines, chosen)
        tables["selectivity:all"] = with_documents(units, causes, columns, texts, losses)
        engine.add("documents", Spent(), documents=len(texts))
    if config.small:
        effects, spent = effects_of(subject, voices["test"], lines, config.small)
        engine.add("effect", spent)
        tables |= _slices("effect", voices["test"], effects)
    return Steered(tables, engine.told)


def _affordable(config: Steering, blocks: Blocks) -> Steering:
    """The config as it is run: every push is a whole pass where blocks run several times."""
    if not blocks.recurrent:
        return config
    few = {"depths": config.depths or DEPTHS, "questions": max(1, config.questions // 3)}
    return config.model_copy(update=few)


def drawn(rows: Sequence[RowT], count: int, seed: int, name: str) -> list[RowT]:
    """At most `count` of the rows, drawn by the seed, in their order."""
    index = list(range(len(rows)))
    stream(seed, "steering", name).shuffle(index)
    return [rows[i] for i in sorted(index[:count])]


def of_each(
    questions: Sequence[Question], kinds: Mapping[str, str], classes: Sequence[str], count: int,
    seed: int,
) -> list[Question]:  # fmt: skip
    """At most `count` questions of each class, in their order; those of neither are left out."""
    kept: set[str] = set()
    for kind in classes:
        mine = [q.id for q in questions if (q.label or kinds.get(q.id, "")) == kind]
        kept |= {*drawn(mine, count, seed, kind)}
    return [q for q in questions if q.id in kept]


def _ways(config: Steering, doses: Sequence[float], reported: bool) -> list[Way]:
    """What is tried on a group of questions: what chooses nothing is tried where it is shown."""
    taking = {"ablate": ABLATED, "amplify": AMPLIFIED}
    others = [way for name, way in taking.items() if name in config.actions] if reported else []
    return [*(Way("", dose) for dose in doses), *others]


class _Engine:
    """What was run, and how long each part took."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {"parts": {}}
        self._then = time.perf_counter()

    def askable(
        self, subject: Subject, name: str, questions: Sequence[Question],
        kinds: Mapping[str, str], classes: Sequence[str],
    ) -> list[Question]:  # fmt: skip
        """The questions that one next token answers; notes the others."""
        of = {q.id: q.label or kinds.get(q.id, "") for q in questions}
        wanted = [q for q in questions if name == UNRELATED or of[q.id] in classes]
        kept, lost = distinct(subject, wanted)
        if gone := {of[key] for key in lost} - {of[q.id] for q in kept}:
            raise InputError(f"steering: no {' '.join([min(gone), 'question']).strip()} of {name}"
                             f" is left: {ALIKE}")  # fmt: skip
        self._left_out(name, lost)
        return kept

    def alike(self, subject: Subject, pairs: Sequence[Pair]) -> list[Pair]:
        """The pairs that one next token answers; notes the others."""
        kept, lost = distinct_pairs(subject, pairs)
        if not kept:
            raise InputError(f"steering: no pair is left: {ALIKE}")
        self._left_out("pairs", lost)
        return kept

    def _left_out(self, name: str, lost: Sequence[str]) -> None:
        if lost:
            told = {"count": len(lost), "ids": [*lost], "reason": ALIKE}
            self.told.setdefault("left_out", {})[name] = told

    def add(self, part: str, spent: Spent, **more: Any) -> None:
        """Note a part that has just ended."""
        now = time.perf_counter()
        self.told["parts"][part] = {**asdict(spent), **more, "seconds": now - self._then}
        self._then = now

    def choose(self, target: str, chosen: Mapping[str, Choice]) -> None:
        """Note what dev chose."""
        self.told["target"] = target
        self.told["chosen"] = {
            name: {"site": c.line.cell.name, "dose": c.dose, "dev": c.value}
            for name, c in chosen.items()
        }


def _at_choice(
    measured: Measured, chosen: Mapping[str, Choice], doses: Sequence[float]
) -> Measured:
    """Columns of the chosen site: at the chosen dose (no dose named), and the curve over doses."""
    found: Measured = {}
    for name, choice in chosen.items():
        for dose in (None, *doses):
            at = choice.dose if dose is None else dose
            for outcome in OUTCOMES:
                here = Column(outcome, name, choice.line.cell.name, at)
                found[Column(outcome, name, CHOSEN, dose)] = measured[here]
    return found


def _slices(section: str, voices: Sequence[Voice], measured: Measured) -> dict[str, Units]:
    """SECTION:all and one table a class."""
    columns = tuple(c.key for c in measured)
    values = np.stack([*measured.values()], 1) if measured else np.zeros((len(voices), 0))
    rows = {"all": [*range(len(voices))]}
    for kind in sorted({v.kind for v in voices} - {""}):
        rows[kind] = [i for i, v in enumerate(voices) if v.kind == kind]
    return {
        f"{section}:{name}": Units(
            tuple(voices[i].asked.id for i in index), tuple(voices[i].cause for i in index),
            columns, values[index],
        )
        for name, index in rows.items()
    }  # fmt: skip
