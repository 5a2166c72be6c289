"""Maps of directions: what is read, patched and steered by depth × place, and cosines.

Depth runs downward in running order, so the runs of a loop follow one another.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.core.cells import Cell
from seedbed.core.selectivity import DirectionRow
from seedbed.report import palette, wording
from seedbed.report.directions import READ, STILL, Side, axis_words, edge, titled
from seedbed.report.directions_tables import anchor, dosed
from seedbed.scoring.directions import AUC, FLIPPED, RANDOM

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
Floats = NDArray[np.float64]
_ROW, _DENSE, _TEXT_ROWS, _TICKS, _SHOWN = 0.25, 0.1, 20, 16, 3
_INK, _WHITE = "#1f242a", "#fefefe"


def maps(side: Side) -> list[tuple[str, bool, Made]]:
    """(file name, whether it is folded on the page, figure): sites, then cosines."""
    found = [(anchor(side, "map"), False, _sites(side)),
             (anchor(side, "cosine"), True, _cosines(side))]  # fmt: skip
    return [(name, folded, made) for name, folded, made in found if made is not None]


def _sites(side: Side) -> Made | None:
    """What is read, a panel a direction; below, what patching, steering and random ones flip."""
    steer, dose = side.main("steering"), side.swept
    read = [(f"AUC, {d}", side.over_sites("decodable", AUC, d)) for d in side.own[:_SHOWN]]
    acts = [
        ("Patching flips", side.over_sites("patching", FLIPPED, "", side.main("patching"))),
        *((f"Steering flips, {d}", side.over_sites("steering", FLIPPED, d, steer, dose))
          for d in (side.lead, RANDOM)),
    ]  # fmt: skip
    lines = [[panel for panel in panels if panel[1]] for panels in (read, acts)]
    scales = [("AUC", (0.0, 1.0)), ("Share of questions", (-1.0, 1.0))]
    shown = [(line, *scale) for line, scale in zip(lines, scales, strict=True) if line]
    if not shown:
        return None
    sites = [s for s in side.sites if any(s in rows for line in lines for _, rows in line)]
    depths, places = _axes(sites)
    texts = len(depths) <= _TEXT_ROWS and len(places) <= 6
    height = len(depths) * (_ROW if texts else _DENSE) + 0.55
    width = max(len(line) for line in lines)

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(shown), width, sharex=True, sharey=True, squeeze=False)
        for row, (line, label, ends) in zip(axes, shown, strict=True):
            mesh = None
            for axis, (title, rows) in zip(row, line, strict=False):
                values = np.array([[_value(rows, f"{d}@{p}") for p in places] for d in depths])
                mesh = _draw(axis, values, ends, texts)
                axis.set_title(title, fontsize=9)
                axis.tick_params(labelbottom=True)
                axis.set_xticks(np.arange(len(places)) + 0.5, places, fontsize=8,
                                rotation=0 if max(map(len, places)) < 5 else 45)  # fmt: skip
            for axis in row[len(line) :]:
                axis.set_axis_off()
            _depth_axis(row[0], depths)
            bar = figure.colorbar(mesh, ax=list(row), fraction=0.025, pad=0.015)
            bar.set_label(label, fontsize=8)
            bar.ax.tick_params(labelsize=8)
            bar.ax.set_ylim(0, 1)
            bar.outline.set_visible(False)

    note = (
        f"Down: what each block takes in, in running order ({_runs_words(sites)}); across: places "
        "of the prompt. AUC of the kind of held-out questions (0.5: chance); patching: share that "
        "gives the answer of the other kind with the state of a twin of that kind; steering"
        f"{dosed(dose)} along the direction that was most selective on dev, and along random ones "
        "of the same length. Means over seeds; intervals stand in the table."
    )
    return _sites_title(side), note, (9.2, len(shown) * height + 0.3), draw


def _runs_words(sites: Sequence[str]) -> str:
    looped = any(Cell.parse(s).step is not None for s in sites)
    return "block.run, both from 0; out: what the last hands on" if looped else (
        "blocks from 0; out: what the last hands on"
    )  # fmt: skip


def _sites_title(side: Side) -> str:
    read = side.readable()
    patched = side.over_sites("patching", FLIPPED, "", side.main("patching"))
    high = [s for s, r in read.items() if (r.value or 0.0) >= READ]
    said = (f"The kind is readable at {len(high)} of {wording.plural(len(read), 'site')} "
            f"(AUC ≥ {READ:g})")  # fmt: skip
    both = [s for s in high if s in patched]
    if both:
        still = sum((patched[s].value or 0.0) <= STILL for s in both)
        said += f"; at {still} of them patching flips at most {STILL:g}"
    return titled(side, f"{said}.")


def _axes(sites: Sequence[str]) -> tuple[list[str], list[str]]:
    """(depths, places) of sites in running order."""
    depths = list(dict.fromkeys(edge(s) for s in sites))
    return depths, list(dict.fromkeys(Cell.parse(s).place for s in sites))


def _value(rows: Mapping[str, DirectionRow], site: str) -> float:
    row = rows.get(site)
    return float("nan") if row is None or row.value is None else row.value


def _draw(axis: Any, values: Floats, ends: tuple[float, float], texts: bool) -> Any:
    """A map with its first row on top."""
    mesh = axis.pcolormesh(
        np.ma.masked_invalid(values), cmap=palette.diverging(), vmin=ends[0], vmax=ends[1], lw=0,
        rasterized=values.size > 2500,
    )  # fmt: skip
    axis.set(xlim=(0, values.shape[1]), ylim=(values.shape[0], 0))
    axis.tick_params(length=0, pad=2)
    for name in ("left", "bottom"):
        axis.spines[name].set_visible(False)
    if texts:
        middle, half = (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                # Fixed colours: cells keep theirs in the dark, so must what stands on them.
                colour = _WHITE if abs(value - middle) > 0.55 * half else _INK
                axis.text(j + 0.5, i + 0.5, f"{value:.2f}", ha="center", va="center",
                          fontsize=7, color=colour)  # fmt: skip
    return mesh


def _depth_axis(axis: Any, depths: Sequence[str]) -> None:
    step = 1 if len(depths) <= _TEXT_ROWS else -(-len(depths) // _TICKS)
    ticks = list(range(0, len(depths), step))
    names = [axis_words(f"{depths[i]}@last") for i in ticks]
    axis.set_yticks(np.array(ticks) + 0.5, names, fontsize=8)
    axis.set_ylabel("Into block")


def _cosines(side: Side) -> Made | None:
    """Cosines between the leading direction at all depths, a panel a place."""
    found: dict[tuple[str, str], float] = {}
    for row in side.rows:
        first, slash, second = row.site.partition("/")
        mine = (row.section, row.direction) == ("cosine", side.lead)
        if mine and slash and row.value is not None:
            found[first, second] = found[second, first] = row.value
    named = {site for pair in found for site in pair}
    sites = [s for s in side.sites if s in named]
    depths, places = _axes(sites)
    if len(depths) < 2:
        return None
    width = 2 if len(places) == 4 else min(len(places), 3)
    lines = -(-len(places) // width)

    def draw(figure: Any) -> None:
        axes = figure.subplots(lines, width, squeeze=False, sharex=True, sharey=True)
        mesh = None
        for axis, place in zip(axes.flat, places, strict=False):
            here = [f"{d}@{place}" for d in depths]
            values = np.array([[1.0 if a == b and a in named else found.get((a, b), np.nan)
                                for b in here] for a in here])  # fmt: skip
            mesh = _draw(axis, values, (-1.0, 1.0), False)
            axis.set_title(f"at {place}", fontsize=9)
            axis.set_aspect("equal")
            ticks = list(range(0, len(depths), -(-len(depths) // 9)))
            names = [axis_words(f"{depths[i]}@last") for i in ticks]
            turn = 90 if max(map(len, names)) > 2 else 0
            axis.set_xticks(np.array(ticks) + 0.5, names, fontsize=8, rotation=turn)
            axis.set_yticks(np.array(ticks) + 0.5, names, fontsize=8)
        for axis in list(axes.flat)[len(places) :]:
            axis.set_axis_off()
        bar = figure.colorbar(mesh, ax=axes, fraction=0.025, pad=0.02)
        bar.set_label("Cosine")
        bar.outline.set_visible(False)

    note = (
        f"Cosine of {side.lead} at one depth with itself at another, in running order "
        f"({_runs_words(sites)}); mean over seeds, whose directions are made apart."
    )
    title = titled(side, _cosine_title(side, found, depths, places))
    return title, note, (1.2 + 2.5 * width, 0.4 + lines * 2.6), draw


def _cosine_title(
    side: Side, found: Mapping[tuple[str, str], float], depths: Sequence[str],
    places: Sequence[str],
) -> str:  # fmt: skip
    """How alike neighbouring depths are, and the ends."""
    pairs = list(pairwise(depths))
    near = [found[f"{a}@{p}", f"{b}@{p}"] for p in places for a, b in pairs
            if (f"{a}@{p}", f"{b}@{p}") in found]  # fmt: skip
    far = [found[f"{depths[0]}@{p}", f"{depths[-1]}@{p}"] for p in places
           if (f"{depths[0]}@{p}", f"{depths[-1]}@{p}") in found]  # fmt: skip
    said = f"{side.lead} at neighbouring depths: mean cosine {wording.number(_mean(near), 2)}"
    if far:
        said += f"; at the first and the last: {wording.number(_mean(far), 2)}"
    return f"{said}."


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
