"""Reading sweep.json: the keys that were varied, the arms, and every row of their scores."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.core.errors import InputError
from seedbed.core.files import read_json
from seedbed.report.schema import CONTROLS, Score

Shown = tuple[str, str, str]
SHOWN: tuple[Shown, ...] = (
    ("declared", "average_precision", "all"),
    ("declared", "roc_auc", "hop>=1"),
    ("measured", "lds", "all"),
    ("declared", "trained_auc", "all"),
)


@dataclass(frozen=True)
class Arm:
    """One combination of values by key, and why it stopped ("" if it did not)."""

    values: Mapping[str, Any]
    stopped: str

    @property
    def words(self) -> str:
        """Such as `training.batch = 8, training.steps = 40`."""
        return ", ".join(f"{key} = {value}" for key, value in self.values.items())


class SweepRun:
    """The folder of a sweep. Raises InputError if `path` is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "sweep.json").is_file():
            raise InputError(f"{path}: not a finished sweep, there is no sweep.json in it")
        read = read_json(path / "sweep.json")
        # One key alone may be told as `key` and each arm's `value`, without `keys`.
        self.keys: tuple[str, ...] = tuple(read.get("keys") or (read["key"],))
        self.arms = [
            Arm({k: self._values(a)[k] for k in self.keys}, a["stopped"]) for a in read["arms"]
        ]
        self._rows: dict[tuple[str, str, str, str, str], Score] = {}
        for value in read["rows"]:
            row = Score.model_validate(value)
            place = value["arm"] if len(self.keys) > 1 else {self.keys[0]: value["arm"]}
            self._rows[(_code(place), *row.key)] = row

    def _values(self, arm: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = arm.get("values") or {self.keys[0]: arm["value"]}
        return found

    def row(self, arm: Arm, finder: str, shown: Shown) -> Score | None:
        """One number of one arm."""
        return self._rows.get((_code(arm.values), finder, *shown))

    def finders(self, shown: Shown) -> list[str]:
        """Finders with such a row in some arm, controls last."""
        found = [
            row.finder for row in self._rows.values()
            if (row.truth, row.metric, row.slice) == shown and row.value is not None
        ]  # fmt: skip
        names = list(dict.fromkeys(found))
        return [n for n in names if n not in CONTROLS] + [n for n in CONTROLS if n in names]

    def values(self, key: str) -> list[Any]:
        """The values of a key, in the order of the arms."""
        coded = {_code({key: arm.values[key]}): arm.values[key] for arm in self.arms}
        return list(coded.values())


def _code(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
