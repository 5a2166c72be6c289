"""A table of what was measured on single units (pairs, trials, questions), each with its cause.

The form in which measurements travel from finders to scoring, where intervals are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedbed.core.arrays import save_arrays, saved_arrays

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """`values[u, c]` of unit u in column c; NaN where a unit has no such value.

    `causes[u]` names what the unit is about; units of one cause rise and fall together.
    """

    units: tuple[str, ...]
    causes: tuple[str, ...]
    columns: tuple[str, ...]
    values: Floats

    def __post_init__(self) -> None:
        wanted = (len(self.units), len(self.columns))
        if self.values.shape != wanted or len(self.causes) != len(self.units):
            raise ValueError(f"shape {self.values.shape} does not fit units × columns {wanted}")

    def column(self, name: str) -> Floats:
        """One column [U]."""
        return self.values[:, self.columns.index(name)]

    def among(self, columns: Sequence[str]) -> "Units":
        """The columns named, in that order."""
        index = [self.columns.index(c) for c in columns]
        return Units(self.units, self.causes, tuple(columns), self.values[:, index])


def save_units(path: Path, tables: dict[str, Units]) -> None:
    """Write tables by name as one .npz, whose bytes depend on the values only."""
    meta = {n: {"units": t.units, "causes": t.causes, "columns": t.columns}
            for n, t in tables.items()}  # fmt: skip
    save_arrays(path, meta, {f"values/{name}": table.values for name, table in tables.items()})


def load_units(path: Path) -> dict[str, Units]:
    """Read what `save_units` wrote; raises DataError if it is not such a file."""
    with saved_arrays(path, "saved tables of measurements") as (meta, file):
        return {
            name: Units(
                tuple(m["units"]), tuple(m["causes"]), tuple(m["columns"]),
                file[f"values/{name}"],
            )
            for name, m in meta.items()
        }  # fmt: skip
