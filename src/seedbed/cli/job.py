"""`seedbed job`: one step of looking for a direction in a model that exists, from its file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seedbed.cli.study import Sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

PathOrNone = Path | None
SHOWN = 40


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("job")(job_command)


def job_command(
    job: Annotated[Path, typer.Argument(help="A job file, such as those in studies/jobs/.")],
    workspace: Annotated[
        PathOrNone,
        typer.Option(help="Folder with transformers/, datasets/ and experiments/."),
    ] = None,
    out: Annotated[
        PathOrNone, typer.Option(help="Folder of results (default: WORKSPACE/experiments).")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Save states, make directions, or ask a model with and without one; go on where it stopped.

    Results go to OUT/NAME of the job's file: result.json says what its numbers mean.
    """
    from rich.console import Console

    from seedbed.core.files import read_json
    from seedbed.studies.jobs import RESULT, run_job
    from seedbed.studies.stages import set_threads

    console = Console()
    set_threads(threads)

    def say(line: str) -> None:
        typer.echo(line, err=True)

    folder = run_job(job, workspace, tuple(sets), out, say)
    result = read_json(folder / RESULT)
    console.print(result["about"], markup=False, highlight=False)
    show(console, result["rows"])
    console.print(str(folder / RESULT), markup=False, highlight=False, soft_wrap=True)


def show(console: "Console", rows: "Sequence[dict[str, Any]]") -> None:
    """Rows as a table: columns that vary, a value with its interval in one.

    Rows of directions at sites become a line a site, values without their intervals.
    """
    from rich.table import Table

    if any(row.get("site") for row in rows):
        _by_site(console, rows)
        return
    names = [n for n in dict.fromkeys(k for r in rows for k in r) if n not in ("low", "high")]
    varied = [n for n in names if len({str(r.get(n)) for r in rows}) > 1 or n in ("value", "n")]
    table = Table(*varied, box=None, pad_edge=False)
    for row in rows[:SHOWN]:
        table.add_row(*(_cell(row, name) for name in varied))
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"… and {len(rows) - SHOWN} more rows", highlight=False)


def _by_site(console: "Console", rows: "Sequence[dict[str, Any]]") -> None:
    """A table for each section and number: sites × directions (and doses), over all questions."""
    from rich.table import Table

    groups: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        if row.get("slice", "all") == "all" and row.get("site"):
            dose = "" if row.get("dose") is None else f" ×{row['dose']:g}"
            value = row.get("value")
            if value is None:
                continue
            # An effect per squared dose may be far below a thousandth.
            shown = f"{value:.3f}" if value == 0 or abs(value) >= 5e-4 else f"{value:.1e}"
            lines = groups.setdefault((str(row.get("section", "")), row["name"]), {})
            lines.setdefault(row["site"], {})[f"{row.get('direction', '')}{dose}"] = shown
    for (section, name), lines in groups.items():
        heads = list(dict.fromkeys(head for line in lines.values() for head in line))
        table = Table(f"{section} {name}".strip(), *heads, box=None, pad_edge=False)
        for site, line in lines.items():
            table.add_row(site, *(line.get(head, "–") for head in heads))
        console.print(table)


def _cell(row: "dict[str, Any]", name: str) -> str:
    value = row.get(name)
    if name != "value":
        return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    if value is None:
        return "–"
    low, high = row.get("low"), row.get("high")
    spread = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{spread}"
