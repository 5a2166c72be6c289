"""Selectivity: does a direction change what it is about, and leave the rest alone?

Each direction, random ones included, chooses its site and dose on dev; what is reported is
measured on other questions, at that site and dose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed.core.cells import MEAN
from seedbed.core.rows import Document
from seedbed.core.seeds import stream
from seedbed.core.selectivity import CHOSEN, Column
from seedbed.core.units import Units
from seedbed.finders.lines import Line, Lines, Measured, Way, tried
from seedbed.finders.pushes import Push, Spent, moved_by
from seedbed.finders.voices import Voice
from seedbed.models.blocks import blocks_of
from seedbed.models.hooks import evaluating
from seedbed.models.logits import token_losses
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """A site and dose of a direction, and what dev says for it.

    `value` is the mean target, and once chosen by how much that exceeded unrelated changes.
    """

    line: Line
    dose: float
    value: float

    def column(self, name: str) -> Column:
        """The column of an outcome there."""
        return Column(name, self.line.direction, self.line.cell.name, self.dose)


def target_of(*groups: Sequence[Voice]) -> str:
    """The outcome that the target is measured by, on dev and test alike.

    `flipped` where questions of each group have an answer of the other class: a push that only
    breaks the answer is then no success. `changed` where those of a group have none.
    """
    told = [any(v.other is not None for v in voices) for voices in groups if voices]
    return "flipped" if told and all(told) else "changed"


def shortlist(
    dev: Measured, lines: Lines, doses: Sequence[float], target: str, most: int
) -> list[Choice]:
    """Of each direction the sites and doses with the largest mean target on dev.

    The smallest dose and the first site win ties; sites where no question has the place take no
    part.
    """
    found: list[Choice] = []
    for direction in lines.directions:
        every = [Choice(line, dose, 0.0) for dose in sorted(doses) for line in lines.of(direction)]
        known = [replace(c, value=_mean(dev, c.column(target))) for c in every]
        known = [c for c in known if np.isfinite(c.value)]
        found += sorted(known, key=lambda c: -c.value)[:most]
    return found


def at_points(
    subject: Subject, voices: Sequence[Voice], lines: Lines, points: Sequence[Choice]
) -> tuple[Measured, Spent]:
    """What pushes change at single sites and doses."""
    found, spent = Measured(), Spent()
    for dose in sorted({p.dose for p in points}):
        only = [p.line for p in points if p.dose == dose]
        measured, cost = tried(subject, voices, lines, [Way("", dose)], only)
        found |= measured
        spent = spent.with_(cost)
    return found, spent


def choices_on(
    short: Sequence[Choice], dev: Measured, unrelated: Measured, target: str
) -> dict[str, Choice]:
    """Direction → what of its shortlist has the largest mean target less mean unrelated `changed`.

    The first wins ties.
    """
    found: dict[str, Choice] = {}
    for choice in short:
        apart = _mean(unrelated, choice.column("changed"))
        margin = _mean(dev, choice.column(target)) - (apart if np.isfinite(apart) else 0.0)
        best = found.get(choice.line.direction)
        if best is None or margin > best.value:
            found[choice.line.direction] = replace(choice, value=margin)
    return found


def selective(
    test: tuple[Sequence[Voice], Measured], unrelated: tuple[Sequence[Voice], Measured],
    target: str, chosen: Mapping[str, Choice], doses: Sequence[float],
) -> tuple[tuple[str, ...], tuple[str, ...], dict[Column, Floats]]:  # fmt: skip
    """(units, causes, columns at `chosen`) of the questions of both groups, target first.

    Columns without a dose are at the chosen one, the others are the curve over `doses`. `target`
    and `unrelated` are NaN on the other group. `difference` is made so that its mean over all
    units is mean target less mean unrelated, and the spread of that mean, as units are drawn
    anew, that of the difference: influence values (Efron 1982, section 6).
    """
    (asked, of_test), (apart, of_unrelated) = test, unrelated
    units = tuple(v.asked.id for v in (*asked, *apart))
    causes = tuple(v.cause for v in (*asked, *apart))
    found: dict[Column, Floats] = {}
    for name, choice in chosen.items():
        for dose in (None, *doses):
            here = choice if dose is None else replace(choice, dose=dose)
            goal, other = (np.full(len(units), np.nan) for _ in range(2))
            goal[: len(asked)] = of_test[here.column(target)]
            if apart:
                other[len(asked) :] = of_unrelated[here.column("changed")]
            found[Column("target", name, CHOSEN, dose)] = goal
            found[Column("unrelated", name, CHOSEN, dose)] = other
            found[Column("difference", name, CHOSEN, dose)] = _difference(goal, other)
    return units, causes, found


def _difference(goal: Floats, other: Floats) -> Floats:
    """Influence values of mean(goal) − mean(other), each NaN where it has no value."""
    here, there = np.isfinite(goal), np.isfinite(other)
    found = np.full(len(goal), np.nan)
    if not here.any() or not there.any():
        return found
    gap = goal[here].mean() - other[there].mean()
    every = here.sum() + there.sum()
    found[here] = gap + (goal[here] - goal[here].mean()) * every / here.sum()
    found[there] = gap - (other[there] - other[there].mean()) * every / there.sum()
    return found


def with_documents(
    units: tuple[str, ...], causes: tuple[str, ...], columns: dict[Column, Floats],
    documents: Sequence[Document], losses: dict[Column, Floats],
) -> Units:  # fmt: skip
    """One table of questions and, behind them, documents, whose columns are `losses`."""
    before, behind = np.full(len(units), np.nan), np.full(len(documents), np.nan)
    every = {c: np.concatenate([x, behind]) for c, x in columns.items()}
    every |= {c: np.concatenate([before, x]) for c, x in losses.items()}
    ids = tuple(d.id for d in documents)
    return Units((*units, *ids), (*causes, *ids), tuple(c.key for c in every),
                 np.stack([*every.values()], 1))  # fmt: skip


@torch.no_grad()
def perplexities(
    subject: Subject, documents: Sequence[Document], lines: Lines, chosen: Mapping[str, Choice]
) -> dict[Column, Floats]:
    """Columns `perplexity|DIRECTION|chosen`: log of the factor by which it grew, a document each.

    One token a document, drawn by the seed, is pushed as the questions' are (every token, where
    the site is a mean over all), one way in turn; counted are the tokens behind it that the
    training loss predicts. NaN where there is none.
    """
    sequences = subject.encode(documents)
    places = [_drawn(subject.seed, d.id, s) for d, s in zip(documents, sequences, strict=True)]
    counted = [
        TokenSequence(s.ids, tuple(p and i > at for i, p in enumerate(s.predicted)))
        for s, at in zip(sequences, places, strict=True)
    ]
    plain = _losses(subject, counted, [], lines)
    found = {}
    for name, choice in chosen.items():
        line, pushes = choice.line, []
        for row, at in enumerate(places):
            where = tuple(range(len(sequences[row].ids))) if line.cell.place == MEAN else (at,)
            add = (1 if row % 2 else -1) * choice.dose * line.unit
            pushes.append(Push(row, line.site, where, line.vector, add))
        column = Column("perplexity", name, CHOSEN)
        found[column] = _losses(subject, counted, pushes, lines) - plain if choice.dose else \
            plain - plain  # fmt: skip
    return found


def _losses(
    subject: Subject, sequences: Sequence[TokenSequence], pushes: Sequence[Push], lines: Lines
) -> Floats:
    """Mean −log p of the predicted tokens of each sequence."""
    blocks, vectors = blocks_of(subject.model), lines.vectors.to(subject.device)
    found = np.full(len(sequences), np.nan)
    with evaluating(subject.model):
        for index, batch in subject.batches(sequences):
            mine = [(row, pushes[i]) for row, i in enumerate(index)] if pushes else []
            with moved_by(blocks, mine, vectors):
                losses, rows = token_losses(subject.model, batch)
            sums = torch.zeros(len(index), dtype=torch.float64)
            sums.index_add_(0, rows.cpu(), losses.double().cpu())
            counts = batch.predicted[:, 1:].sum(1).cpu()
            found[index] = (sums / counts).numpy()
    return found


def _drawn(seed: int, key: str, sequence: TokenSequence) -> int:
    """A position behind the first token with something predicted after it."""
    last = max((i for i, p in enumerate(sequence.predicted) if p), default=0)
    return stream(seed, "steering", "document", key).randrange(1, last) if last > 1 else 0


def _mean(measured: Measured, column: Column) -> float:
    values = measured.get(column)
    kept = values[np.isfinite(values)] if values is not None else np.zeros(0)
    return float(kept.mean()) if len(kept) else float("nan")
