"""Pairs ready to be patched: two runs, the place where they differ, outcomes that point one way.

An outcome grows from what the clean run says to what the corrupt one should say, so effects of
pairs that add and pairs that take away can be averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.core.cells import LAST, Cell, in_order
from seedbed.core.errors import InputError
from seedbed.core.rows import Pair, Question
from seedbed.finders.asking import Asked, aligned, ask_pair
from seedbed.finders.outcomes import Outcome, expected, logit_difference, numbers_of
from seedbed.finders.patches import Patch, Patched, Run, patched_logits
from seedbed.models.subject import Subject

Floats = NDArray[np.float64]
Direction = Literal["noising", "denoising"]


@dataclass(frozen=True)
class Sides:
    """A pair as its two runs; `choices` are those of the clean question, as texts."""

    id: str
    cause: str
    choices: tuple[str, ...]
    clean: Asked
    corrupt: Asked

    @property
    def places(self) -> list[str]:
        """The places of the clean run, in order."""
        return sorted(self.clean.places, key=lambda p: (self.clean.places[p], p))

    @property
    def swapped(self) -> str:
        """The first place whose tokens differ between the two."""
        for place in self.places:
            ours = [self.clean.ids[i] for i in self.clean.places[place]]
            theirs = [self.corrupt.ids[i] for i in self.corrupt.places.get(place, ())]
            if ours != theirs:
                return place
        raise InputError(
            f"question {self.id!r}: it and the corrupt side of its pair do not differ at any place"
        )

    def run(self, direction: Direction) -> Run:
        """Noising patches the clean run from the corrupt one, denoising the other way round."""
        ids = self.clean.ids, self.corrupt.ids
        return Run(*ids) if direction == "noising" else Run(ids[1], ids[0])

    def map(self, place: str, direction: Direction) -> tuple[tuple[int, int], ...]:
        """(recipient, donor) positions of a place; empty where there is no such place."""
        sides = (self.clean, self.corrupt)
        return aligned(*(sides if direction == "noising" else sides[::-1]), place)

    def value(self, logits: Tensor, outcome: Outcome) -> Tensor:
        """The outcome of logits [..., choices] → [...]: larger = nearer the corrupt answer."""
        if outcome == "logit-difference":
            return logit_difference(logits, self.corrupt.answer, self.clean.answer)
        numbers = numbers_of(self.choices)
        step = numbers[self.corrupt.answer] - numbers[self.clean.answer]
        return expected(logits, numbers) * step.sign()


def sides_of(subject: Subject, pairs: Sequence[Pair]) -> list[Sides]:
    """Every pair as its runs; without places on either side, its tokens are … t-3, t-2, last

    Raises InputError for one that cannot be asked (see `ask_pair`), and for another number of
    choices than the first one's.
    """
    for pair in pairs:
        if len(pair.clean.choices) != (count := len(pairs[0].clean.choices)):
            raise InputError(
                f"pair {pair.id!r}: {len(pair.clean.choices)} choices, pair {pairs[0].id!r} has"
                f" {count}; pairs that are patched together need as many"
            )
    found = []
    for pair in pairs:
        sides = ask_pair(subject, pair)
        if not pair.clean.places and not pair.corrupt.places:
            sides = _by_token(sides[0]), _by_token(sides[1])
        cause = pair.cause or pair.clean.cause or pair.id
        found.append(Sides(pair.clean.id, cause, pair.clean.choices, *sides))
    return found


def _by_token(asked: Asked) -> Asked:
    # From the end, so that what two prompts of unequal length end in stands at the same place.
    count = len(asked.ids)
    places = {f"t{i - count}": (i,) for i in range(count - 1)}
    return replace(asked, places={**places, LAST: (count - 1,)})


def places_in(sides: Sequence[Sides]) -> tuple[str, ...]:
    """The places of all pairs in one order, `last` at the end."""
    return in_order([[p for p in s.places if p != LAST] for s in sides])


def pairs_for(questions: Sequence[Question], pairs: Sequence[Pair]) -> list[Pair]:
    """The pair whose clean side is each question; raises InputError for a question without."""
    known = {p.clean.id: p for p in pairs}
    missing = [q.id for q in questions if q.id not in known]
    if missing:
        raise InputError(
            f"question {missing[0]!r}: no pair has it as its clean side ({len(missing)} without);"
            " patching needs pairs"
        )
    return [known[q.id] for q in questions]


@dataclass(frozen=True)
class Effects:
    """Outcomes after patching: `start` and `donor` [pairs], `patched` [pairs, cells].

    NaN where a pair has no such place. `noop` marks cells that cannot matter: `patched` is
    `start` there, exactly.
    """

    start: Floats
    donor: Floats
    patched: Floats
    noop: NDArray[np.bool_]
    given: Patched

    @property
    def moved(self) -> Floats:
        """How far each cell moved the outcome [pairs, cells]; exactly 0 for cells of `noop`."""
        found: Floats = self.patched - self.start[:, None]
        return found


def effects(
    subject: Subject,
    sides: Sequence[Sides],
    cells: Sequence[Cell],
    outcomes: Sequence[Outcome],
    direction: Direction,
    on: bool = True,
) -> dict[Outcome, Effects]:
    """Patch every cell of every pair alone; one forward sweep serves all outcomes.

    Without `on` no position is patched, so that every effect must be exactly 0.
    """
    runs = [s.run(direction) for s in sides]
    patches, where = [], []
    for i, side in enumerate(sides):
        for c, cell in enumerate(cells):
            if positions := side.map(cell.place, direction):
                put = positions if on else ()
                patches.append(Patch(i, cell.stream, cell.layer, put, cell.head, step=cell.step))
                where.append((i, c))
    tokens = [s.clean.choices for s in sides]
    given = patched_logits(subject, runs, patches, tokens, seed=subject.seed)
    return {o: _effects(o, sides, len(cells), where, given) for o in outcomes}


def _effects(
    outcome: Outcome,
    sides: Sequence[Sides],
    cells: int,
    where: Sequence[tuple[int, int]],
    given: Patched,
) -> Effects:
    patched = np.full((len(sides), cells), np.nan)
    noop = np.zeros((len(sides), cells), dtype=bool)
    for i, c, value in zip(*zip(*where, strict=True), _values(outcome, sides, where, given),
                           strict=True):  # fmt: skip
        patched[i, c] = value
    for (i, c), dropped in zip(where, given.noop.tolist(), strict=True):
        noop[i, c] = dropped
    start, donor = (
        torch.stack([s.value(row, outcome) for s, row in zip(sides, logits, strict=True)]).numpy()
        for logits in (given.base, given.donor)
    )
    patched = np.where(noop, start[:, None], patched)
    return Effects(start, donor, patched, noop, given)


def _values(
    outcome: Outcome,
    sides: Sequence[Sides],
    where: Sequence[tuple[int, int]],
    given: Patched,
) -> list[float]:
    found = torch.zeros(len(where), dtype=torch.float64)
    rows: dict[int, list[int]] = {}
    for n, (i, _) in enumerate(where):
        rows.setdefault(i, []).append(n)
    for i, index in rows.items():
        found[index] = sides[i].value(given.logits[index], outcome)
    values: list[float] = found.tolist()
    return values
