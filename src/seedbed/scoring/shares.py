"""What a second stage spread to: shares of new, old and neither, and their differences.

Every question of a group counts alike; intervals are over seeds and, within a seed, over words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seedbed.core.rows import Question
from seedbed.core.spread import NEITHER, NEW, OLD, Contrast, Fit, Outcome, Share
from seedbed.core.units import Units
from seedbed.scoring.intervals import Interval, wilson
from seedbed.scoring.rows import number
from seedbed.scoring.units import Resampled

OUTCOMES: tuple[Outcome, ...] = (NEW, OLD, NEITHER)
GROUP = "group"


@dataclass(frozen=True)
class Asked:
    """One subject of one seed: the questions of its arm, what it says and what was said before."""

    questions: Sequence[Question]
    said: Sequence[str]
    before: Sequence[str]

    def groups(self) -> list[str]:
        """The groups that have questions."""
        return list(dict.fromkeys(q.slices[GROUP] for q in self.questions))


def outcome(question: Question, said: str) -> Outcome:
    """Which rule an answer follows; raises KeyError for a question without both rules."""
    # A chat template takes the spaces off choices, and so off what was said.
    said = said.strip()
    if said == question.rules[NEW].strip():
        return NEW
    return OLD if said == question.rules[OLD].strip() else NEITHER


def fits(
    asked: Asked, trained: Mapping[str, Outcome], needed: Mapping[str, float], seed: int,
    arm: str, method: str,
) -> list[Fit]:  # fmt: skip
    """One row for each trained group that has questions."""
    found = []
    for group, wanted in trained.items():
        said = [
            outcome(q, s)
            for q, s in zip(asked.questions, asked.said, strict=True)
            if q.slices[GROUP] == group
        ]
        if not said:
            continue
        hits = said.count(wanted)
        low, high = wilson(hits, len(said))
        found.append(
            Fit(seed=seed, arm=arm, method=method, group=group, outcome=wanted, n=len(said),
                value=hits / len(said), low=low, high=high, needed=needed[group],
                fitted=low >= needed[group])
        )  # fmt: skip
    return found


def shares(arm: str, method: str, groups: Sequence[str], seeds: Sequence[Asked]) -> list[Share]:
    """Three rows for each of `groups`, over the seeds given; null where these lack the group."""
    found = []
    for group in groups:
        tables = [table for asked in seeds if (table := _table(asked, group)) is not None]
        intervals = Resampled(tables).means() if tables else [_NONE] * (2 * len(OUTCOMES))
        units = sum(len(t.units) for t in tables)
        for place, name in enumerate(OUTCOMES):
            now, then = intervals[place], intervals[place + len(OUTCOMES)]
            found.append(
                Share(arm=arm, method=method, group=group, outcome=name, value=number(now.value),
                      low=number(now.low), high=number(now.high), before=number(then.value),
                      units=units, seeds=len(tables))
            )  # fmt: skip
    return found


@dataclass(frozen=True)
class Cell:
    """One arm under one method: its subjects, a seed each."""

    arm: str
    method: str
    seeds: Sequence[Asked]


def between_cells(ours: Cell, theirs: Cell, group: str) -> list[Contrast]:
    """What the questions of `group` in one cell say more of than the same ones in the other.

    One row an outcome; subjects are paired by seed, questions by id and prompt.
    """
    tables = []
    for mine, those in zip(ours.seeds, theirs.seeds, strict=True):
        known = {
            (q.id, q.prompt): outcome(q, s)
            for q, s in zip(those.questions, those.said, strict=True)
        }
        index = [
            (q, _marks(outcome(q, s)) - _marks(known[q.id, q.prompt]))
            for q, s in zip(mine.questions, mine.said, strict=True)
            if q.slices[GROUP] == group and (q.id, q.prompt) in known
        ]
        if index:
            tables.append(_units([q for q, _ in index], OUTCOMES, np.array([v for _, v in index])))
    intervals = Resampled(tables).means() if tables else [_NONE] * len(OUTCOMES)
    return [
        _contrast((ours, theirs), (group, group), name, interval, len(tables))
        for name, interval in zip(OUTCOMES, intervals, strict=True)
    ]


def between_groups(cell: Cell, group: str, other: str) -> list[Contrast]:
    """What `group` says more of than `other` in one cell; one row an outcome."""
    tables = [(_table(asked, group), _table(asked, other)) for asked in cell.seeds]
    both = [(a, b) for a, b in tables if a is not None and b is not None]
    sides = None
    if both:
        sides = Resampled([a for a, _ in both]), Resampled([b for _, b in both], part="other")
    return [
        _contrast(
            (cell, cell), (group, other), name,
            sides[0].less(sides[1], name) if sides else _NONE, len(both),
        )
        for name in OUTCOMES
    ]  # fmt: skip


_NONE = Interval(float("nan"), float("nan"), float("nan"))


def _contrast(
    cells: tuple[Cell, Cell], groups: tuple[str, str], name: Outcome, interval: Interval, seeds: int
) -> Contrast:
    ours, theirs = cells
    return Contrast(
        method=ours.method, other_method=theirs.method, arm=ours.arm, other_arm=theirs.arm,
        group=groups[0], other_group=groups[1], outcome=name, value=number(interval.value),
        low=number(interval.low), high=number(interval.high), seeds=seeds,
    )  # fmt: skip


def _table(asked: Asked, group: str) -> Units | None:
    rows = [
        (q, np.concatenate([_marks(outcome(q, said)), _marks(outcome(q, before))]))
        for q, said, before in zip(asked.questions, asked.said, asked.before, strict=True)
        if q.slices[GROUP] == group
    ]
    if not rows:
        return None
    columns = [*OUTCOMES, *(f"before {name}" for name in OUTCOMES)]
    return _units([q for q, _ in rows], columns, np.array([marks for _, marks in rows]))


def _marks(said: Outcome) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([float(said == name) for name in OUTCOMES])


def _units(questions: Sequence[Question], columns: Sequence[str], values: np.ndarray[
    tuple[int, int], np.dtype[np.float64]
]) -> Units:  # fmt: skip
    ids, causes = tuple(q.id for q in questions), tuple(q.cause for q in questions)
    return Units(ids, causes, tuple(columns), values)
