"""Points of one seed, dealt out so that no two uses of points ever meet.

Each use has its own part of a fixed shuffle, so asking more of one never shifts another.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seedbed.core.errors import ConfigError
from seedbed.core.seeds import generator
from seedbed.worlds.quadrants.plane import Ints, Plane, clear, points, regions

PARTS = {
    "asked.questions": 0.10,
    "asked.new_trigger": 0.05,
    "asked.new_category": 0.05,
    "asked.new_template": 0.05,
    "reteach.asked": 0.15,
    "lines": 0.45,
    "reteach.points": 0.15,
}
"""The share of all points that each use, named by its key, may take."""


@dataclass(frozen=True)
class Pool:
    """Points by region, in a shuffled order; none lies on a boundary within rounding."""

    plane: Plane
    x1: tuple[Ints, ...]
    x2: tuple[Ints, ...]

    def deal(self, use: str, region: Ints, key: str = "") -> tuple[Ints, Ints]:
        """A point of its own for each wanted region, the same for the same beginning.

        Raises ConfigError, naming `key`, if there are not as many.
        """
        nth = np.zeros(region.shape, dtype=np.int64)
        for r in range(len(self.plane.names)):
            mine = np.flatnonzero(region == r)
            nth[mine] = np.arange(len(mine))
        return self.take(use, region, nth, key)

    def take(self, use: str, region: Ints, nth: Ints, key: str = "") -> tuple[Ints, Ints]:
        """The nth point of each wanted region among those of this use, from 0 on.

        Raises ConfigError, naming `key`, if there are not as many.
        """
        before = sum(share for name, share in list(PARTS.items())[: list(PARTS).index(use)])
        a, b = np.zeros(region.shape, dtype=np.int64), np.zeros(region.shape, dtype=np.int64)
        for r, name in enumerate(self.plane.names):
            mine = np.flatnonzero(region == r)
            total = len(self.x1[r])
            start, end = round(before * total), round((before + PARTS[use]) * total)
            needed = int(nth[mine].max(initial=-1)) + 1
            if needed > end - start:
                raise ConfigError(
                    f"{key or use}: {needed} points in region {name} are needed, of"
                    f" {total} with {self.plane.decimals} decimals {end - start} are kept for this,"
                    " so that no tested point is trained on; ask for fewer or write more decimals"
                )
            a[mine], b[mine] = (x[r][start + nth[mine]] for x in (self.x1, self.x2))
        return a, b


@lru_cache(maxsize=4)
def pool(plane: Plane, seed: int) -> Pool:
    """The points of a seed."""
    a, b = points(plane)
    order = generator(seed, "quadrants", "points").permutation(len(a))
    a, b = a[order], b[order]
    inside = clear(plane, a, b)
    a, b = a[inside], b[inside]
    own = regions(plane, a, b)
    names = range(len(plane.names))
    return Pool(plane, tuple(a[own == r] for r in names), tuple(b[own == r] for r in names))


def beyond(plane: Plane, many: int, seed: int) -> tuple[Ints, Ints]:
    """So many points outside of the range, clear of the boundary.

    Raises ConfigError where the plane has none.
    """
    rng = generator(seed, "quadrants", "beyond")
    (a, b), (c, d) = plane.box(far=True)
    (e, f), (g, h) = plane.box()
    if plane.box(far=True) == plane.box():
        raise ConfigError(
            f"asked.new_range: nothing lies beyond, with plane.beyond {plane.beyond:g}"
        )
    found: list[tuple[Ints, Ints]] = []
    while sum(len(x) for x, _ in found) < many:
        x, y = rng.integers(a, b + 1, 4 * many), rng.integers(c, d + 1, 4 * many)
        out = ((x < e) | (x > f) | (y < g) | (y > h)) & clear(plane, x, y)
        found.append((x[out], y[out]))
    return (np.concatenate([x for x, _ in found])[:many],
            np.concatenate([y for _, y in found])[:many])  # fmt: skip
