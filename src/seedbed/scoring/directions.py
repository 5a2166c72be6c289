"""Tables of what directions read and do, one set a seed, as rows with intervals.

Random directions are folded into one row, so that every number has its control beside it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple, cast, get_args

import numpy as np
from numpy.typing import NDArray

from seedbed.core.seeds import generator
from seedbed.core.selectivity import CHOSEN, Column, DirectionRow, Section
from seedbed.core.units import Units
from seedbed.scoring.effects import spearman
from seedbed.scoring.intervals import Interval
from seedbed.scoring.rows import number
from seedbed.scoring.units import Resampled, nanmean, over_seeds

Floats = NDArray[np.float64]
RANDOM, LARGEST = "random", "random-max"
OVER_RANDOM, AGREEMENT = "over-random", "agreement"
AUC, ACCURACY, FLIPPED = "auc", "accuracy", "flipped"
HEADLINE = {"selectivity": "difference", "steering": FLIPPED}
"""What `over-random` is the difference of, by section."""
_DRAW = re.compile(rf"{RANDOM}(-\d+)?")
_LEAST_SITES = 3
_CHUNK = 256


class _Measured(NamedTuple):
    """What is measured, whatever the direction; `_Measured` and a direction make a column."""

    name: str
    site: str
    dose: float | None


class _Sampled(NamedTuple):
    """A mean by seed [S], and by resample and slot [B, S]; over how many units it is."""

    points: Floats
    slots: Floats
    units: int


def rows(side: str, tables: Sequence[Mapping[str, Units]]) -> list[DirectionRow]:
    """The rows of one side; `tables` holds one mapping SECTION:SLICE → table a seed.

    Means over seeds of means over units, with 95 % intervals over seeds and, within each, causes;
    a seed may lack a table or a column. Columns of random draws (`random-0`, …) become

    - `random`: the mean over draws, whose interval is over draws too;
    - `random-max`: of each seed's draws the one with the largest mean over its units. It is
      chosen once and not anew in every resample, so the interval does not tell of the choice.

    `over-random` is, in selectivity and steering at the site chosen on dev, what a direction's
    value of `HEADLINE` lies above the mean random draw, in the same resamples. `agreement` is the
    rank correlation over sites with patching (see `agreements`). Raises ValueError for a table or
    column whose name is none.
    """
    found: list[DirectionRow] = []
    for name in dict.fromkeys(n for t in tables for n in t):
        section, slice_ = _section(name)
        here = widened([t[name] for t in tables if name in t])
        for direction, what, interval, units in _of_table(section, here):
            found.append(_row(side, section, direction, what, slice_, interval, units))
    return found + agreements(side, tables)


def widened(tables: Sequence[Units]) -> list[Units]:
    """The tables with every column that any of them has, NaN where one lacked it."""
    columns = tuple(dict.fromkeys(c for t in tables for c in t.columns))
    place = {c: i for i, c in enumerate(columns)}
    wide = []
    for table in tables:
        values = np.full((len(table.units), len(columns)), np.nan)
        values[:, [place[c] for c in table.columns]] = table.values
        wide.append(Units(table.units, table.causes, columns, values))
    return wide


def agreements(side: str, tables: Sequence[Mapping[str, Units]]) -> list[DirectionRow]:
    """Does what is read or steered at a site agree with what patching changes there?

    Per seed the Spearman correlation over sites of patching's `flipped` with a direction's `auc`
    (section decodable) and with its `flipped` at each dose (section steering), slice by slice of
    patching; then a mean with an interval over seeds. Not defined below three common sites or
    where one side does not vary. `units` counts sites, over all seeds.
    """
    slices = [n.partition(":")[2] for t in tables for n in t if n.startswith("patching:")]
    found: list[DirectionRow] = []
    sections: tuple[Section, ...] = ("decodable", "steering")
    for slice_ in dict.fromkeys(slices):
        patching = [_by_site(t.get(f"patching:{slice_}"), FLIPPED) for t in tables]
        patched = [by_site.get(("", None), {}) for by_site in patching]
        for section in sections:
            other = FLIPPED if section == "steering" else AUC
            own = f"{section}:{slice_}"
            marks = []
            for t, truth in zip(tables, patched, strict=True):
                # A class of questions may have no reading of its own: then that of all.
                table = t.get(own, t.get(f"{section}:all"))
                marks.append(_marks(_by_site(table, other), truth))
            found += _agreed(side, section, slice_, marks)
    return found


def _section(name: str) -> tuple[Section, str]:
    section, _, slice_ = name.partition(":")
    if section not in get_args(Section) or not slice_:
        known = ", ".join(get_args(Section))
        raise ValueError(f"{name!r} names no table SECTION:SLICE; sections: {known}")
    return cast(Section, section), slice_


def _of_table(
    section: Section, tables: Sequence[Units]
) -> Iterator[tuple[str, _Measured, Interval, int]]:
    """(direction, what is measured, mean, units) in the order of columns, random draws folded."""
    resampled = Resampled(tables)
    known = np.stack([np.isfinite(t.values).sum(0) for t in tables]).sum(0)
    groups: dict[_Measured, dict[str, int]] = {}
    for place, key in enumerate(tables[0].columns):
        column = Column.parse(key)
        what = _Measured(column.name, column.site, column.dose)
        groups.setdefault(what, {})[column.direction] = place
    for chunk in _chunks(list(groups.items())):
        places = [place for _, group in chunk for place in group.values()]
        points, slots = resampled.by_seed(places)
        at = {place: i for i, place in enumerate(places)}
        drawn = {what: [at[p] for name, p in group.items() if _DRAW.fullmatch(name)]
                 for what, group in chunk}  # fmt: skip
        folded = _folded(points, slots, resampled.chosen, drawn)
        found: list[tuple[str, _Measured, _Sampled]] = []
        for what, group in chunk:
            single = {
                name: _Sampled(points[:, at[p]], slots[..., at[p]], int(known[p]))
                for name, p in group.items()
                if at[p] not in drawn[what]
            }
            found += [(name, what, one) for name, one in single.items()]
            if what not in folded:
                continue
            mine = [places[i] for i in drawn[what]]
            units = sum(int(np.isfinite(t.values[:, mine]).any(1).sum()) for t in tables)
            mean, most = (one._replace(units=units) for one in folded[what])
            found.append((RANDOM, what, mean))
            if len(mine) > 1:
                found.append((LARGEST, what, most))
            if what.site == CHOSEN and HEADLINE.get(section) == what.name:
                over = what._replace(name=OVER_RANDOM)
                for name, one in single.items():
                    gap = _Sampled(one.points - mean.points, one.slots - mean.slots, one.units)
                    found.append((name, over, gap))
        intervals = over_seeds(np.stack([s.points for *_, s in found], 1),
                               np.stack([s.slots for *_, s in found], 2))  # fmt: skip
        for (name, what, sampled), interval in zip(found, intervals, strict=True):
            yield name, what, interval, sampled.units


def _chunks(
    groups: Sequence[tuple[_Measured, dict[str, int]]],
) -> Iterator[list[tuple[_Measured, dict[str, int]]]]:
    """Groups whole, in portions of about `_CHUNK` columns, which bound the memory."""
    part: list[tuple[_Measured, dict[str, int]]] = []
    for group in groups:
        part.append(group)
        if sum(len(g) for _, g in part) >= _CHUNK:
            yield part
            part = []
    if part:
        yield part


def _folded(
    points: Floats, slots: Floats, chosen: NDArray[np.int64],
    drawn: Mapping[_Measured, Sequence[int]],
) -> dict[_Measured, tuple[_Sampled, _Sampled]]:  # fmt: skip
    """Of columns that are random draws, the mean one and each seed's largest; without units.

    A resample draws directions, with replacement, in every slot.
    """
    found: dict[_Measured, tuple[_Sampled, _Sampled]] = {}
    by_count: dict[int, list[_Measured]] = {}
    for what, places in drawn.items():
        by_count.setdefault(len(places), []).append(what)
    for count, whats in by_count.items():
        if not count:
            continue
        index = np.array([drawn[what] for what in whats])
        here, there = points[:, index], slots[:, :, index]
        weights = _weights(count, *slots.shape[:2])[:, :, None]
        means = nanmean(here, 2), nanmean(there, 3, weights)
        best = np.argmax(np.where(np.isfinite(here), here, -np.inf), axis=2)
        most = (np.take_along_axis(here, best[..., None], 2)[..., 0],
                np.take_along_axis(there, best[chosen][..., None], 3)[..., 0])  # fmt: skip
        for g, what in enumerate(whats):
            mean, largest = (_Sampled(p[:, g], s[..., g], 0) for p, s in (means, most))
            found[what] = mean, largest
    return found


@cache
def _weights(draws: int, resamples: int, slots: int) -> Floats:
    """How often each draw is taken in every slot [B, S, draws], alike for all columns."""
    rng = generator(0, "random directions", str(draws))
    taken = rng.multinomial(draws, np.full(draws, 1 / draws), size=(resamples, slots))
    return taken.astype(np.float64)


def _by_site(table: Units | None, name: str) -> dict[tuple[str, float | None], dict[str, float]]:
    """(direction, dose) → site → mean over units of the columns `name`; cells alone."""
    found: dict[tuple[str, float | None], dict[str, float]] = {}
    if table is None or not table.columns:
        return found
    means = nanmean(table.values, 0)
    for key, mean in zip(table.columns, means, strict=True):
        column = Column.parse(key)
        if column.name == name and column.site not in ("", CHOSEN) and np.isfinite(mean):
            found.setdefault((column.direction, column.dose), {})[column.site] = float(mean)
    return found


def _marks(
    values: Mapping[tuple[str, float | None], Mapping[str, float]], truth: Mapping[str, float]
) -> dict[tuple[str, float | None], tuple[float, int]]:
    """(direction, dose) → (rank correlation with `truth`, number of common sites)."""
    found = {}
    for key, by_site in values.items():
        sites = [s for s in by_site if s in truth]
        a, b = (np.array([m[s] for s in sites]) for m in (by_site, truth))
        told = len(sites) >= _LEAST_SITES and np.ptp(a) > 0 and np.ptp(b) > 0
        found[key] = (float(spearman(a, b)) if told else float("nan"), len(sites))
    return found


def _agreed(
    side: str, section: Section, slice_: str,
    marks: Sequence[Mapping[tuple[str, float | None], tuple[float, int]]],
) -> list[DirectionRow]:  # fmt: skip
    """One row a direction and dose; each seed is one unit."""
    keys = list(dict.fromkeys(k for m in marks for k in m))
    columns = {Column(AGREEMENT, d, "", dose).key: (d, dose) for d, dose in keys}
    if not columns:
        return []
    lacking = (float("nan"), 0)
    tables = [
        Units(("sites",), ("sites",), tuple(columns),
              np.array([[m.get(k, lacking)[0] for k in columns.values()]]))
        for m in marks
    ]  # fmt: skip
    found = []
    for direction, what, interval, _ in _of_table(section, tables):
        same = [k for k in keys if k[1] == what.dose and _shown_as(k[0]) == _shown_as(direction)]
        sites = sum(max((m.get(k, lacking)[1] for k in same), default=0) for m in marks)
        found.append(_row(side, section, direction, what, slice_, interval, sites))
    return found


def _shown_as(direction: str) -> str:
    return RANDOM if direction == LARGEST or _DRAW.fullmatch(direction) else direction


def _row(
    side: str, section: Section, direction: str, what: _Measured, slice_: str,
    interval: Interval, units: int,
) -> DirectionRow:  # fmt: skip
    return DirectionRow(
        side=side, section=section, direction=direction, site=what.site, name=what.name,
        slice=slice_, dose=what.dose, value=number(interval.value), low=number(interval.low),
        high=number(interval.high), units=units,
    )  # fmt: skip
