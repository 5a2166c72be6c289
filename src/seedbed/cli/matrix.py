"""`seedbed matrix`: every world's study of one size at once, then the site of all of them."""

from pathlib import Path
from typing import Annotated

import typer

from seedbed.cli.launching import LaunchFile, On, Workers

SITE = "site"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("matrix")(matrix_command)


def matrix_command(
    matrix: Annotated[Path, typer.Argument(help="A matrix file: study files by size and name.")],
    size: Annotated[
        str | None, typer.Option(help="Which of its sizes (default: the first).")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0-4 or 0,3.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder (default: runs/NAME-SIZE).")] = None,
    workers: Workers = None,
    on: On = None,
    launch: LaunchFile = None,
    site: Annotated[bool, typer.Option(help="Build the site of the runs.")] = True,
) -> None:
    """Run every study of a matrix side by side, then build the site of its runs.

    Ends with 1 if a study stopped, or if no score speaks of a kind of site that a world has.
    """
    from rich.console import Console

    from seedbed.cli.study import Display
    from seedbed.report.site import build_site
    from seedbed.runs.launch import read_launch
    from seedbed.studies.matrix import load_matrix, run_matrix

    place = read_launch(on, launch, workers)
    sized = load_matrix(matrix, size, seeds)
    console = Console(stderr=True)
    with Display(console) as display:
        folder, ended, gaps = run_matrix(sized, out, place, display)
    shown = Console()
    for one in ended:
        how = "stopped" if one.stopped else "finished"
        shown.print(
            f"{one.job.name:<16} {how} in {one.seconds:.0f} s  {one.job.folder}",
            soft_wrap=True, markup=False, highlight=False,
        )  # fmt: skip
    if site:
        page = build_site([one.job.folder for one in ended], folder / SITE)
        shown.print(f"Site: {page}", soft_wrap=True, markup=False, highlight=False)
    wrong = [f"{one.job.name}: {one.stopped}" for one in ended if one.stopped]
    wrong += [f"{gap.study}: nothing about {gap.sites}s: {gap.reason}" for gap in gaps]
    for line in wrong:
        typer.echo(f"error: {' '.join(line.split())}", err=True)
    if wrong:
        raise typer.Exit(1)
