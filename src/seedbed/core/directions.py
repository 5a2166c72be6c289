"""Directions: one unit vector a site, told apart by what it was made of.

Saved as safetensors with a JSON sidecar, so that any tool can read the vectors.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.core.cells import Cell
from seedbed.core.errors import DataError
from seedbed.core.files import atomic_file, write_json
from seedbed.core.sites import Claim

Floats = NDArray[np.floating[Any]]
KEY = "seedbed"
ARRAYS = ("vectors", "middle", "spread", "norm")


@dataclass(frozen=True)
class Directions:
    """Directions at sites, each a cell's name (`resid_pre.3@last`), pointing at one of two classes.

    `vectors` [sites, width] have length 1 and point from the class `negative` to `positive`.
    A state x lies on the positive side where x · vector > `middle` [sites]; `spread` [sites] is
    how far the means of the two classes stand apart along the vector (the natural unit of
    steering), `norm` [sites] the mean length of the states that it was made of. `made` says how:
    the method, how many examples of each class, the model's digest, versions.
    """

    sites: tuple[str, ...]
    vectors: Floats
    middle: Floats
    spread: Floats
    norm: Floats
    positive: str
    negative: str
    made: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.sites)
        if self.vectors.ndim != 2 or len(self.vectors) != count:
            raise ValueError(f"shape {self.vectors.shape} does not fit {count} sites × width")
        for name in ARRAYS:
            array = getattr(self, name)
            if name != "vectors" and array.shape != (count,):
                raise ValueError(f"{name}: shape {array.shape} does not fit {count} sites")
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: holds values that are not finite")
        lengths = np.linalg.norm(self.vectors.astype(np.float64), axis=1)
        if count and np.abs(lengths - 1).max() > 1e-3:
            raise ValueError("vectors: every direction has length 1")
        for site in self.sites:
            Cell.parse(site)

    def at(self, site: str) -> int:
        """The row of a site; raises KeyError if there is none."""
        try:
            return self.sites.index(site)
        except ValueError as error:
            raise KeyError(site) from error

    def among(self, sites: Sequence[str]) -> "Directions":
        """The directions at `sites`, in that order."""
        rows = [self.at(site) for site in sites]
        arrays = {name: getattr(self, name)[rows] for name in ARRAYS}
        return Directions(tuple(sites), **arrays, positive=self.positive, negative=self.negative,
                          made=self.made)  # fmt: skip

    def save(self, path: Path) -> None:
        """Write `path` (safetensors: one tensor a site, then the other arrays) and `path`.json.

        The description stands in both, so that no interruption leaves one without the other.
        """
        from safetensors.numpy import save_file

        tensors = {site: np.ascontiguousarray(self.vectors[i], dtype=np.float32)
                   for i, site in enumerate(self.sites)}  # fmt: skip
        for name in ARRAYS[1:]:
            tensors[name] = np.ascontiguousarray(getattr(self, name), dtype=np.float32)
        told = {"sites": self.sites, "positive": self.positive, "negative": self.negative,
                "made": self.made}  # fmt: skip
        with atomic_file(path) as temporary:
            save_file(tensors, temporary, metadata={KEY: json.dumps(told, sort_keys=True)})
        write_json(_sidecar(path), told)

    @classmethod
    def load(cls, path: Path) -> "Directions":
        """Read what `save` wrote; raises DataError if it is not such a file."""
        from safetensors import SafetensorError, safe_open

        if not path.exists():
            raise DataError(path, None, "no such file")
        try:
            with safe_open(path, framework="np") as file:
                told = json.loads(file.metadata()[KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            sites = tuple(told["sites"])
            arrays = {name: tensors[name] for name in ARRAYS[1:]}
            return cls(sites, np.stack([tensors[s] for s in sites]), **arrays,
                       positive=told["positive"], negative=told["negative"],
                       made=told["made"])  # fmt: skip
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise DataError(path, None, f"not saved directions of seedbed: {error}") from error


@dataclass(frozen=True)
class DirectionClaim(Claim):
    """A claim about which class each question is of, with the directions that it was read from.

    Columns are the two classes. `directions` is None for a control that has no vector in the
    model. `save` writes them beside the claim, as directions.safetensors.
    """

    directions: Directions | None = None

    def save(self, path: Path) -> None:
        """Write the claim as .npz and its directions beside it."""
        super().save(path)
        if self.directions is not None:
            self.directions.save(path.with_name(FILE))


FILE = "directions.safetensors"


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")
