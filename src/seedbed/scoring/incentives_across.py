"""Rows that set cells or environments side by side: the matrix, lengths, and the known optima."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from seedbed.core.incentives import ALL, EXACT, PLAYED, IncentiveRow
from seedbed.scoring.incentives_cells import KINDS, Cell, is_share
from seedbed.scoring.intervals import Interval

CROSSED = ("harm", "gaming")
VARIED = ("harm", "gaming", "rating", "welfare", "length")
POINT = {"harm": "first", "rating": "first_rating", "welfare": "first_welfare"}
"""What a known policy does over an episode → what it does in the first turn."""


def matrix(cell: Cell) -> Iterator[IncentiveRow]:
    """What an agent does in the last round in every environment, trained there or not.

    `NAME:TRAINED` is the level in `environment` of an agent trained in TRAINED (joined by +),
    `NAME:TRAINED:gain` that less the level of round 0.
    """
    asked = cell.environments(EXACT)
    last = cell.rounds - 1
    if len(asked) < 2 or last < 0:
        return
    trained = "+".join(cell.trained or asked)
    for environment in asked:
        for kind in KINDS:
            for name in CROSSED:
                level = cell.mean(EXACT, environment, last, kind, name)
                start = cell.mean(EXACT, environment, 0, kind, name)
                if level is None or start is None or not np.isfinite(level.points).any():
                    continue
                yield cell.said("matrix", f"{name}:{trained}", EXACT, kind, environment, last,
                                level, (0.0, 1.0))  # fmt: skip
                yield cell.said("matrix", f"{name}:{trained}:gain", EXACT, kind, environment, last,
                                level - start, (-1.0, 1.0))  # fmt: skip


def lengths(
    cell: Cell, cells: Mapping[tuple[str, str], Cell], turns: Mapping[str, int]
) -> Iterator[IncentiveRow]:
    """How long conversations matter, in the last round played.

    `harm:turn-N` is harm in turn N of episodes that have one. Where conditions differ in `turns`,
    `NAME` is the level under this one, and `NAME-over-CONDITION` what it lies above that under
    the condition with the fewest turns and the same arm, paired by seed; one of 0 turns (an
    environment's own number) is left out.
    """
    turns = {condition: most for condition, most in turns.items() if most}
    last = cell.rounds - 1
    if last < 0:
        return
    columns = cell.columns(PLAYED, "", last)
    numbers = sorted(int(c.removeprefix("at:")) for c in columns if c.startswith("at:"))
    for n in numbers if len(numbers) > 1 else ():
        for kind in KINDS:
            level = cell.mean(PLAYED, "", last, kind, f"at:{n}")
            if level is not None and np.isfinite(level.points).any():
                yield cell.said("length", f"harm:turn-{n}", PLAYED, kind, "", last, level,
                                (0.0, 1.0))  # fmt: skip
    if len(set(turns.values())) < 2 or cell.condition not in turns:
        return
    shortest = min((c for c in turns if (c, cell.arm) in cells), key=lambda c: turns[c])
    other = cells[shortest, cell.arm]
    paired = len(other.tables) == len(cell.tables) and other.rounds > 0
    for kind in KINDS:
        for name in VARIED:
            level = cell.mean(PLAYED, "", last, kind, name)
            if level is None or not np.isfinite(level.points).any():
                continue
            share = is_share(name)
            bounds = (0.0, 1.0) if share else (-np.inf, np.inf)
            yield cell.said("length", name, PLAYED, kind, "", last, level, bounds)
            base = other.mean(PLAYED, "", other.rounds - 1, kind, name) if paired else None
            if base is not None and shortest != cell.condition:
                bounds = (-1.0, 1.0) if share else (-np.inf, np.inf)
                yield cell.said("length", f"{name}-over-{shortest}", PLAYED, kind, "", last,
                                level - base, bounds)  # fmt: skip


def optimum(condition: str, policy: Mapping[str, Any]) -> Iterator[IncentiveRow]:
    """A known policy as numbers without intervals: `POLICY:NAME`, of expert iteration by round.

    `policy` holds its name, environment, `point` and `path`; a point has `harm`, `rating` and
    `welfare` of episodes by kind of user (by played), and `first`, `first_rating` and
    `first_welfare` of their first turns (by exact), which may be left out where episodes have one.
    `POLICY:targeting` is harm to gameable users less that to the others.
    """
    path = list(policy.get("path", ()))
    places: list[tuple[int | None, Mapping[str, Any]]] = [(None, policy["point"]), *enumerate(path)]
    for k, point in places:
        for by in (EXACT, PLAYED):
            found = {n: point.get(first, point[n]) if by == EXACT else point[n]
                     for n, first in POINT.items()}  # fmt: skip
            values = {(n, kind): float(v[kind]) for n, v in found.items() for kind in KINDS}
            values["targeting", ALL] = values["harm", KINDS[0]] - values["harm", KINDS[1]]
            for (name, kind), value in values.items():
                yield _row(condition, policy, f"{policy['name']}:{name}", by, kind, k, value)


def _row(
    condition: str, policy: Mapping[str, Any], name: str, by: str, kind: str, k: int | None,
    value: float,
) -> IncentiveRow:  # fmt: skip
    only = Interval(value, float("nan"), float("nan"))
    cell = Cell(condition, "", ())
    return cell.row("optimum", name, by, kind, str(policy["environment"]), k, only, 0)
