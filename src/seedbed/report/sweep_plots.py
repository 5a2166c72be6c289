"""The figure of a sweep: lines over one varied key, heat tables over two."""

from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.files import atomic_file, write_text
from seedbed.report import palette, wording
from seedbed.report.figures import Plan, render
from seedbed.report.schema import CHANCE, CONTROLS, ORACLE
from seedbed.report.sweep_reader import Shown, SweepRun
from seedbed.scoring.rows import LABELS

LINES: dict[str, Any] = {CHANCE: "--", ORACLE: (0, (6, 2)), LABELS: ":"}
_ACROSS = 3  # heat tables beside one another


def write_figure(sweep: SweepRun, panels: list[Shown]) -> Path | None:
    """Write sweep.svg and sweep.png; None where more than two keys vary."""
    plans = {1: _lines, 2: _heat}
    make = plans.get(len(sweep.keys))
    if make is None:
        return None
    svg, png, _ = render(make(sweep, panels))
    write_text(sweep.path / "sweep.svg", svg)
    with atomic_file(sweep.path / "sweep.png") as temporary:
        temporary.write_bytes(png)
    return sweep.path / "sweep.png"


def _heat(sweep: SweepRun, panels: list[Shown]) -> Plan:
    """A table for each number and finder: first key down, second across, the value as shade."""
    tables = [(shown, f) for shown in panels for f in sweep.finders(shown)
              if f not in CONTROLS or f == CHANCE]  # fmt: skip
    down, across = (sweep.values(key) for key in sweep.keys)
    columns = min(_ACROSS, len(tables))
    lines = -(-len(tables) // columns)

    def draw(figure: Any) -> None:
        axes = figure.subplots(lines, columns, squeeze=False)
        for axis in axes.flat[len(tables) :]:
            axis.set_axis_off()
        for axis, (shown, finder) in zip(axes.flat, tables, strict=False):
            _table(axis, sweep, shown, finder)
            axis.set_xticks(np.arange(len(across)) + 0.5, [str(v) for v in across], fontsize=8)
            axis.set_yticks(np.arange(len(down)) + 0.5, [str(v) for v in down], fontsize=8)
            axis.set(xlim=(0, len(across)), ylim=(len(down), 0), xlabel=sweep.keys[1],
                     ylabel=sweep.keys[0])  # fmt: skip
            axis.tick_params(length=0)
            for side in ("left", "bottom"):
                axis.spines[side].set_visible(False)
            truth, metric, slice_ = shown
            where = f"{wording.metric(metric)}, {wording.slice_words(slice_)}, {truth}"
            axis.set_title(f"{finder}\n{where}", fontsize=8.5)

    note = (
        "Value and half of its 95 % bootstrap interval over seeds and causes; shade: the value, "
        "0 to 1. Arms that stopped at the gate are named so."
    )
    title = f"{sweep.keys[0]} and {sweep.keys[1]} varied, {len(sweep.arms)} arms"
    size = (0.6 + columns * (0.9 + 0.75 * len(across)), lines * (1.0 + 0.45 * len(down)))
    return Plan("sweep", title, note, size, draw)


def _table(axis: Any, sweep: SweepRun, shown: Shown, finder: str) -> None:
    from matplotlib.patches import Rectangle

    down, across = (sweep.values(key) for key in sweep.keys)
    for arm in sweep.arms:
        i, j = (vs.index(arm.values[k]) for vs, k in zip((down, across), sweep.keys, strict=True))
        row = sweep.row(arm, finder, shown)
        value = row.value if row is not None else None
        if row is None or value is None:
            text, colour = ("stopped" if arm.stopped else wording.MISSING), "#eceff1"
        else:
            half = wording.half_width(row)
            text = wording.number(value, 2) + (f"\n±{half:.2f}" if half is not None else "")
            colour = palette.paler(palette.BLUE, float(np.clip(value, 0, 1)))
        axis.add_patch(Rectangle((j, i), 1, 1, fc=colour, ec="#fefefe", lw=1))
        # Fixed inks: shades keep their colours in the dark, so must what stands on them.
        ink = {palette.INK: "#1f242a", palette.PAPER: "#fefefe"}[palette.readable_on(colour)]
        axis.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=8, color=ink)


def _lines(sweep: SweepRun, panels: list[Shown]) -> Plan:
    """One panel a number: its value against the varied key, a line a finder, with intervals."""
    (key,) = sweep.keys
    finders = list(dict.fromkeys(f for shown in panels for f in sweep.finders(shown)))
    own = [f for f in finders if f not in CONTROLS]
    looks = {f: (palette.SERIES[i % 7], palette.MARKERS[i % 7]) for i, f in enumerate(own)}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, shown in zip(axes, panels, strict=True):
            for finder in sweep.finders(shown):
                rows = [sweep.row(arm, finder, shown) for arm in sweep.arms]
                points = [
                    (i, r) for i, r in enumerate(rows) if r is not None and r.value is not None
                ]
                colour, marker = looks.get(finder, (palette.MUTED, "."))
                style = {"color": colour, "lw": 1.4, "ls": LINES.get(finder, "-")}
                axis.plot([i for i, _ in points], [r.value for _, r in points],
                          marker=marker, ms=4.5, label=finder, **style)  # fmt: skip
                for i, r in points:
                    if r.low is not None and r.high is not None and finder not in CONTROLS:
                        axis.plot([i, i], [r.low, r.high], color=colour, lw=0.9, alpha=0.6)
            truth, metric, slice_ = shown
            axis.set_title(
                f"{wording.metric(metric)}, {wording.slice_words(slice_)}\n{truth} truth"
            )
            axis.set_xticks(range(len(sweep.arms)), [str(a.values[key]) for a in sweep.arms])
            axis.set_xlabel(key)
        handles: dict[str, Any] = {}
        for axis in axes:
            lines, labels = axis.get_legend_handles_labels()
            handles.update(zip(labels, lines, strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=8,
                      frameon=False)  # fmt: skip

    note = (
        "Bars: 95 % bootstrap intervals over seeds and causes. Grey: controls (dashed chance, long "
        "dashes oracle or ceiling, dotted labels). Arms that stopped at the gate have no point."
    )
    title = f"{key} varied, {len(sweep.arms)} arms"
    return Plan("sweep", title, note, (2.4 + 2.9 * len(panels), 3.4), draw)
