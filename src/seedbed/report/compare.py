"""`seedbed compare RUN RUN`: what was configured differently and what came out differently.

Rows are matched on finder, truth, metric and slice; a difference counts as clear if the two
95 % intervals do not touch.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seedbed.core.files import write_json
from seedbed.core.selectivity import CHOSEN, DirectionRow
from seedbed.report import wording
from seedbed.report.gate import accuracies
from seedbed.report.leading import BY_HOP, DECLARED, LEADING
from seedbed.report.ranked import overlap
from seedbed.report.reader import Run
from seedbed.report.schema import CONTROLS, Score
from seedbed.report.tables import check_known
from seedbed.report.verdict import headline
from seedbed.scoring.directions import AUC, FLIPPED, HEADLINE, OVER_RANDOM

ABSENT = "(not there)"
DIRECTIONS = "directions"
COMPARED = (AUC, FLIPPED, HEADLINE["selectivity"], OVER_RANDOM)
"""What is compared of directions at the sites that dev chose."""
Valued = Score | DirectionRow
_SHOWN = 40


@dataclass(frozen=True)
class Change:
    """One configuration key whose value differs."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Pairing:
    """One number in both runs. `difference` is b - a; `overlap` is None without intervals."""

    finder: str
    truth: str
    metric: str
    slice: str
    a: float | None
    a_low: float | None
    a_high: float | None
    b: float | None
    b_low: float | None
    b_high: float | None
    difference: float | None
    overlap: bool | None


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side."""

    a: str
    b: str
    config: tuple[Change, ...]
    rows: tuple[Pairing, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON-able values."""
        return asdict(self)


def compare(
    a: Path,
    b: Path,
    console: Console,
    metric: str | None = None,
    slice_: str | None = None,
    json: Path | None = None,
) -> Comparison:
    """Print two runs side by side; `json` also writes every matched row to a file.

    Without `metric` and `slice_`, prints average precision by question and ROC-AUC by hop, and
    LDS by question where subjects were retrained.
    Raises InputError if either is not a finished run folder, or if the first has no such
    metric or slice.
    """
    first, second = Run(a), Run(b)
    if not first.stopped:
        check_known(a, "metric", metric, list(dict.fromkeys(r.metric for r in first.scores)))
        check_known(a, "slice", slice_, list(dict.fromkeys(r.slice for r in first.scores)))
    found = side_by_side(first, second)
    console.print()
    for name, run in (("A", first), ("B", second)):
        console.print(Text.assemble((f"{name} ", "bold"), f"{run.path}  ", (headline(run), "dim")))
    console.print(_config_table(found.config))
    if first.stopped or second.stopped:
        console.print(_gate_table(first, second))
    kinds = first.noun == "kind"
    wanted = [row for row in found.rows if _wanted(row, metric, slice_, kinds)]
    if wanted:
        for table in _rows_tables(wanted):
            console.print(table)
        console.print(Text("clear: the 95 % intervals do not touch", style="dim"))
    for name, only in (("A", found.only_a), ("B", found.only_b)):
        if only:
            console.print(Text(f"only in {name}: {wording.listed(only)}"))
    if json is not None:
        write_json(json, found.as_json())
    return found


def side_by_side(a: Run, b: Run) -> Comparison:
    """Match two runs; nothing is printed."""
    old, new = {r.key: r for r in a.scores}, {r.key: r for r in b.scores}
    names_a, names_b = ({k[0] for k in rows} - set(CONTROLS) for rows in (old, new))
    return Comparison(
        a=str(a.path),
        b=str(b.path),
        config=changes(a.config, b.config),
        rows=(
            *(_pair(key, old[key], new[key]) for key in old if key in new),
            *_directions(a, b),
        ),
        only_a=tuple(sorted(names_a - names_b)),
        only_b=tuple(sorted(names_b - names_a)),
    )


