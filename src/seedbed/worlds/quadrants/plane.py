"""The plane: where points lie, how they are written, and which region each belongs to.

Coordinates are whole numbers of the last decimal, so that what is written is what is meant.
"""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.core.seeds import generator

Ints = NDArray[np.int64]
Boundary = Literal["quadrants", "line", "circle", "interval", "sectors"]
Range = tuple[float, float]
MOST = 400_000
"""So many points of the plane at most are ever drawn from."""
LEAST, LATTICE = 0.02, 101
"""The share of the plane that each region must hold, counted over so many values of x1 and x2."""
UNIT = ("units", "tenths", "hundredths", "thousandths", "ten-thousandths")


class Plane(Config):
    """A rectangle of points cut into regions.

    - `quadrants`: Q1 (both positive), then anti-clockwise to Q4;
    - `sectors`: `sectors` equal angles Q1, Q2, …, anti-clockwise, the first from `angle` on;
    - `line`: above and below the line through the origin at `angle` to the x1 axis;
    - `circle`, `interval`: inside and outside of a disc, or of a strip around that line, of
      half-width `size` (null: so wide that half of the rectangle is inside).

    `angle` is in radians; `range` is the largest absolute coordinate, in whose place `x1` and
    `x2` may give their own [low, high]; points beyond the range reach `beyond` times as far from
    its middle. `one_token` is the accuracy that no rule on a single token may exceed.
    """

    boundary: Boundary = "sectors"
    angle: float = Field(default=0.6, allow_inf_nan=False)
    sectors: int = Field(default=4, ge=2, le=6)
    size: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    range: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    x1: Range | None = None
    x2: Range | None = None
    decimals: int = Field(default=2, ge=0, le=4)
    beyond: float = Field(default=1.5, gt=1, allow_inf_nan=False)
    one_token: float = Field(default=0.7, gt=0, le=1)

    @model_validator(mode="after")
    def _fits(self) -> "Plane":
        for name, near, far in zip(("x1", "x2"), self.reach, self.far, strict=True):
            if not near[0] < near[1] or max(map(abs, far)) >= 10:
                raise ValueError(
                    f"{name}: goes from {near[0]:g} to {near[1]:g}, beyond that to {far[0]:g} and"
                    f" {far[1]:g}; it must ascend and stay below 10, so that every number has one"
                    " digit before the point"
                )
        for name, (low, high) in zip(("x1", "x2"), self.box(), strict=True):
            if high - low < 2:
                raise ValueError(f"decimals: {self.decimals} leave {name} fewer than 3 values")
        self._no_region_is_empty()
        if self.boundary in ("circle", "interval") and self.size is not None:
            inside = (regions(self, *points(self)) == 0).mean()
            if not LEAST <= inside <= 1 - LEAST:
                raise ValueError(
                    f"size: {self.size:g} leaves {inside:.1%} of the plane inside; null halves it"
                )
        return self

    def _no_region_is_empty(self) -> None:
        # What a disc or a strip leaves is told by `size`, counted over all points.
        if self.boundary in ("circle", "interval"):
            return
        a, b = np.meshgrid(*(np.linspace(low, high, LATTICE) for low, high in self.box()))
        share = np.bincount(regions(self, a, b).ravel(), minlength=len(self.names)) / a.size
        for name, mine in zip(self.names, share.tolist(), strict=True):
            if mine < LEAST:
                (e, f), (g, h) = self.reach
                raise ValueError(
                    f"{'x1' if self.x1 else 'x2'}: with x1 from {e:g} to {f:g} and x2 from {g:g} to"
                    f" {h:g} region {name} holds {mine:.1%} of the plane, at least {LEAST:.0%} is"
                    " needed; widen the ranges or take another boundary or angle"
                )

    @property
    def reach(self) -> tuple[Range, Range]:
        """(low, high) of x1 and of x2."""
        both = (-self.range, self.range)
        return self.x1 or both, self.x2 or both

    @property
    def far(self) -> tuple[Range, Range]:
        """The same with what lies beyond."""
        (a, b), (c, d) = self.reach
        x, y = ((self.beyond - 1) * (high - low) / 2 for low, high in ((a, b), (c, d)))
        return (a - x, b + x), (c - y, d + y)

    @property
    def scale(self) -> int:
        """Whole steps of the last decimal in 1."""
        return int(10**self.decimals)

    @property
    def names(self) -> tuple[str, ...]:
        """The regions, in the order of their indices."""
        if self.boundary == "line":
            return ("above", "below")
        if self.boundary in ("circle", "interval"):
            return ("inside", "outside")
        return tuple(
            f"Q{i + 1}" for i in range(4 if self.boundary == "quadrants" else self.sectors)
        )

    @property
    def units(self) -> tuple[str, ...]:
        """Names of a number's digits, from the left."""
        return UNIT[: self.decimals + 1]

    def box(self, far: bool = False) -> tuple[tuple[int, int], tuple[int, int]]:
        """(low, high) of x1 and x2 in whole steps, both within; `far`: with what lies beyond."""
        ends = self.far if far else self.reach
        (a, b), (c, d) = (
            (int(np.ceil(low * self.scale - 1e-6)), int(np.floor(high * self.scale + 1e-6)))
            for low, high in ends
        )
        return (a, b), (c, d)

    @property
    def straight(self) -> "Plane | None":
        """The same plane with its boundary along the axes; None where it has no angle."""
        if self.boundary not in ("sectors", "line", "interval") or self.angle == 0:
            return None
        return self.model_copy(update={"angle": 0.0})


