"""Directions and their random controls, at the sites where they are tried, in one table.

All directions of a site are pushed by the same length, so that none wins by being longer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from seedbed.core.cells import Cell
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.core.seeds import generator
from seedbed.core.selectivity import Column
from seedbed.finders.pushes import Push, Spent, pushed
from seedbed.finders.voices import OUTCOMES, Voice, outcomes
from seedbed.models.blocks import Site, site_of
from seedbed.models.subject import Subject

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Measured = dict[Column, Floats]
PointT = TypeVar("PointT")
Scale = Literal["spread", "norm", "one"]


@dataclass(frozen=True)
class Line:
    """One direction at one cell: a row of the table of vectors, and how long dose 1 is there."""

    direction: str
    cell: Cell
    vector: int
    unit: float

    @property
    def site(self) -> Site:
        """Where in the model it acts."""
        return site_of(self.cell)


@dataclass(frozen=True)
class Lines:
    """All lines with their `vectors` [lines, width]; `classes` are (positive, negative)."""

    lines: tuple[Line, ...]
    vectors: Tensor = field(repr=False)
    classes: tuple[str, str]

    def of(self, direction: str) -> list[Line]:
        """The lines of one direction."""
        return [line for line in self.lines if line.direction == direction]

    @property
    def directions(self) -> tuple[str, ...]:
        """The names of all directions, random draws last."""
        return tuple(dict.fromkeys(line.direction for line in self.lines))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, in order of appearance."""
        return tuple(dict.fromkeys(line.cell for line in self.lines))


def lines_of(
    directions: Mapping[str, Directions], draws: int, unit: Scale, places: Sequence[str], seed: int,
    depths: int = 0,
) -> Lines:  # fmt: skip
    """Lines of the directions given and of `draws` random ones (`random-0`, …) at every site.

    Unit `spread` is the longest distance of class means along any direction given at the site
    (the difference of means has the longest), `norm` the longest mean of states. `places` keep
    only such cells (none: all), `depths` so many points of the computation, spread evenly over
    those of the directions, first and last among them (0: all). Raises InputError for no
    direction, other classes or widths, and an unknown place.
    """
    if not directions:
        raise InputError("steering: there is no direction")
    classes = {(d.positive, d.negative) for d in directions.values()}
    widths = {d.vectors.shape[1] for d in directions.values()}
    if len(classes) > 1 or len(widths) > 1:
        raise InputError(f"steering: directions of different classes or widths: {sorted(classes)},"
                         f" {sorted(widths)}")  # fmt: skip
    units: dict[str, float] = {}
    for given in directions.values():
        lengths = {"spread": given.spread, "norm": given.norm, "one": np.ones(len(given.sites))}
        for site, length in zip(given.sites, lengths[unit], strict=True):
            units[site] = max(units.get(site, 0.0), float(length))
    known = tuple(dict.fromkeys(Cell.parse(site).place for site in units))
    if unknown := [p for p in places if p not in known]:
        raise InputError(f"steering: places: no direction at {unknown[0]!r};"
                         f" known: {', '.join(known)}")  # fmt: skip
    sites = [site for site in units if not places or Cell.parse(site).place in places]
    sites = _thinned(sites, depths)
    found: list[Line] = []
    vectors: list[Floats] = []
    for name, given in directions.items():
        for site in sites:
            if site in given.sites:
                found.append(Line(name, Cell.parse(site), len(vectors), units[site]))
                vectors.append(given.vectors[given.at(site)].astype(np.float64))
    for draw in range(draws):
        for site in sites:
            vector = generator(seed, "steering", "random", draw, site).normal(size=min(widths))
            found.append(Line(f"random-{draw}", Cell.parse(site), len(vectors), units[site]))
            vectors.append(vector / np.linalg.norm(vector))
    table = torch.tensor(np.array(vectors), dtype=torch.float32)
    return Lines(tuple(found), table, classes.pop())


def evenly(points: Sequence[PointT], count: int) -> list[PointT]:
    """So many of the points in order, spread evenly, first and last among them (0: all)."""
    if not count or count >= len(points):
        return [*points]
    return [points[i] for i in np.linspace(0, len(points) - 1, count).round().astype(int)]


def _thinned(sites: Sequence[str], depths: int) -> list[str]:
    cells = [Cell.parse(site) for site in sites]
    points = evenly(list(dict.fromkeys((c.stream, c.layer, c.head, c.step) for c in cells)), depths)
    return [c.name for c in cells if (c.stream, c.layer, c.head, c.step) in points]


@dataclass(frozen=True)
class Way:
    """One way to push along a line: `add` of dose × unit, or a `factor` of the part along it.

    `prefix` names the columns, such as `ablated-`.
    """

    prefix: str = ""
    dose: float | None = None
    factor: float = 0.0

    def push(self, run: int, voice: Voice, line: Line) -> Push:
        """The push of one question."""
        at = voice.positions(line.cell.place)
        add = 0.0 if self.dose is None else voice.sign * self.dose * line.unit
        return Push(run, line.site, at, line.vector, add, self.factor)

    def column(self, name: str, line: Line) -> Column:
        """The column of an outcome."""
        return Column(self.prefix + name, line.direction, line.cell.name, self.dose)


ABLATED, AMPLIFIED = Way("ablated-", None, -1.0), Way("amplified-", None, 1.0)


def tried(
    subject: Subject, voices: Sequence[Voice], lines: Lines, ways: Sequence[Way],
    only: Sequence[Line] | None = None,
) -> tuple[Measured, Spent]:  # fmt: skip
    """Every outcome of every way along every line (or along `only` some), [voices] each.

    NaN where a question lacks the line's place.
    """
    chosen = lines.lines if only is None else tuple(only)
    where = [(v, line, way) for v in range(len(voices)) for line in chosen for way in ways]
    pushes = [way.push(v, voices[v], line) for v, line, way in where]

    def reduce(numbers: list[int], before: Tensor, after: Tensor) -> Tensor:
        return outcomes([voices[pushes[n].run] for n in numbers], before, after)

    prompts = [v.asked.ids for v in voices]
    values, spent = pushed(subject, prompts, pushes, lines.vectors, reduce)
    lacking = torch.tensor([not p.positions for p in pushes], dtype=torch.bool)
    if pushes:
        values[lacking] = torch.nan
    table = values.view(len(voices), len(chosen) * len(ways), len(OUTCOMES)).numpy()
    columns = [(line, way) for line in chosen for way in ways]
    return {
        way.column(name, line): table[:, c, k]
        for c, (line, way) in enumerate(columns)
        for k, name in enumerate(OUTCOMES)
    }, spent
