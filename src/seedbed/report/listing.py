"""`seedbed runs`: many runs a line each with their best finder, and several side by side.

Tables fit 100 columns; every score has its interval and stands beside chance.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seedbed.core.config import read_yaml
from seedbed.report import wording
from seedbed.report.schema import CONTROLS
from seedbed.report.site_entries import Entry, Number, leading_metric, noun, standing_order
from seedbed.runs.summary import Line, Summary
from seedbed.runs.wanted import Wanted

_ABREAST = 4
"""So many runs stand side by side in 100 columns."""
_NAME = 32
_REASONS = 8
_KEYS = 40
EVERYTHING = Wanted()


def list_runs(
    runs: Sequence[Summary], root: Path, console: Console, wanted: Wanted = EVERYTHING
) -> None:
    """Print a line a run, then why some have no scores.

    A line shows the best finder, or the best of those that `wanted` names.
    """
    which = "finder" if wanted.finder else "best finder"
    table = _table("run", "world", "seeds", which, "score, 95 %", "chance", "started")
    longest = max((len(run.folder.relative_to(root).as_posix()) for run in runs), default=0)
    table.columns[0].overflow, table.columns[0].min_width = "fold", min(longest, _NAME)
    table.columns[3].overflow = "fold"
    table.columns[2].justify = table.columns[5].justify = "right"
    for column in table.columns[1:]:
        column.no_wrap = True
    table.columns[3].no_wrap = False
    for run in runs:
        lead = _lead(Entry(run, ""), wanted)
        line = lead.line if lead is not None else None
        cells: list[str | Text]
        if line is not None:
            name = f"{line.finder}, {_short(line)}"
            cells = [name, wording.measured(line.value, line.low, line.high),
                     wording.number(line.chance, 2)]  # fmt: skip
        else:
            told = "no scores" if run.state == "finished" else run.state
            cells = [Text(told, "yellow"), "", ""]
        place = run.folder.relative_to(root).as_posix()
        seeds = wording.MISSING if not run.seeds else str(len(run.seeds))
        world = run.world.rpartition(":")[2]
        table.add_row(Text(place), world, seeds, *cells, run.started[:10])
    console.print(table)
    told_of = [r for r in runs if r.state != "finished"]
    for run in told_of[:_REASONS]:
        place = run.folder.relative_to(root).as_posix()
        console.print(Text(f"{place} is {run.state}: {run.reason}", style="dim"))
    if len(told_of) > _REASONS:
        rest = wording.plural(len(told_of) - _REASONS, "run")
        console.print(Text(f"… and {rest} without scores", style="dim"))


def _lead(entry: Entry, wanted: Wanted) -> Number | None:
    """The leading number of a run, or of the finder that is wanted."""
    if not wanted.finder:
        return entry.lead
    numbers = (n for part in entry.parts for n in entry.leads(*part))
    return next((n for n in numbers if wanted.names(n.line.finder, n.line.kind)), None)


def compare_runs(runs: Sequence[Summary], console: Console) -> None:
    """Print what differs in several runs' configurations, then their leading scores abreast."""
    letters = [chr(ord("A") + i) if i < 26 else f"#{i + 1}" for i in range(len(runs))]
    console.print()
    for letter, run in zip(letters, runs, strict=True):
        told = f"{run.state}, seedbed {run.version or '?'}, code {run.code[:8] or '?'}"
        line = Text.assemble((f"{letter} ", "bold"), f"{run.folder}  ", (told, "dim"))
        console.print(line)
        if run.state != "finished":
            console.print(Text(f"  {run.reason}", style="dim"))
    console.print()
    _print_configs(runs, letters, console)
    entries = [Entry(run, "") for run in runs]
    parts = dict.fromkeys(part for entry in entries for part in entry.parts)
    for sites, truth in parts:
        numbers = [e.parts.get((sites, truth), []) for e in entries]
        metric = leading_metric(sites, truth, {n.line.metric for own in numbers for n in own})
        leads = [{n.line.finder: n for n in own if n.line.metric == metric} for own in numbers]
        first = {f: n for lead in reversed(leads) for f, n in lead.items()}
        names = sorted(first, key=lambda f: standing_order(first[f]))
        title = f"{wording.metric(metric)} on {noun(sites)}, {truth} truth"
        console.print(Text(title, style="bold"))
        having = [i for i, lead in enumerate(leads) if lead]
        for start in range(0, len(having), _ABREAST):
            some = having[start : start + _ABREAST]
            table = _table("finder", *(letters[i] for i in some))
            for column in table.columns[1:]:
                column.justify, column.no_wrap = "right", True
            for name in names:
                lines = [leads[i][name].line if name in leads[i] else None for i in some]
                table.add_row(name, *(_cell(line, leads[0].get(name)) for line in lines))
            chances = [next((n.line.chance for n in leads[i].values()), None) for i in some]
            if not any(name == "chance" for name in names):
                table.add_row("chance", *(wording.number(c) for c in chances))
            console.print(table)
    console.print(Text("± half of the 95 % interval · ≠ the interval does not touch A's",
                       style="dim"))  # fmt: skip


def _print_configs(runs: Sequence[Summary], letters: Sequence[str], console: Console) -> None:
    changed = differing([read_yaml(run.folder / "config.yaml") for run in runs])
    if not changed:
        console.print(Text("The configurations are the same.\n"))
    else:
        console.print(Text(f"configuration: {wording.plural(len(changed), 'key')} differ", "bold"))
    for start in range(0, len(runs), _ABREAST) if changed else ():
        table = _table("key", *letters[start : start + _ABREAST])
        for column in table.columns:
            column.overflow = "fold"
        for key, values in list(changed.items())[:_KEYS]:
            table.add_row(Text(key), *(Text(str(v)) for v in values[start : start + _ABREAST]))
        console.print(table)
    if len(changed) > _KEYS:
        console.print(Text(f"… and {len(changed) - _KEYS} more keys", style="dim"))


def differing(configs: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Flattened keys whose value is not the same in all, with the value in each."""
    # Takes what reads whole runs, and with it scipy, a second that a list need not wait for.
    from seedbed.report.compare import ABSENT, flatten

    flat = [flatten(config) for config in configs]
    keys = dict.fromkeys(key for one in flat for key in one)
    every = {key: [one.get(key, ABSENT) for one in flat] for key in keys}
    return {k: v for k, v in every.items() if any(value != v[0] for value in v)}


def _cell(line: Line | None, first: Any) -> Text:
    if line is None or line.value is None:
        return Text(wording.MISSING, style="dim")
    text = wording.number(line.value)
    if line.finder in CONTROLS or line.low is None or line.high is None:
        return Text(text)
    text += f" ± {wording.number((line.high - line.low) / 2)}"
    a = first.line if first is not None else None
    apart = (
        a is not None
        and a.low is not None
        and a.high is not None
        and (line.low > a.high or line.high < a.low)
    )
    return Text(f"{text} ≠" if apart else text, style="bold" if apart else "")


def _short(line: Line) -> str:
    return {"average_precision": "AP", "roc_auc": "AUC"}.get(line.metric, line.metric)


def _table(*heads: str) -> Table:
    return Table(
        *heads, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False,
        header_style="dim",
    )  # fmt: skip
