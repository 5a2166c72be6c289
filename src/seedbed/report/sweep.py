"""A sweep as tables and a figure: how each finder's marks move with the keys that were varied.

Reads sweep.json only; arms that stopped at the gate are named with their reason.
"""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from seedbed.report import wording
from seedbed.report.leading import called
from seedbed.report.schema import CONTROLS
from seedbed.report.sweep_plots import write_figure
from seedbed.report.sweep_reader import SHOWN, Arm, Shown, SweepRun


def show_sweep(folder: Path, console: Console) -> None:
    """Print a table for each headline number and write sweep.svg and sweep.png."""
    sweep = SweepRun(folder)
    for arm in sweep.arms:
        if arm.stopped:
            console.print(Text(f"{arm.words}: {arm.stopped}", style="yellow"))
    panels = [shown for shown in SHOWN if sweep.finders(shown)]
    make = _across if len(sweep.keys) == 1 else _down
    for shown in panels:
        table = make(sweep, shown)
        wide = Measurement.get(console, console.options.update(width=1000), table).maximum
        console.print(make(sweep, shown, spread=False) if wide > console.width else table)
    if panels and (path := write_figure(sweep, panels)) is not None:
        console.print(f"Figure: {path}", soft_wrap=True)


def _titled(sweep: SweepRun, shown: Shown) -> Table:
    truth, metric, slice_ = shown
    title = f"{' × '.join(sweep.keys)} · {truth} truth · {wording.metric(metric)} · {slice_}"
    return Table(
        title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )


def _across(sweep: SweepRun, shown: Shown, spread: bool = True) -> Table:
    """One key: a row a finder, a column an arm."""
    table = _titled(sweep, shown)
    table.add_column("finder", no_wrap=True)
    for arm in sweep.arms:
        table.add_column(str(arm.values[sweep.keys[0]]), justify="right", no_wrap=True)
    for finder in sweep.finders(shown):
        cells = [_cell(sweep, arm, finder, shown, spread) for arm in sweep.arms]
        style = "dim" if finder in CONTROLS else None
        table.add_row(called(finder, shown[0]), *cells, style=style)
    return table


def _down(sweep: SweepRun, shown: Shown, spread: bool = True) -> Table:
    """Several keys: a row an arm, a column a key and then a finder."""
    table = _titled(sweep, shown)
    for key in sweep.keys:
        table.add_column(key.rpartition(".")[2], no_wrap=True)
    finders = sweep.finders(shown)
    for finder in finders:
        style = "dim" if finder in CONTROLS else None
        table.add_column(called(finder, shown[0]), justify="right", no_wrap=True, style=style)
    for arm in sweep.arms:
        cells = [_cell(sweep, arm, finder, shown, spread) for finder in finders]
        table.add_row(*(str(v) for v in arm.values.values()), *cells)
    return table


def _cell(sweep: SweepRun, arm: Arm, finder: str, shown: Shown, spread: bool) -> str:
    row = sweep.row(arm, finder, shown)
    if row is None or row.value is None:
        return "stopped" if arm.stopped else wording.MISSING
    half = wording.half_width(row) if spread else None
    return f"{row.value:.3f}" + (f" ±{half:.3f}" if half is not None else "")
