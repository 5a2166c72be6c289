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
    if said == question.rules[NEW]:
        return NEW
    return OLD if said == question.rules[OLD] else NEITHER


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
    """Three rows a group, over the seeds given; `groups` without questions have none."""
    found = []
    for group in groups:
        tables = [table for asked in seeds if (table := _table(asked, group)) is not None]
        if not tables:
            found += _nothing(arm, method, group) if not seeds else []
            continue
        intervals = Resampled(tables).means()
        units = sum(len(t.units) for t in tables)
        for place, name in enumerate(OUTCOMES):
            now, then = intervals[place], intervals[place + len(OUTCOMES)]
            found.append(
                Share(arm=arm, method=method, group=group, outcome=name, value=number(now.value),
                      low=number(now.low), high=number(now.high), before=number(then.value),
                      units=units, seeds=len(tables))
            )  # fmt: skip
    return found


def between_arms(
    method: str, arm: str, other: str, group: str, ours: Sequence[Asked], theirs: Sequence[Asked]
) -> list[Contrast]:
    """What the questions of `group` under `arm` say more of than the same ones under `other`.

    One row an outcome; subjects are paired by seed, questions by id.
    """
    tables = []
    for mine, those in zip(ours, theirs, strict=True):
        known = {q.id: outcome(q, s) for q, s in zip(those.questions, those.said, strict=True)}
        index = [
            (q, s)
            for q, s in zip(mine.questions, mine.said, strict=True)
            if q.slices[GROUP] == group and q.id in known
        ]
        if not index:
            continue
        values = np.array([_marks(outcome(q, s)) - _marks(known[q.id]) for q, s in index])
        tables.append(_units([q for q, _ in index], OUTCOMES, values))
    intervals = Resampled(tables).means() if tables else [_NONE] * len(OUTCOMES)
    return [
        _contrast(method, (arm, other), (group, group), name, interval, len(tables))
        for name, interval in zip(OUTCOMES, intervals, strict=True)
    ]


def between_groups(
    method: str, arm: str, group: str, other: str, seeds: Sequence[Asked]
) -> list[Contrast]:
    """What `group` says more of than `other` under one arm; one row an outcome."""
    tables = []
    for asked in seeds:
        sides = [(q, s) for q, s in zip(asked.questions, asked.said, strict=True)
                 if q.slices[GROUP] in (group, other)]  # fmt: skip
        marks = np.array([_marks(outcome(q, s)) for q, s in sides]).reshape(-1, len(OUTCOMES))
        first = np.array([[q.slices[GROUP] == group] for q, _ in sides]).reshape(-1, 1)
        values = np.hstack([np.where(first, marks, np.nan), np.where(first, np.nan, marks)])
        if first.any() and not first.all():
            columns = [f"{side} {name}" for side in ("group", "other") for name in OUTCOMES]
            tables.append(_units([q for q, _ in sides], columns, values))
    resampled = Resampled(tables) if tables else None
    return [
        _contrast(
            method, (arm, arm), (group, other), name,
            resampled.difference(f"group {name}", f"other {name}") if resampled else _NONE,
            len(tables),
        )
        for name in OUTCOMES
    ]  # fmt: skip


_NONE = Interval(float("nan"), float("nan"), float("nan"))


def _contrast(
    method: str, arms: tuple[str, str], groups: tuple[str, str], name: Outcome, interval: Interval,
    seeds: int,
) -> Contrast:  # fmt: skip
    return Contrast(method=method, other_method=method, arm=arms[0], other_arm=arms[1], group=groups[0],
                    other_group=groups[1], outcome=name, value=number(interval.value),
                    low=number(interval.low), high=number(interval.high), seeds=seeds)  # fmt: skip


def _nothing(arm: str, method: str, group: str) -> list[Share]:
    return [
        Share(arm=arm, method=method, group=group, outcome=name, value=None, low=None, high=None,
              before=None, units=0, seeds=0)
        for name in OUTCOMES
    ]  # fmt: skip


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