def changes(a: dict[str, Any], b: dict[str, Any]) -> tuple[Change, ...]:
    """Keys whose values differ, flattened; list entries with a kind are named, not numbered."""
    flat_a, flat_b = flatten(a), flatten(b)
    keys = list(dict.fromkeys([*flat_a, *flat_b]))
    return tuple(
        Change(key, flat_a.get(key, ABSENT), flat_b.get(key, ABSENT))
        for key in keys
        if flat_a.get(key, ABSENT) != flat_b.get(key, ABSENT)
    )


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` → `{"a.b": 1}`; a list of plain values stays one value."""
    if isinstance(value, dict) and value:
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        items = [(_entry(i, item), item) for i, item in enumerate(value)]
    else:
        return {prefix: value}
    result: dict[str, Any] = {}
    for key, item in items:
        result |= flatten(item, f"{prefix}.{key}" if prefix else key)
    return result


def _entry(index: int, item: Any) -> str:
    name = (item.get("label") or item.get("kind")) if isinstance(item, dict) else None
    return str(name or index)


def _directions(a: Run, b: Run) -> list[Pairing]:
    """What directions read and do at the sites chosen on dev, where both runs say it."""
    old, new = (
        {(f"{r.side}: {r.direction}" if r.side else r.direction, DIRECTIONS,
          f"{r.section} {r.name}", r.slice): r
         for r in run.directions if r.site == CHOSEN and r.dose is None and r.name in COMPARED}
        for run in (a, b)
    )  # fmt: skip
    return [_pair(key, old[key], new[key]) for key in old if key in new]


def _pair(key: tuple[str, str, str, str], a: Valued, b: Valued) -> Pairing:
    known = None not in (a.low, a.high, b.low, b.high)
    both = a.value is not None and b.value is not None
    return Pairing(
        *key,
        a=a.value,
        a_low=a.low,
        a_high=a.high,
        b=b.value,
        b_low=b.low,
        b_high=b.high,
        difference=(b.value or 0.0) - (a.value or 0.0) if both else None,
        overlap=overlap(a, b) if known else None,
    )


def _wanted(row: Pairing, metric: str | None, slice_: str | None, kinds: bool) -> bool:
    if metric is not None or slice_ is not None:
        return row.metric == (metric or row.metric) and row.slice == (slice_ or row.slice)
    if "," in row.slice or row.finder in CONTROLS:
        return False
    if row.truth == DIRECTIONS:
        return row.slice == "all"
    if kinds and row.truth == DECLARED:
        return row.metric == BY_HOP and (row.slice == "all" or row.slice.startswith("kind="))
    if row.metric == BY_HOP:
        return row.truth == DECLARED and row.slice.startswith("hop=")
    leads = row.metric == LEADING[row.truth]
    return leads and (row.slice == "all" or row.slice.startswith("depth="))


def _config_table(found: Sequence[Change]) -> Table | Text:
    if not found:
        return Text("\nThe configurations are the same.\n")
    table = _table(f"configuration: {wording.plural(len(found), 'key')} differ")
    table.add_column("key", overflow="fold")
    table.add_column("A", overflow="fold")
    table.add_column("B", overflow="fold")
    for change in found[:_SHOWN]:
        table.add_row(Text(change.key), Text(str(change.a)), Text(str(change.b)))
    if len(found) > _SHOWN:
        table.add_row(Text(f"… {len(found) - _SHOWN} more"), "", "")
    return table


def _gate_table(a: Run, b: Run) -> Table:
    table = _table("gate: accuracy, and seeds that passed")
    table.add_column("slice", no_wrap=True)
    for name in ("A", "B"):
        table.add_column(name, justify="right", no_wrap=True)
    groups = [{g.slice: g for g in accuracies(run)} for run in (a, b)]
    for name in dict.fromkeys([*groups[0], *groups[1]]):
        cells = [
            f"{g.accuracy:.3f} ({g.seeds_passed} of {g.seeds})" if (g := part.get(name)) else "–"
            for part in groups
        ]
        table.add_row(name, *cells)
    return table


def _rows_tables(rows: Sequence[Pairing]) -> list[Table]:
    """A table for each truth, metric and slice, all of one width; the first has the heads."""
    groups: dict[tuple[str, str, str], list[Pairing]] = {}
    for row in rows:
        groups.setdefault((row.truth, row.metric, row.slice), []).append(row)
    several = len({truth for truth, _, _ in groups}) > 1
    names = max(len(row.finder) for row in rows)
    cells = {id(row): _cells(row) for row in rows}
    widths = [max(len(cell) for cell in column) for column in zip(*cells.values(), strict=True)]
    tables: list[Table] = []
    for (truth, metric, name), members in sorted(groups.items(), key=lambda item: item[0][0]):
        about = f"{wording.metric(metric)}, {wording.slice_words(name)}"
        truths = "" if truth == DIRECTIONS else f", {truth} truth"
        table = _table(about + (truths if several else ""))
        table.show_header = not tables
        table.add_column("finder", no_wrap=True, overflow="ellipsis", width=min(names, 44))
        for head, width in zip(("A", "B", "B − A"), widths, strict=True):
            table.add_column(head, justify="right", no_wrap=True, width=max(width, len(head)))
        table.add_column("", width=len("overlap"))
        for row in members:
            said = {None: "", True: "overlap", False: "clear"}[row.overlap]
            style = {"clear": "bold", "overlap": "dim"}.get(said, "")
            a, b, difference = cells[id(row)]
            table.add_row(Text(row.finder), a, b, Text(difference, style), Text(said, style))
        tables.append(table)
    return tables


def _cells(row: Pairing) -> tuple[str, str, str]:
    return (
        f"{wording.number(row.a)} {wording.interval(row.a_low, row.a_high)}",
        f"{wording.number(row.b)} {wording.interval(row.b_low, row.b_high)}",
        wording.MISSING if row.difference is None else f"{row.difference:+.3f}",
    )


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0), pad_edge=False, header_style="dim",
    )  # fmt: skip
