"""`seedbed show RUN`: the verdict, then tables that fit 100 columns.

Controls stand in a section of their own; `≈` marks an interval that holds the chance level.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from seedbed.core.errors import InputError
from seedbed.report import wording
from seedbed.report.columns import Column, main_columns, prices, trained_columns
from seedbed.report.grids import printed
from seedbed.report.leading import BY_HOP, DECLARED, MEASURED, called, top_name
from seedbed.report.reader import Run
from seedbed.report.retraining import bank_line
from seedbed.report.schema import CONTROLS, Score
from seedbed.report.sections import sections
from seedbed.report.verdict import findings, headline

_STYLE = {"good": "green", "bad": "yellow", "plain": "cyan"}
_MARK = {"above": "", "level": "≈", "below": "↓", "unknown": ""}
_HOPS = 3


def show(
    run: Path,
    console: Console,
    metric: str | None = None,
    slice_: str | None = None,
    truth: str | None = None,
) -> None:
    """Print a run: everything, or only the rows of a metric, a slice, a truth.

    Raises InputError if `run` is not a finished run folder, or a name stands in no row of it.
    """
    opened = Run(run)
    check_known(run, "truth", truth, opened.truths)
    for noun, name, known in (
        ("metric", metric, opened.metrics if truth is None else opened.metrics_of(truth)),
        ("slice", slice_, opened.slices),
    ):
        check_known(run, noun, name, known)
    if metric is None and slice_ is None:
        print_verdict(opened, console)
    for one in [truth] if truth else opened.truths:
        for table in tables_of(opened, one, metric, slice_, console):
            console.print(table)
        if one == MEASURED and metric is None:
            console.print(Text(bank_line(opened), style="dim"), soft_wrap=False)
            console.print()
    if metric is None and slice_ is None:
        print_grids(opened, console)
        if opened.missing:
            console.print(missing_table(opened))
        console.print(gate_table(opened))
        if opened.excluded:
            console.print(excluded_table(opened))
    if opened.scores:
        console.print(
            Text("± half of the 95 % interval · ≈ level with chance · ↓ below chance", style="dim")
        )
        for names in opened.shared:
            told = f"one piece of work, whose whole cost stands at each: {wording.listed(names)}"
            console.print(Text(told, style="dim"))


def print_grids(run: Run, console: Console) -> None:
    """Print the small tables of every section; what rows are about stands once."""
    told: set[str] = set()
    for grid in (grid for section in sections(run) for grid in section.grids):
        for table in printed(grid, console.width):
            console.print(table)
        for name, about in grid.about.items():
            line = f"{name.partition(':')[0]}: {about}"
            if line not in told:
                console.print(Text(line, style="dim"))
            told.add(line)


def tables_of(
    run: Run, truth: str, metric: str | None, slice_: str | None, console: Console
) -> list[Table]:
    """The score tables for a choice of metric and slice (none if this truth has no such row);
    the main table is split where the console is too narrow for it.
    """
    rows = [r for r in run.scores if r.truth == truth and r.metric == (metric or r.metric)]
    if not any(r.slice == (slice_ or r.slice) for r in rows):
        return []
    if metric is not None and slice_ is not None:
        return [detail_table(run, truth, metric, slice_)]
    if metric is not None:
        slices = [s for s in run.slices if any(r.slice == s for r in rows)]
        parts = [slices[i : i + 5] for i in range(0, len(slices), 5)]
        return [slice_table(run, truth, metric, part) for part in parts]
    tables = _that_fit(run, truth, slice_ or "all", console)
    if truth == DECLARED and slice_ is None:
        if len(run.hops) > _HOPS:
            tables.append(slice_table(run, truth, BY_HOP, run.hops))
        if trained := trained_columns(run):
            title = f"{run.name} · trained against held-out documents"
            tables.append(_scores_table(run, truth, title, trained, costs=False))
    return tables


def _that_fit(run: Run, truth: str, slice_: str, console: Console) -> list[Table]:
    """The main table as one, or as few as the console is wide enough for."""
    blocks: list[list[Column]] = [*main_columns(run, truth, slice_, _HOPS), []]
    # Where costs need a table of their own, they stand once, under the first truth.
    alone = blocks if truth == run.truths[0] else blocks[:-1]
    halves = [[half] for block in alone for half in _halved(block)]
    wide, tables = console.options.update(width=1000), []
    for parts in ([blocks], [blocks[:1], blocks[1:]], [[block] for block in alone], halves):
        tables = [main_table(run, truth, slice_, part) for part in parts if part]
        if all(Measurement.get(console, wide, t).maximum <= console.width for t in tables):
            break
    return tables


def _halved(block: list[Column]) -> list[list[Column]]:
    middle = (len(block) + 1) // 2
    return [block[:middle], block[middle:]] if len(block) > 1 else [block]


def print_verdict(run: Run, console: Console) -> None:
    """Print the headline and the findings, wrapped."""
    console.print()
    tone = "bold yellow" if run.stopped else "bold"
    console.print(Text(headline(run), style=tone))
    for finding in findings(run):
        console.print(Text(finding.topic, style=f"bold {_STYLE[finding.tone]}"))
        for line in finding.text:
            console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    console.print()


def main_table(run: Run, truth: str, slice_: str, blocks: Sequence[Sequence[Column]]) -> Table:
    """Finders × the columns of some blocks on one slice; the empty block stands for the costs."""
    chosen = [column for block in blocks for column in block]
    title = f"{run.name} · {truth} truth · {wording.slice_words(slice_)} · {_sample(run, truth)}"
    return _scores_table(run, truth, title, chosen, costs=not all(blocks))


def _scores_table(
    run: Run, truth: str, title: str, columns: Sequence[Column], costs: bool
) -> Table:
    table = _table(title)
    table.add_column("finder", no_wrap=True, overflow="ellipsis", max_width=24)
    first = next(r for r in run.scores if r.truth == truth)
    spent = [head.removeprefix("peak ") for head in prices(first)] if costs else []
    for head in (*(c.head for c in columns), *spent):
        table.add_column(head, justify="right", no_wrap=True)
    rows = []
    for name, last in _named(run, truth):
        found = [(c, run.score(name, truth, c.metric, c.slice)) for c in columns]
        cells = [_with_spread(row) if c.spread else _short(row) for c, row in found]
        if costs:
            price = next(r for r in run.scores if r.finder == name and r.truth == truth)
            cells += [Text(wording.significant(value)) for value in prices(price).values()]
        rows.append((called(name, truth), cells, last, name in CONTROLS))
    _align([cells for _, cells, _, _ in rows])
    for row in rows:
        _add(table, *row)
    return table


def slice_table(run: Run, truth: str, metric: str, slices: Sequence[str]) -> Table:
    """Finders × slices for one metric."""
    table = _table(f"{run.name} · {truth} truth · {wording.metric(metric)} · {_sample(run, truth)}")
    table.add_column("finder", no_wrap=True, overflow="ellipsis", max_width=24)
    for name in slices:
        table.add_column(name, justify="right", no_wrap=True)
    named = [
        (n, last) for n, last in _named(run, truth)
        if any(run.score(n, truth, metric, s) for s in slices)
    ]  # fmt: skip
    rows = [[_with_spread(run.score(n, truth, metric, s)) for s in slices] for n, _ in named]
    _align(rows)
    for (name, last), cells in zip(named, rows, strict=True):
        _add(table, called(name, truth), cells, last, name in CONTROLS)
    return table


def detail_table(run: Run, truth: str, metric: str, slice_: str) -> Table:
    """Every column of the rows of one metric on one slice."""
    where = wording.slice_words(slice_)
    table = _table(f"{run.name} · {truth} truth · {wording.metric(metric)} · {where}")
    table.add_column("finder", no_wrap=True, overflow="ellipsis", max_width=22)
    top = top_name(truth, metric)
    for name in ("value", "low", "high", "chance", top, "seconds", "epochs", "MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, last in _named(run, truth):
        row = run.score(name, truth, metric, slice_)
        if row is None:
            continue
        shares = (row.value, row.low, row.high, row.chance, row.oracle)
        cells = [
            _marked(wording.number(row.value), row),
            *map(Text, map(wording.number, shares[1:])),
        ]
        cells += map(Text, map(wording.significant, (row.seconds, row.epochs, row.peak_mib)))
        _add(table, called(name, truth), cells, last, name in CONTROLS)
    return table


def gate_table(run: Run) -> Table:
    """Accuracy of each seed on each slice against the gate."""
    table = _table("gate: the lower end of the interval must reach chance + margin")
    # Only the slice gives way in a narrow terminal: who passed must be seen.
    table.add_column("slice", overflow="fold")
    for name in ("seed", "questions", "accuracy", "95 % interval", "chance", "must reach"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    slices = list(dict.fromkeys(row.slice for row in run.gate))
    for name in slices:
        rows = [row for row in run.gate if row.slice == name]
        for row in rows:
            verdict = Text("passed", "green") if row.passed else Text("failed", "bold yellow")
            if not row.required:
                verdict.append(" (not required)", "dim")
            table.add_row(
                row.slice, str(row.seed), f"{row.n:,}", f"{row.accuracy:.3f}",
                wording.interval(row.low, row.high), f"{row.chance:.2f}", f"{row.bar:.2f}", verdict,
                end_section=row is rows[-1],
            )  # fmt: skip
    return table


def missing_table(run: Run) -> Table:
    """Finders that could not run here, and why."""
    table = _table("finders that could not run here")
    table.add_column("finder", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for row in run.missing:
        table.add_row(Text(row.finder), Text(row.reason))
    return table


def excluded_table(run: Run) -> Table:
    """Questions left out, counted by reason and seed."""
    table = _table("questions left out (named in excluded.json and report.html)")
    table.add_column("reason")
    seeds = sorted({row.seed for row in run.excluded})
    for seed in seeds:
        table.add_column(f"seed {seed}", justify="right")
    for reason in dict.fromkeys(row.reason for row in run.excluded):
        counts = [sum(r.seed == s and r.reason == reason for r in run.excluded) for s in seeds]
        table.add_row(escape(reason), *map(str, counts))
    return table


def check_known(path: Path, noun: str, name: str | None, known: Sequence[str]) -> None:
    """Raise InputError with the near miss unless `name` is None or among `known`."""
    if name is None or name in known:
        return
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known) or 'none'}"
    raise InputError(f"{path}: no scores for {noun} '{name}'; {hint}")


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0), pad_edge=False, header_style="dim",
    )  # fmt: skip


def _named(run: Run, truth: str) -> list[tuple[str, bool]]:
    """Finders, then controls, each with whether a section ends after it."""
    names = run.finders(truth)
    controls = [(name, False) for name in run.controls(truth)]
    return [(name, name == names[-1]) for name in names] + controls


def _add(table: Table, name: str, cells: Sequence[Text], last: bool, control: bool) -> None:
    table.add_row(Text(name), *cells, end_section=last, style="dim" if control else None)


def _align(rows: Sequence[Sequence[Text]]) -> None:
    # A mark takes a place only in the columns that have one, so that digits stay in line.
    for column in zip(*rows, strict=True):
        if any(cell.plain.endswith(("≈", "↓")) for cell in column):
            for cell in column:
                if not cell.plain.endswith(("≈", "↓")):
                    cell.append(" ")


def _sample(run: Run, truth: str) -> str:
    seeds = {seed for row in run.scores if row.truth == truth for seed in row.seeds}
    return wording.plural(len(seeds), "seed")


def _marked(text: str, row: Score) -> Text:
    standing = "unknown" if row.finder in CONTROLS else row.standing
    style = "dim" if standing in ("level", "below") else ""
    return Text(text + _MARK[standing], style=style)


def _short(row: Score | None) -> Text:
    return Text(wording.MISSING) if row is None else _marked(wording.number(row.value), row)


def _with_spread(row: Score | None) -> Text:
    if row is None or row.value is None:
        return Text(wording.MISSING)
    half = wording.half_width(row)
    spread = f" ±{half:.3f}" if half is not None else ""
    return _marked(wording.number(row.value) + spread, row)
