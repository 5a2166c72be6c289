"""The rows of incentives.json by condition and arm, beside controls and known policies.

What counts as emerged is settled here, once for sentences, tables and figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import Any

from seedbed.core.incentives import ALL, EXACT, GAMEABLE, OTHER, PLAYED, IncentiveRow, Section
from seedbed.report import wording
from seedbed.report.reader import Run
from seedbed.report.schema import Told

KINDS = (GAMEABLE, OTHER)
KNOWN = {"rating": "best rating", "fixed-point": "tabular fixed point", "welfare": "best welfare"}
"""Known policies that every figure shows: the key in the rows → its name for a reader."""
TABULAR = "expert-iteration"
_REWARD = "reward"


@dataclass(frozen=True)
class Cell:
    """One condition and one arm; `last` is the last round that has rows."""

    condition: str
    arm: str
    last: int


class Feedback:
    """All rows of a run; conditions and arms in the order of the study."""

    def __init__(self, run: Run) -> None:
        self.rows = run.incentives
        self.told: dict[str, Told] = run.conditions
        asked = run.config.get("incentives")
        self._asked: dict[str, Any] = asked if isinstance(asked, dict) else {}
        self._index = {_key(r): r for r in self.rows}
        self.missing = [s for s in run.config.get("seeds") or () if not _there(run, s)]
        self.by = EXACT if any(r.by == EXACT and r.section == "behaviour" for r in self.rows) \
            else PLAYED  # fmt: skip

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """Conditions with rows, the one that leaves the world as it is first."""
        found = dict.fromkeys(r.condition for r in self.rows if r.arm)
        order = [*(n for n in self._conditions if not (self._conditions[n] or {}).get("world")),
                 *self._conditions, *found]  # fmt: skip
        return tuple(n for n in dict.fromkeys(order) if n in found)

    @property
    def _conditions(self) -> dict[str, Any]:
        found = self._asked.get("conditions")
        return found if isinstance(found, dict) else {}

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """Arms with rows, controls last."""
        found = dict.fromkeys(r.arm for r in self.rows if r.arm)
        order = dict.fromkeys([*(self._asked.get("arms") or {}), *found])
        known = [a for a in order if a in found]
        return (*(a for a in known if a not in self.controls),
                *(a for a in known if a in self.controls))  # fmt: skip

    @cached_property
    def controls(self) -> frozenset[str]:
        """Arms that choose by something else than the reward."""
        arms = self._asked.get("arms") or {}
        by = {n: a.get("preference", {}).get("selection", {}).get("by") for n, a in arms.items()}
        return frozenset(n for n, how in by.items() if how not in (None, _REWARD))

    @cached_property
    def _last(self) -> dict[tuple[str, str], int]:
        """(condition, arm) → the last round with rows of behaviour."""
        found: dict[tuple[str, str], int] = {}
        for r in self.rows:
            if r.section == "behaviour" and r.iteration is not None:
                key = r.condition, r.arm
                found[key] = max(found.get(key, 0), r.iteration)
        return found

    def cells(self, condition: str, controls: bool | None = None) -> list[Cell]:
        """The arms of a condition; only controls, only others, or (None) all."""
        return [
            Cell(condition, arm, self._last[condition, arm]) for arm in self.arms
            if (condition, arm) in self._last and controls in (None, arm in self.controls)
        ]  # fmt: skip

    def row(
        self, cell: Cell, section: Section, name: str, kind: str = ALL,
        k: int | None = -1, environment: str = "", by: str | None = None,
    ) -> IncentiveRow | None:  # fmt: skip
        """One row, or None; `k` -1 is the last round."""
        at = cell.last if k == -1 else k
        way = self.by if by is None else by
        return self._index.get(
            (cell.condition, cell.arm, section, name, way, kind, environment, at)
        )

    def course(
        self, cell: Cell, section: Section, name: str, kind: str = ALL, by: str | None = None,
    ) -> list[tuple[int, IncentiveRow]]:  # fmt: skip
        """(round, row) of every round with a value."""
        found = [(k, self.row(cell, section, name, kind, k, "", by)) for k in range(cell.last + 1)]
        return [(k, row) for k, row in found if row is not None and row.value is not None]

    def named(self, section: Section, cell: Cell) -> tuple[str, ...]:
        """The names of a section's rows about a cell, in the order of the file."""
        return tuple(self._names.get((section, cell.condition, cell.arm), {}))

    @cached_property
    def _names(self) -> dict[tuple[str, str, str], dict[str, None]]:
        found: dict[tuple[str, str, str], dict[str, None]] = {}
        for r in self.rows:
            found.setdefault((r.section, r.condition, r.arm), {})[r.name] = None
        return found

    def known(
        self, condition: str, policy: str, name: str, kind: str = ALL, k: int | None = None
    ) -> float | None:
        """What a known policy does: `harm`, `rating`, `welfare` by kind, or `targeting`."""
        found = self._known.get((condition, f"{policy}:{name}", kind, k), {})
        return found.get("", next(iter(found.values()), None))

    @cached_property
    def _known(self) -> dict[tuple[str, str, str, int | None], dict[str, float | None]]:
        found: dict[tuple[str, str, str, int | None], dict[str, float | None]] = {}
        for r in self.rows:
            if r.section == "optimum" and r.by == self.by:
                key = r.condition, r.name, r.kind, r.iteration
                found.setdefault(key, {})[r.environment] = r.value
        return found

    def path(self, condition: str, name: str, kind: str = ALL) -> list[tuple[int, float]]:
        """Expert iteration on tables round by round, as far as it was worked out."""
        wanted = condition, f"{TABULAR}:{name}", kind
        rounds = sorted(k for *key, k in self._known if tuple(key) == wanted and k is not None)
        found = [(k, self.known(condition, TABULAR, name, kind, k)) for k in rounds]
        return [(k, v) for k, v in found if v is not None]

    def emergence(self, cell: Cell, name: str = "harm", kind: str = GAMEABLE) -> int | None:
        """The round from which on it lies above its start; None: it did not emerge."""
        row = self.row(cell, "emergence", name, kind, None)
        return None if row is None or row.value is None else round(row.value)

    def over(self, cell: Cell, kind: str = GAMEABLE, name: str = "harm") -> dict[str, IncentiveRow]:
        """Control → by how much the last round's level lies above that control's."""
        section: Section = "targeting" if name == "targeting" else "behaviour"
        found = {c: self.row(cell, section, f"{name}-over-{c}", kind) for c in self.arms
                 if c in self.controls}  # fmt: skip
        return {c: row for c, row in found.items() if row is not None and row.value is not None}

    def taught(self, cell: Cell, kind: str = GAMEABLE) -> bool:
        """Whether harm emerged and its interval lies above every control's under the condition."""
        over = self.over(cell, kind)
        return self.emergence(cell, "harm", kind) is not None and all(
            map(above_zero, over.values())
        )

    def described(self, condition: str) -> str:
        """`own (50 % gameable, 1 bit)`."""
        told = self.told.get(condition)
        if told is None:
            return condition
        parts = [f"{wording.percent(told.gameable)} gameable"]
        if 0 < told.gameable < 1:
            parts.append(f"cue {told.bits:.3g} bit")
        if told.turns > 1:
            parts.append(f"{told.turns} turns")
        return f"{condition} ({', '.join(parts)})"

    def seeds_words(self) -> str:
        """Which seeds of the study have no numbers; "" if all have."""
        if not self.missing:
            return ""
        names = wording.listed([str(s) for s in self.missing])
        return f"seed{'s' if len(self.missing) > 1 else ''} {names} of the study not there"


def above_zero(row: IncentiveRow | None) -> bool:
    """Whether the whole interval lies above 0."""
    return row is not None and row.low is not None and row.low > 0


def valued(row: IncentiveRow | None, places: int = 2) -> str:
    """`0.97 [0.95, 0.99]`."""
    if row is None:
        return wording.MISSING
    return wording.measured(row.value, row.low, row.high, places)


def middle(rows: Sequence[IncentiveRow]) -> float | None:
    """The mean of the values, for a title; None without any."""
    found = [r.value for r in rows if r.value is not None]
    return mean(found) if found else None


def _key(r: IncentiveRow) -> tuple[str, str, str, str, str, str, str, int | None]:
    return r.condition, r.arm, r.section, r.name, r.by, r.kind, r.environment, r.iteration


def _there(run: Run, seed: Any) -> bool:
    return (run.path / "seeds" / str(seed) / "incentives").is_dir()
