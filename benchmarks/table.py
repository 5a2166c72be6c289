"""What every benchmark shares: paired timing, rows of one shape, the table and --json."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from seedbed.core.files import write_json


@dataclass(frozen=True)
class Row:
    """One comparison. `ratio`: how many times better ours is than the peer, in this run.

    A peer that could not be run has no numbers and its reason in `agreement`.
    """

    work: str
    peer: str
    ours: float | None
    theirs: float | None
    ratio: float | None
    unit: str
    agreement: str


def missing(work: str, peer: str, unit: str, reason: str) -> Row:
    """The row of a peer that could not be run."""
    return Row(work, peer, None, None, None, unit, reason)


def paired(
    ours: Callable[[], object], theirs: Callable[[], object], repeat: int
) -> tuple[float, float, float]:
    """(ours, theirs, theirs / ours): medians of CPU seconds over `repeat` pairs, side by side.

    The ratio is the median of the pairs' ratios, so a busy moment spoils one pair only. The
    first pair warms up and is not counted.
    """
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeat + 1)][1:]
    a, b = zip(*pairs, strict=True)
    return statistics.median(a), statistics.median(b), statistics.median(y / x for x, y in pairs)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def arguments(description: str, repeat: int = 5) -> argparse.Namespace:
    """The command line of a benchmark: --json FILE and --repeat N. Sets one torch thread."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--repeat", type=int, default=repeat, help="counted pairs of each row")
    torch.set_num_threads(1)
    return parser.parse_args()


def show(rows: Sequence[Row], title: str, file: Path | None = None) -> None:
    """Print the rows as a table and, if `file` is given, write them there as JSON."""
    table = Table(title=title)
    for name in ("work", "peer"):
        table.add_column(name)
    for name in ("ours", "theirs", "ratio"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    table.add_column("agreement")
    for row in rows:
        numbers = [_short(x) for x in (row.ours, row.theirs, row.ratio)]
        table.add_row(row.work, row.peer, *numbers, row.unit, row.agreement)
    # A pipe has no width of its own, and 80 columns break every cell.
    Console(width=None if sys.stdout.isatty() else 170).print(table)
    if file is not None:
        write_json(file, [asdict(row) for row in rows])


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
