"""The figures of a mediation: effects by place and depth, and the running state.

Every function returns (title, note, size in inches, draw), or None without data for it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seedbed.core.cells import Cell
from seedbed.core.mediation import Measurement
from seedbed.report import palette, wording
from seedbed.report.mediation import BEHIND, OUTCOMES, Mediation, edge_words, groups_of
from seedbed.report.reader import Run

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
Panel = tuple[str, str, list[Cell], dict[Cell, Measurement]]
_ROW, _TEXT_ROWS = 0.3, 16
_STREAMS = {"attn_out": "Attention output", "mlp_out": "MLP output", "head": "Heads"}


def effects(run: Run) -> Made | None:
    """A panel for the indirect and the direct effect of each stream: depth × place."""
    if not run.mediation:
        return None
    found = Mediation(run.mediation)
    panels = _panels(found)
    if not panels:
        return None
    groups = groups_of([c for _, _, cells, _ in panels for c in cells])
    tall = [len(found.edges(cells)) for _, _, cells, _ in panels]
    shown = max(tall)
    row = _ROW if shown <= _TEXT_ROWS else 0.13
    lines = [panels[i : i + 2] for i in range(0, len(panels), 2)]
    heights = [max(len(found.edges(p[2])) for p in line) * row + 0.75 for line in lines]

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(lines), 2, squeeze=False, height_ratios=heights)
        mesh = None
        for line, pair in zip(lines, axes, strict=True):
            for panel, axis in zip(line, pair, strict=False):
                mesh = _draw(axis, panel, groups, found, shown <= _TEXT_ROWS)
            for axis in pair[len(line) :]:
                axis.set_axis_off()
        bar = figure.colorbar(mesh, ax=axes, fraction=0.02, pad=0.02)
        bar.set_label("Share of the total effect")
        bar.outline.set_visible(False)

    total = found.one("total", "total", found.lead)
    note = (
        f"{wording.plural(len(run.seeds), 'seed')}, "
        f"{wording.plural(total.units if total else 0, 'pair')} of questions that differ in one "
        f"item; outcome: {OUTCOMES.get(found.lead, found.lead)}. Indirect: the cell alone is taken "
        "from the corrupt run (noising); direct: everything but the cell (from denoising). Ratios "
        "of means; intervals stand in the tables. +1: the item after the swapped one; before and "
        "later: the effects of all such items, each alone, added up."
    )
    return _title(found), note, (9.2, sum(heights) + 0.4), draw


def _panels(found: Mediation) -> list[Panel]:
    panels: list[Panel] = []
    for name in ("indirect", "direct"):
        rows = found.of("effects", name)
        mine = {c: r for c, r in rows.items() if c.stream in BEHIND}
        if mine:
            panels.append((f"Residual stream, {name}", name, list(mine), mine))
    rows = found.of("effects", "indirect")
    for stream, words in _STREAMS.items():
        mine = {c: r for c, r in rows.items() if c.stream == stream}
        if mine:
            panels.append((f"{words}, indirect", "indirect", list(mine), mine))
    return panels


def _draw(axis: Any, panel: Panel, groups: Sequence[str], found: Mediation, texts: bool) -> Any:
    title, _, cells, rows = panel
    edges = found.edges(cells)[::-1]
    by_place = {(c.stream, c.layer, c.head, c.place): r.value for c, r in rows.items()}
    values = np.array(
        [[by_place.get((e.stream, e.layer, e.head, g)) for g in groups] for e in edges],
        dtype=float,
    )
    mesh = axis.pcolormesh(
        np.ma.masked_invalid(values), cmap=palette.diverging(), vmin=-1, vmax=1, lw=0,
        rasterized=values.size > 2500,
    )  # fmt: skip
    axis.set_title(title)
    axis.set(xlim=(0, len(groups)), ylim=(0, len(edges)))
    axis.set_xticks(np.arange(len(groups)) + 0.5, groups, rotation=45, ha="right", fontsize=8)
    step = 1 if texts else max(1, len(edges) // 15)
    ticks = list(range(0, len(edges), step))
    names = [
        edge_words(edges[i]).replace("attention of ", "").replace("MLP of ", "") for i in ticks
    ]
    axis.set_yticks(np.array(ticks) + 0.5, names, fontsize=8)
    axis.tick_params(length=0, pad=2)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)
    if texts:
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value) and abs(value) >= 0.005:
                # Fixed colours: cells keep theirs in the dark, so must what stands on them.
                colour = "#fefefe" if abs(value) > 0.6 else "#1f242a"
                axis.text(j + 0.5, i + 0.5, f"{value:.2f}", ha="center", va="center",
                          fontsize=7.5, color=colour)  # fmt: skip
    return mesh


def _title(found: Mediation) -> str:
    cells = {c: r for c, r in found.of("effects", "indirect").items() if c.stream in BEHIND}
    swapped = [e for e in found.edges(list(cells)) if _leads(cells, e, "swapped")]
    last = [e for e in found.edges(list(cells)) if _leads(cells, e, "last")]
    if swapped and last:
        return (
            "The effect of a swapped item sits at the item up to what goes "
            f"{edge_words(swapped[-1])} and at the last place from what goes "
            f"{edge_words(last[0])} on."
        )
    return "Indirect effects of a swapped item by place and depth."


def _leads(cells: dict[Cell, Measurement], edge: Cell, place: str) -> bool:
    here = {c.place: r.value or 0.0 for c, r in cells.items()
            if (c.stream, c.layer) == (edge.stream, edge.layer)}  # fmt: skip
    return bool(here) and max(here, key=lambda p: abs(here[p])) == place


def running(run: Run) -> Made | None:
    """By depth: what an item's state does to the answer, what the last place's does, probes."""
    found = Mediation(run.mediation) if run.mediation else None
    if found is None or not found.of("interchange", "running"):
        return None
    panels = [
        ("One item from a donor", "item", [
            ("interchange", "nothing", "no change"), ("interchange", "membership", "own part"),
            ("interchange", "running", "running state"), ("interchange", "other", "other")]),
        ("Last place from a donor", "last", [
            ("interchange", "nothing", "no change"), ("interchange", "answer", "donor's answer"),
            ("interchange", "other", "other")]),
        ("Probe of the running state", "item", [
            ("probes", "probe", "probe"), ("probes", "shuffled", "shuffled labels")]),
    ]  # fmt: skip
    edges = found.edges(list(found.of("interchange", "running")))

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(panels), sharey=True)
        for axis, (title, place, lines) in zip(axes, panels, strict=True):
            for i, (section, name, label) in enumerate(lines):
                rows = {(c.stream, c.layer): r for c, r in found.of(section, name).items()
                        if c.place == place}  # fmt: skip
                points = [(x, rows[e.stream, e.layer]) for x, e in enumerate(edges)
                          if (e.stream, e.layer) in rows]  # fmt: skip
                _line(axis, points, i, label)
            number = found.one("probes", "number") if title.startswith("Probe") else None
            if number is not None and number.value is not None:
                axis.axhline(number.value, color=palette.MUTED, ls=(0, (4, 3)), lw=1,
                             label="item's number alone")  # fmt: skip
            axis.set_title(title)
            axis.set(ylim=(-0.03, 1.03), xlabel="Residual stream")
            step = max(1, len(edges) // 8)
            ticks = list(range(0, len(edges), step))
            names = [
                "out" if edges[i].stream == "resid_post" else f"{edges[i].layer}" for i in ticks
            ]
            axis.set_xticks(ticks, names)
            axis.grid(axis="y")
            axis.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=2,
                        labelcolor=palette.INK)  # fmt: skip
        axes[0].set_ylabel("Share of trials (probe: of items)")

    units = max(r.units for r in found.of("interchange", "running").values())
    note = (
        f"{wording.plural(units, 'trial')} at items; 95 % intervals over seeds and causes. x: into "
        "block 0, 1, …, and out of the last. Trials at items count only if no change, the item's "
        "own part and the running state predict three different answers."
    )
    return _running_title(found), note, (9.2, 3.7), draw


def _running_title(found: Mediation) -> str:
    rows = [r for c, r in found.of("interchange", "running").items() if c.place == "item"]
    best = max((r.value or 0.0 for r in rows), default=0.0)
    read = max((r.value or 0.0 for r in found.of("probes", "probe").values()), default=None)
    said = "The answer follows a running state put into an item in at most "
    said += f"{100 * best:.0f} % of trials"
    return (
        f"{said}; a probe reads it in {100 * read:.0f} % of items."
        if read is not None
        else f"{said}."
    )


def _line(axis: Any, points: Sequence[tuple[int, Measurement]], i: int, label: str) -> None:
    known = [(x, r) for x, r in points if r.value is not None]
    if not known:
        return
    colour = palette.SERIES[i % len(palette.SERIES)]
    xs = [x for x, _ in known]
    axis.plot(xs, [r.value for _, r in known], color=colour, lw=1.6,
              marker=palette.MARKERS[i % len(palette.MARKERS)], ms=4, label=label)  # fmt: skip
    low = [r.low if r.low is not None else r.value for _, r in known]
    high = [r.high if r.high is not None else r.value for _, r in known]
    axis.vlines(xs, low, high, color=colour, lw=1)
