"""`seedbed view`: the site of all runs in the browser, with the progress of running studies."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("view")(view_command)


def view_command(
    root: Annotated[Path, typer.Argument(help="The folder that run folders lie under.")] = Path(
        "runs"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
    site: Annotated[
        Path | None, typer.Option(help="Where the site is written (default: ROOT/.site).")
    ] = None,
) -> None:
    """Show all runs under ROOT as a site on this machine, kept up to date; Ctrl-C ends it."""
    from signal import SIG_IGN, SIGINT, signal
    from threading import Event, Thread

    from seedbed.report.live_page import HOST
    from seedbed.report.serve import LIVE, Viewed, server
    from seedbed.report.site import write_site

    viewed = Viewed(root, site or root / ".site", write_site)
    ended = Event()
    with server(viewed, port) as serving:
        threads = [
            Thread(target=serving.serve_forever, daemon=True),
            Thread(target=viewed.keep, args=(ended,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        address = f"http://{HOST}:{serving.server_address[1]}"
        typer.echo(f"{address}/\nrunning studies: {address}{LIVE}\nCtrl-C ends it")
        try:
            while True:
                ended.wait(3600)
        except KeyboardInterrupt:
            # Who presses twice wants no other end.
            signal(SIGINT, SIG_IGN)
            typer.echo("ended")
        finally:
            ended.set()
            serving.shutdown()
            # A site that is being written is left whole, unless that takes long.
            threads[1].join(timeout=10)