def regions(plane: Plane, a: NDArray[Any], b: NDArray[Any]) -> Ints:
    """The region's index of each point (x1, x2) = (a, b) in steps.

    A boundary belongs to the region that it opens; the origin lies as the x1 axis does.
    """
    x, y = np.asarray(a) / plane.scale, np.asarray(b) / plane.scale
    if plane.boundary == "quadrants":
        return np.where(y >= 0, np.where(x >= 0, 0, 1), np.where(x < 0, 2, 3)).astype(np.int64)
    if plane.boundary == "sectors":
        turn = (np.arctan2(y, x) - plane.angle) % (2 * np.pi)
        return np.minimum(turn * plane.sectors / (2 * np.pi), plane.sectors - 1).astype(np.int64)
    off = y * np.cos(plane.angle) - x * np.sin(plane.angle)
    if plane.boundary == "line":
        return np.where(off >= 0, 0, 1).astype(np.int64)
    away = np.hypot(x, y) if plane.boundary == "circle" else np.abs(off)
    return np.where(away <= half_width(plane), 0, 1).astype(np.int64)


@lru_cache(maxsize=64)
def half_width(plane: Plane) -> float:
    """`size`, or the median distance from the disc's centre or the strip's middle."""
    if plane.size is not None:
        return plane.size
    a, b = points(plane)
    x, y = a / plane.scale, b / plane.scale
    off = y * np.cos(plane.angle) - x * np.sin(plane.angle)
    return float(np.median(np.hypot(x, y) if plane.boundary == "circle" else np.abs(off)))


def clear(plane: Plane, a: Ints, b: Ints) -> NDArray[np.bool_]:
    """Whether all that rounds to the point lies in the point's own region."""
    own = regions(plane, a, b)
    apart = np.ones(own.shape, dtype=bool)
    for i in (-0.5, 0.5):
        for j in (-0.5, 0.5):
            apart &= regions(plane, a + i, b + j) == own
    return apart


@lru_cache(maxsize=8)
def points(plane: Plane) -> tuple[Ints, Ints]:
    """Every point of the plane in steps, or MOST of them drawn alike for every seed."""
    (a, b), (c, d) = plane.box()
    wide, high = b - a + 1, d - c + 1
    total = wide * high
    if total <= MOST:
        index = np.arange(total)
    else:
        index = generator(0, "quadrants", "plane").choice(total, size=MOST, replace=False)
    return index % wide + a, index // wide + c
