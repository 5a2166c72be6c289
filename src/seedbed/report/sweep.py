"""A sweep as tables and a figure: how each finder's marks move with the key that was varied.

Reads sweep.json only; arms that stopped at the gate are named with their reason.
"""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from seedbed.core.errors import InputError
from seedbed.core.files import atomic_file, read_json, write_text
from seedbed.report import palette, wording
from seedbed.report.figures import Plan, render
from seedbed.report.leading import called
from seedbed.report.schema import CHANCE, CONTROLS, ORACLE, Score
from seedbed.scoring.rows import LABELS

LINES: dict[str, Any] = {CHANCE: "--", ORACLE: (0, (6, 2)), LABELS: ":"}
SHOWN = (
    ("declared", "average_precision", "all"),
    ("declared", "roc_auc", "hop>=1"),
    ("measured", "lds", "all"),
    ("declared", "trained_auc", "all"),
)


class SweepRun:
    """The folder of a sweep. Raises InputError if `path` is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "sweep.json").is_file():
            raise InputError(f"{path}: not a finished sweep, there is no sweep.json in it")
        read = read_json(path / "sweep.json")
        self.key: str = read["key"]
        self.arms: list[dict[str, Any]] = read["arms"]
        self.rows = [(row["arm"], Score.model_validate(row)) for row in read["rows"]]

    def row(self, arm: Any, finder: str, truth: str, metric: str, slice_: str) -> Score | None:
        """One number of one arm."""
        wanted = (finder, truth, metric, slice_)
        return next((r for a, r in self.rows if a == arm and r.key == wanted), None)

    def finders(self, truth: str, metric: str, slice_: str) -> list[str]:
        """Finders with such a row in some arm, controls last."""
        found = [
            r.finder
            for _, r in self.rows
            if (r.truth, r.metric, r.slice) == (truth, metric, slice_) and r.value is not None
        ]
        names = list(dict.fromkeys(found))
        return [n for n in names if n not in CONTROLS] + [n for n in CONTROLS if n in names]


def show_sweep(folder: Path, console: Console) -> None:
    """Print a table for each headline number and write sweep.svg and sweep.png."""
    sweep = SweepRun(folder)
    for arm in sweep.arms:
        if arm["stopped"]:
            console.print(Text(f"{sweep.key} = {arm['value']}: {arm['stopped']}", style="yellow"))
    panels = [shown for shown in SHOWN if sweep.finders(*shown)]
    for shown in panels:
        table = _table(sweep, *shown)
        wide = Measurement.get(console, console.options.update(width=1000), table).maximum
        console.print(_table(sweep, *shown, spread=False) if wide > console.width else table)
    if panels:
        console.print(f"Figure: {write_figure(sweep, panels)}", soft_wrap=True)


def _table(sweep: SweepRun, truth: str, metric: str, slice_: str, spread: bool = True) -> Table:
    title = f"{sweep.key} · {truth} truth · {wording.metric(metric)} · {slice_}"
    table = Table(
        title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("finder", no_wrap=True)
    for arm in sweep.arms:
        table.add_column(str(arm["value"]), justify="right", no_wrap=True)
    for finder in sweep.finders(truth, metric, slice_):
        cells = []
        for arm in sweep.arms:
            row = sweep.row(arm["value"], finder, truth, metric, slice_)
            if row is None or row.value is None:
                cells.append("stopped" if arm["stopped"] else wording.MISSING)
                continue
            half = wording.half_width(row) if spread else None
            cells.append(f"{row.value:.3f}" + (f" ±{half:.3f}" if half is not None else ""))
        table.add_row(called(finder, truth), *cells, style="dim" if finder in CONTROLS else None)
    return table


def write_figure(sweep: SweepRun, panels: list[tuple[str, str, str]]) -> Path:
    """One panel a number: its value against the varied key, a line a finder, with intervals."""
    arms = [arm["value"] for arm in sweep.arms]
    finders = list(dict.fromkeys(f for shown in panels for f in sweep.finders(*shown)))
    own = [f for f in finders if f not in CONTROLS]
    looks = {f: (palette.SERIES[i % 7], palette.MARKERS[i % 7]) for i, f in enumerate(own)}

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, shown in zip(axes, panels, strict=True):
            for finder in sweep.finders(*shown):
                rows = [sweep.row(arm, finder, *shown) for arm in arms]
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
            axis.set_xticks(range(len(arms)), [str(a) for a in arms])
            axis.set_xlabel(sweep.key)
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
    plan = Plan("sweep", f"{sweep.key} varied, {len(arms)} arms", note,
                (2.4 + 2.9 * len(panels), 3.4), draw)  # fmt: skip
    svg, png, _ = render(plan)
    write_text(sweep.path / "sweep.svg", svg)
    with atomic_file(sweep.path / "sweep.png") as temporary:
        temporary.write_bytes(png)
    return sweep.path / "sweep.png"
