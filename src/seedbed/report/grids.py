"""Small tables of numbers with intervals, drawn alike on the page and in the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.table import Table
from rich.text import Text

from seedbed.report import wording

_HEAD, _TABLES = 12, 2


@dataclass(frozen=True)
class Number:
    """A value with its interval and a mark behind it; None: not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    places: int = 3
    mark: str = ""

    @property
    def text(self) -> str:
        """The value and its mark; nothing but exact zeros read `0`."""
        return self._marked("")

    @property
    def spread(self) -> str:
        """The same with ± half of the interval, where it has a width."""
        if self.low is None or self.high is None or self.low == self.high:
            return self.text
        return self._marked(f" ±{(self.high - self.low) / 2:.2f}")

    @classmethod
    def measured(
        cls, value: float | None, low: float | None, high: float | None, mark: str = ""
    ) -> "Number":
        """A value that should have an interval, and says so where it has none."""
        if value is not None and not wording.bounded(value, low, high):
            mark = ", ".join(part for part in (mark, wording.NO_INTERVAL) if part)
            return cls(value, mark=mark)
        return cls(value, low, high, mark=mark)

    def _marked(self, more: str) -> str:
        if self.value is None and self.mark:
            return self.mark
        text = "0" if self.value == 0 else wording.number(self.value, self.places)
        return f"{text}{more} {self.mark}" if self.mark else f"{text}{more}"

    @property
    def interval(self) -> str:
        """`[low, high]`, or nothing where it has no width."""
        return "" if self.low == self.high else wording.interval(self.low, self.high)


@dataclass(frozen=True)
class Grid:
    """A table: `name` is its anchor, `heads` the first column's heading and the others'.

    `about` says a line on some rows.
    """

    name: str
    title: str
    note: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Number, ...]], ...]
    controls: frozenset[str] = frozenset()
    about: Mapping[str, str] = field(default_factory=dict)


def printed(grid: Grid, width: int) -> list[Table]:
    """The grid for a terminal, in as many tables as columns of `width` characters need.

    Intervals stand beside the values where two tables hold them all.
    """
    full = [[n.spread for n in numbers] for _, numbers in grid.rows]
    short = [[n.text for n in numbers] for _, numbers in grid.rows]
    parts, cells = _parts(grid, full, width), full
    if len(parts) > _TABLES:
        parts, cells = _parts(grid, short, width), short
    return [_table(grid, part, part.start == 0, cells) for part in parts]


def _parts(grid: Grid, cells: Sequence[Sequence[str]], width: int) -> list[slice]:
    """The columns of each table."""
    label = max([len(grid.heads[0]), *(len(name) for name, _ in grid.rows)]) + 2
    starts, used = [0], label
    for i, head in enumerate(grid.heads[1:]):
        size = max(map(len, [*_broken(head).splitlines(), *(row[i] for row in cells)])) + 2
        if used + size > width and used > label:
            starts.append(i)
            used = label
        used += size
    ends = [*starts[1:], len(grid.heads) - 1]
    return [slice(*part) for part in zip(starts, ends, strict=True)]


def _table(grid: Grid, part: slice, first: bool, cells: Sequence[Sequence[str]]) -> Table:
    table = Table(
        title=Text(grid.title if first else "…", style="bold"), title_justify="left",
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim",
    )  # fmt: skip
    table.add_column(grid.heads[0], no_wrap=True)
    for head in grid.heads[1:][part]:
        table.add_column(_broken(head), justify="right", no_wrap=True)
    for (name, _), row in zip(grid.rows, cells, strict=True):
        style = "dim" if name in grid.controls else None
        table.add_row(Text(name), *map(Text, row[part]), style=style)
    return table


def _broken(head: str) -> str:
    return wording.wrapped(head, _HEAD)


def columns_with_values(
    heads: Sequence[str], rows: Sequence[tuple[str, Sequence[Number]]]
) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[Number, ...]], ...]]:
    """(heads, rows) without the columns and rows that hold no value at all."""
    kept = [i for i in range(len(heads) - 1) if any(r[i].value is not None for _, r in rows)]
    cut = [(name, tuple(r[i] for i in kept)) for name, r in rows]
    return (
        (heads[0], *(heads[i + 1] for i in kept)),
        tuple((name, r) for name, r in cut if any(n.value is not None for n in r)),
    )
