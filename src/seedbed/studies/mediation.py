"""mediation.json: the tables that patching left for every seed, as numbers with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from seedbed.core.files import write_json
from seedbed.core.mediation import Measurement, Section
from seedbed.core.sites import Claim
from seedbed.core.units import Units, load_units
from seedbed.scoring.agreement import agreements
from seedbed.scoring.intervals import Interval
from seedbed.scoring.rows import number
from seedbed.scoring.units import Resampled

FILE = "mediation.json"
TOTAL = "total"


def report(folder: Path, seeds: Sequence[int], claims: Mapping[int, Sequence[str]]) -> None:
    """Write mediation.json from seeds/*/mediation/tables.npz and the claims about cells."""
    here = [folder / "seeds" / str(seed) for seed in seeds]
    tables = [load_units(path / "mediation" / "tables.npz") for path in here]
    rows = []
    for name in dict.fromkeys(n for t in tables for n in t):
        # A seed may lack a table: none of its interchange trials can tell anything.
        rows += measurements(name, [t[name] for t in tables if name in t])
    maps = [n for n in tables[0] if n.startswith("map:")] if claims else []
    for outcome in dict.fromkeys(n.partition(":")[2] for n in maps):
        named = {
            n: [Claim.load(path / f"find-{n}" / "claim.npz") for path in here]
            for n in claims[seeds[0]]
        }
        cells = [_cells(t[f"map:{outcome}"], i, named) for i, t in enumerate(tables)]
        rows += measurements(f"agreement:{outcome}", agreements(named, cells))
    write_json(folder / FILE, [row.model_dump(mode="json") for row in rows])


def measurements(name: str, tables: Sequence[Units]) -> list[Measurement]:
    """One row a column; `name` is SECTION:OUTCOME, a column NAME or NAME CELL.

    Where a table has a column `total`, the others are shares of it.
    """
    section, _, outcome = name.partition(":")
    # A seed may lack a column, such as a place that its lists do not reach.
    columns = tuple(dict.fromkeys(c for t in tables for c in t.columns))
    filled = [_with(t, columns) for t in tables]
    resampled = Resampled(filled)
    shares = TOTAL in columns
    intervals = resampled.ratios(TOTAL) if shares else resampled.means()
    counts = [
        sum(int(np.isfinite(t.values[:, c]).sum()) for t in filled) for c in range(len(columns))
    ]
    rows = []
    for column, interval, units in zip(columns, intervals, counts, strict=True):
        if shares and column == TOTAL:
            continue
        what, _, cell = column.partition(" ")
        rows.append(_row(cast(Section, section), outcome, what, cell, interval, units))
    if shares and section == "effects":
        place = columns.index(TOTAL)
        total = resampled.means()[place]
        rows.insert(0, _row("total", outcome, TOTAL, "", total, counts[place]))
    return rows


def _row(
    section: Section, outcome: str, what: str, cell: str, interval: Interval, units: int
) -> Measurement:
    return Measurement(
        section=section, outcome=outcome, name=what, cell=cell, value=number(interval.value),
        low=number(interval.low), high=number(interval.high), units=units,
    )  # fmt: skip


def _with(table: Units, columns: Sequence[str]) -> Units:
    place = {c: i for i, c in enumerate(table.columns)}
    values = np.column_stack([table.values, np.full(len(table.units), np.nan)])
    return Units(
        table.units, table.causes, tuple(columns), values[:, [place.get(c, -1) for c in columns]]
    )


def _cells(table: Units, seed: int, claims: Mapping[str, Sequence[Claim]]) -> Units:
    """The indirect effects of a map at the cells that its seed's claims speak of, columns named
    by cell.
    """
    known = set(next(iter(claims.values()))[seed].sites)
    kept = [c for c in table.columns if c.partition(" ")[2] in known]
    found = table.among(kept)
    return Units(found.units, found.causes, tuple(c.partition(" ")[2] for c in kept), found.values)
