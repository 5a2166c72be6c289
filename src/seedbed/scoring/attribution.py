"""What leaving a group of training transcripts out does to harm, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.core.attribution import UNCHANGED, Replayed
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.units import Units
from seedbed.scoring.rows import number
from seedbed.scoring.units import Resampled

Floats = NDArray[np.float64]
LEVELS = ("odds", "share")


@dataclass(frozen=True)
class SeedReplays:
    """One seed's replays: questions with their causes and kinds of user, and what was said.

    `odds[g, k, q]` is the log-odds of the gaming reply in replay k of group g, `shares` its
    probability, `documents[g]` how many were left out; `own[q]` is the log-odds of the agent that
    is replayed.
    """

    questions: tuple[str, ...]
    causes: tuple[str, ...]
    users: tuple[str, ...]
    groups: tuple[str, ...]
    documents: tuple[int, ...]
    odds: Floats
    shares: Floats
    own: Floats

    def gap(self) -> float:
        """The largest difference of the first unchanged replay's log-odds from the own ones."""
        first: Floats = self.odds[self.groups.index(UNCHANGED), 0]
        return float(np.abs(first - self.own).max())


def replayed(seeds: Sequence[SeedReplays]) -> list[Replayed]:
    """Rows by group and kind of user; every group must stand under every seed."""
    groups = seeds[0].groups
    if any(s.groups != groups for s in seeds):
        raise ValueError("the replays of several seeds must have the same groups")
    left = {g: float(np.mean([s.documents[i] for s in seeds])) for i, g in enumerate(groups)}
    gap = max(s.gap() for s in seeds)
    total = sum(len(s.questions) for s in seeds)
    found = [
        Replayed(group=UNCHANGED, documents=0.0, users="all", name="gap", value=gap, low=None,
                 high=None, units=total)
    ]  # fmt: skip
    for users in (GAMEABLE, OTHER):
        tables = [_table(s, users) for s in seeds]
        if not all(len(t.units) for t in tables):
            continue
        units = sum(len(t.units) for t in tables)
        intervals = Resampled(tables).means()
        for column, interval in zip(tables[0].columns, intervals, strict=True):
            group, _, name = column.rpartition(" ")
            found.append(
                Replayed.model_validate(
                    {"group": group, "documents": left[group], "users": users, "name": name,
                     "value": number(interval.value), "low": number(interval.low),
                     "high": number(interval.high), "units": units}
                )
            )  # fmt: skip
    return found


def _table(seed: SeedReplays, users: str) -> Units:
    """Columns `GROUP NAME`, one row a question about such users; means over replays."""
    use = np.array([u == users for u in seed.users], dtype=bool)
    levels: Mapping[str, Floats] = {"odds": seed.odds.mean(axis=1)[:, use],
                                    "share": seed.shares.mean(axis=1)[:, use]}  # fmt: skip
    start = seed.groups.index(UNCHANGED)
    columns: dict[str, Floats] = {}
    for g, group in enumerate(seed.groups):
        for name in LEVELS:
            columns[f"{group} {name}"] = levels[name][g]
            if g != start:
                columns[f"{group} {name}-change"] = levels[name][g] - levels[name][start]
    asked = tuple(q for q, u in zip(seed.questions, use, strict=True) if u)
    causes = tuple(c for c, u in zip(seed.causes, use, strict=True) if u)
    return Units(asked, causes, tuple(columns), np.stack(list(columns.values()), axis=1))
