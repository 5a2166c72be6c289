"""Organisms: the cause planted at a known layer; which of them count, and how they are scored.

An organism is the study's subject, further trained on its own world (drift) and then, in one
block alone, on a changed world. Finders of layers get it with the subject before as its base.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from seedbed.core.config import Config, merged, validate
from seedbed.core.errors import ConfigError
from seedbed.core.rows import Question, Row
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.finders.chance import random_claim
from seedbed.measuring.answers import Answer
from seedbed.scoring.rows import Cost, SeedResults
from seedbed.studies.gate import GateRow, ask, judge
from seedbed.training.config import Training
from seedbed.worlds.base import Gate, World

CHANCE = "chance"
PLANTED = ("planted", "other")


class Organisms(Config):
    """Which organisms a study makes of each seed's subject: every change in every block.

    `changes` are knobs of the world by the change's name; `layers` the blocks (from 0; empty:
    all); `drift` the further training of everything on the world as it was (null: none, and then
    every comparison of weights is trivially right); `training` that of one block on the changed
    world; `questions` how many held-out ones finders get of each organism.
    """

    changes: dict[str, dict[str, Any]] = Field(min_length=1)
    layers: tuple[int, ...] = ()
    drift: Training | None = Training(steps=100)
    training: Training = Training(steps=150)
    questions: int = Field(default=48, ge=1)

    @field_validator("changes")
    @classmethod
    def _names_are_plain(cls, values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in values:
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
                raise ValueError(f"the name '{name}' must consist of letters, digits, - _ and .")
        return values

    @field_validator("drift", "training")
    @classmethod
    def _trains_everything(cls, value: Training | None) -> Training | None:
        if value is not None and (value.only_layers or value.lora is not None):
            raise ValueError("'only_layers' and 'lora' are not for organisms; name their 'layers'")
        return value

    @field_validator("layers")
    @classmethod
    def _layers_differ(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if any(layer < 0 for layer in values) or len(set(values)) != len(values):
            raise ValueError("blocks count from 0, each stands once")
        return values

    def world(self, change: str, world: World) -> World:
        """The changed world; raises ConfigError for a knob it has not or a value it has already."""
        place = f"organisms.changes.{change}"
        changed = validate(type(world), merged(world.model_dump(), self.changes[change]), place)
        if changed == world:
            raise ConfigError(f"{place}: the world is like that already, so nothing is planted")
        return changed

    def cells(self, blocks: int) -> list[tuple[str, int]]:
        """(change, layer) of every organism of a subject with so many blocks.

        Raises ConfigError if a layer is not there.
        """
        for layer in self.layers:
            if layer >= blocks:
                raise ConfigError(
                    f"organisms.layers: the subject has the blocks 0 to {blocks - 1}, no {layer}"
                )
        return [(change, n) for change in self.changes for n in self.layers or range(blocks)]


@dataclass(frozen=True)
class Organism:
    """One organism of one seed: what was changed in which block, its stage and its data."""

    change: str
    layer: int
    folder: Path
    data: Path
    asked: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as `plus-one@2`."""
        return f"{self.change}@{self.layer}"


class Verdict(Row):
    """Whether an organism counts, and on what grounds: `reason` is "" for one that does.

    `every` is its gate over all held-out questions of the changed world, `changed` over those
    that the base does not answer as the changed world wants (none: null).
    """

    seed: int
    organism: str
    every: GateRow
    changed: GateRow | None
    reason: str


def admit(
    gate: Gate,
    organism: Organism,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    before: Sequence[Answer],
    seed: int,
) -> Verdict:
    """Judge an organism on the changed world's questions; `before` are the base's answers.

    It must pass the world's gate over all held-out questions, and over those that the base
    does not answer already: what the base knew is not what was planted.
    """
    whole = gate.model_copy(update={"by": "", "required": ()})
    held = [i for i, q in enumerate(questions) if q.split == "id"]
    new = [i for i in held if not before[i].correct]

    def judged(index: Sequence[int]) -> GateRow | None:
        rows = judge(whole, [questions[i] for i in index], [answers[i] for i in index], seed)
        return rows[0].model_copy(update={"slice": organism.name}) if rows else None

    every, changed = judged(held), judged(new)
    if every is None:
        raise ConfigError(f"organisms: the world of {organism.name} has no held-out questions")
    if changed is None:
        reason = "the base answers every question as the changed world wants"
    elif not every.passed:
        reason = _failed("all", every)
    else:
        reason = "" if changed.passed else _failed("the changed", changed)
    return Verdict(seed=seed, organism=organism.name, every=every, changed=changed, reason=reason)


def _failed(which: str, row: GateRow) -> str:
    return (
        f"not learned: accuracy {row.accuracy:.2f} [{row.low:.2f}, {row.high:.2f}] on {which}"
        f" {row.n} held-out questions, needed: lower end ≥ {row.chance + row.margin:.2f}"
    )


def asked_of(
    gate: Gate, organism: Organism, questions: Sequence[Question], verdict: Verdict, count: int
) -> Organism:
    """The organism with the questions that finders get: `count` held-out ones of all causes.

    Which ones depends on the seed alone, not on what anybody answers.
    """
    whole = gate.model_copy(update={"by": ""})
    row = verdict.every.model_copy(update={"slice": "=", "passed": True})
    chosen, _ = ask(whole, questions, [row], count, verdict.seed)
    return replace(organism, asked=tuple(q.id for q in chosen))


def stop_reason(verdicts: Sequence[Verdict]) -> str:
    """Why organisms cannot be scored: a seed of which none counts; "" if there is no such seed."""
    for seed in sorted({v.seed for v in verdicts}):
        mine = [v for v in verdicts if v.seed == seed]
        if all(v.reason for v in mine):
            each = "; ".join(f"{v.organism}: {v.reason}" for v in mine)
            return (
                f"no organism of seed {seed} learned its change, so no finder of layers was run:"
                f" {each}. Change: more organisms.training.steps, or another change"
            )
    return ""


def planted(organisms: Sequence[Organism], blocks: int) -> Truth:
    """The declared truth: organisms × blocks, 1 where the block was trained."""
    names = tuple(o.name for o in organisms)
    values = np.zeros((len(names), blocks))
    values[np.arange(len(names)), [o.layer for o in organisms]] = 1
    labels = np.where(values == 1, 0, 1).astype(np.int16)
    sites = tuple(str(layer) for layer in range(blocks))
    return Truth(names, sites, values, labels, PLANTED, SiteKind.LAYER)


def results_of(
    seed: int,
    organisms: Sequence[Organism],
    blocks: int,
    claims: Mapping[str, Claim],
    costs: Mapping[str, Cost],
) -> SeedResults:
    """One seed's organisms as rows to score, each a question whose cause is its cell.

    A row of chance stands beside the claims.
    """
    truth = planted(organisms, blocks)
    chance = random_claim(seed, truth.questions, truth.sites, SiteKind.LAYER)
    questions = [
        Question(id=o.name, prompt=o.name, choices=truth.sites, answer=str(o.layer), cause=o.name,
                 slices={"rule": o.change, "planted": str(o.layer)})
        for o in organisms
    ]  # fmt: skip
    correct = np.ones(len(organisms), dtype=bool)
    return SeedResults(seed, questions, correct, truth, {**claims, CHANCE: chance}, costs)
