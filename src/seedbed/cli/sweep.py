"""`seedbed sweep`: a study over values of one key or a grid of several, then a table and figure."""

from pathlib import Path
from typing import Annotated

import typer

from seedbed.cli.launching import LaunchFile, On, Workers


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("sweep")(sweep_command)


def sweep_command(
    sweep: Annotated[Path, typer.Argument(help="A sweep file: study, set, vary.")],
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0-4 or 0,3.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder (default: runs/NAME).")] = None,
    workers: Workers = None,
    on: On = None,
    launch: LaunchFile = None,
) -> None:
    """Run a sweep; each arm is a study of its own, and what arms share is made once."""
    from rich.console import Console

    from seedbed.cli.study import Display
    from seedbed.report.sweep import show_sweep
    from seedbed.runs.launch import read_launch
    from seedbed.studies.sweep import load_sweep, run_sweep

    place = read_launch(on, launch, workers)
    loaded, arms = load_sweep(sweep, seeds)
    console = Console(stderr=True)
    with Display(console) as display:
        folder = run_sweep(
            loaded, arms, out, reporter=display, launch=place,
            begin=lambda choice: console.print(
                choice.label, style="bold", markup=False, highlight=False
            ),
        )  # fmt: skip
    show_sweep(folder, Console())
