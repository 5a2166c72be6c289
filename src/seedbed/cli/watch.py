"""`seedbed watch`: look on while a study runs, in the browser or in the terminal."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seedbed.report.live import Watched

_EVERY, _LAST = 2.0, 6.0
"""Seconds between looks, and for which the page stays once the study has ended."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("watch")(watch_command)


def watch_command(
    run: Annotated[Path, typer.Argument(help="The folder of a run, finished or not.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
    terminal: Annotated[bool, typer.Option("--terminal", help="Show it here instead.")] = False,
) -> None:
    """Watch a running study: its stages, curves and newest episodes; ends with the study."""
    from seedbed.report.live import Watched

    watched = Watched(run)
    if terminal:
        _in_terminal(watched)
    else:
        _in_browser(watched, port)


def _in_browser(watched: "Watched", port: int) -> None:
    from threading import Thread

    from seedbed.report.live_page import HOST, server

    with server(watched, port) as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        typer.echo(f"http://{HOST}:{serving.server_address[1]}/")
        while not watched.finished:
            time.sleep(_EVERY)
        # The page asks every other second: it must get to see the end.
        time.sleep(_LAST)
        serving.shutdown()
    typer.echo(f"finished: {watched.path / 'report.html'}")


def _in_terminal(watched: "Watched") -> None:
    from rich.console import Console
    from rich.live import Live

    from seedbed.report.live_page import table

    with Live(table(watched), console=Console(), auto_refresh=False) as live:
        while not watched.finished:
            time.sleep(_EVERY)
            live.update(table(watched), refresh=True)
        live.update(table(watched), refresh=True)
