"""Which runs are wanted: by world, finder, study, subject, state, age and a score's value."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from seedbed.core.errors import InputError

CONTROLS = ("chance", "oracle", "labels")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CONDITION = re.compile(r"\s*([\w@:.=%-]*[\w@:.%-])\s*(>=|<=|>|<|=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Condition:
    """One metric against a number, over all questions; a run fits if any finder of it does."""

    metric: str
    sign: str
    value: float

    @classmethod
    def read(cls, text: str) -> "Condition":
        """From `average_precision>0.9`; raises InputError otherwise."""
        found = _CONDITION.fullmatch(text)
        try:
            if found is None:
                raise ValueError
            return cls(found[1], found[2], float(found[3]))
        except ValueError as error:
            raise InputError(
                f"--where {text}: write it as METRIC>NUMBER, with >, >=, <, <= or ="
            ) from error


@dataclass(frozen=True)
class Wanted:
    """What runs must be; "" and () ask nothing. Names may hold * and ?.

    `finder` is a finder's name or kind, `since` the earliest start (ISO 8601). With a finder,
    conditions are on its lines, else on those of any that is no control.
    """

    world: str = ""
    finder: str = ""
    study: str = ""
    subject: str = ""
    state: str = ""
    since: str = ""
    where: tuple[Condition, ...] = ()

    def names(self, finder: str, kind: str) -> bool:
        """Whether `finder` asks for a finder of this name and kind."""
        return any(fnmatchcase(own, self.finder or "*") for own in (finder, kind))

    def clause(self) -> tuple[str, list[Any]]:
        """The same as an SQL condition on the table `runs`, and its values."""
        parts, values = ["1"], []
        for column in ("world", "study", "subject", "state"):
            if given := getattr(self, column):
                parts.append(f"runs.{column} GLOB ?")
                values.append(given)
        if self.since:
            parts.append("runs.started >= ?")
            values.append(self.since)
        for condition in self.where or ((None,) if self.finder else ()):
            inner = "SELECT 1 FROM lines AS l WHERE l.folder = runs.folder"
            if self.finder:
                inner += " AND (l.finder GLOB ? OR l.kind GLOB ?)"
                values += [self.finder, self.finder]
            else:
                inner += f" AND l.kind NOT IN ({', '.join('?' * len(CONTROLS))})"
                values += CONTROLS
            if condition is not None:
                inner += f" AND l.metric = ? AND l.value {condition.sign} ?"
                values += [condition.metric, condition.value]
            parts.append(f"EXISTS ({inner})")
        return " AND ".join(parts), values


def since(text: str, now: datetime | None = None) -> str:
    """A date, a time or an age (`2026-11-01`, `2026-11-01T12:00`, `7d`, `12h`) as UTC, ISO 8601.

    Raises InputError otherwise.
    """
    if (age := re.fullmatch(r"(\d{1,6})([mhdw])", text)) is not None:
        at = (now or datetime.now(UTC)) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        return at.isoformat(timespec="seconds")
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--since {text}: write it as 2026-11-01, 7d or 12h") from error
    return (
        (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds")
    )
