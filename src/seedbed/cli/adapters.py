"""`seedbed adapters`: other people's attribution packages, each in an environment of its own."""

import sys
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="bergson, kronfluence, dattri-llm or traker")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        help="Install, check and remove packages of others that finders call.",
        no_args_is_help=True,
    )
    group.command("install")(install_command)
    group.command("check")(check_command)
    group.command("remove")(remove_command)
    app.add_typer(group, name="adapters")


def install_command(name: Name) -> None:
    """Make the environment of one package, with the torch of this one, in the user's cache."""
    from rich.console import Console

    from seedbed.finders.adapters.environments import install, peer_named

    peer = peer_named(name)
    # Bound to the stream itself, so that the path alone goes to stdout.
    with Console(file=sys.stderr).status(f"{peer.name}: starting") as status:
        folder = install(peer, lambda text: status.update(f"{peer.name} ({peer.mib} MiB): {text}"))
    typer.echo(folder)


def check_command(
    name: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
) -> None:
    """Say which packages are installed, and let those score a handful of documents."""
    from rich.console import Console
    from rich.table import Table

    from seedbed.core.errors import InputError
    from seedbed.finders.adapters.checking import self_test
    from seedbed.finders.adapters.environments import peer_named, unavailable
    from seedbed.finders.adapters.peers import PEERS

    table = Table("adapter", "package", "state", "self-test", box=None, pad_edge=False)
    failed = []
    with Console(file=sys.stderr).status("checking") as status:
        for peer in [peer_named(name)] if name else PEERS.values():
            state, tested = unavailable(peer), ""
            if not state:
                status.update(f"{peer.name}: scoring a handful of documents")
                try:
                    tested = self_test(peer)
                except InputError as error:
                    tested = str(error)
                    failed.append(peer.name)
            table.add_row(peer.name, peer.pin, state or "installed", tested)
    Console().print(table)
    if failed:
        raise InputError(f"installed but not working: {', '.join(failed)}")


def remove_command(name: Name) -> None:
    """Delete the environment of one package."""
    from seedbed.finders.adapters.environments import folder_of, peer_named, remove

    peer = peer_named(name)
    typer.echo(f"removed {folder_of(peer)}" if remove(peer) else f"{peer.name} is not installed")
