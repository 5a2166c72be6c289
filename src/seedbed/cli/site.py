"""`seedbed site`: static pages for any set of runs, to open from their folder or to publish."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("site")(site_command)


def site_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or folders that hold some.")],
    out: Annotated[Path, typer.Option(help="The folder of the site; an older site is replaced.")],
    title: Annotated[str, typer.Option(help="What the site is called.")] = "seedbed",
) -> None:
    """Write a site of all runs: the matrix, leaderboards, a page a study, run and finder."""
    from seedbed.report.site import build_site

    typer.echo(build_site(runs, out, title=title))
