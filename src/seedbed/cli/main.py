"""`seedbed`: the commands, and the one place where errors become a line and an exit code.

Commands import what they need when they run, so that --help answers at once.
"""

import errno
import sys

import typer

from seedbed.core.errors import SeedbedError

app = typer.Typer(
    name="seedbed",
    help="Plant a known cause in a language model, look for it, and score each method.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


_INTERRUPTED = "interrupted; the same command goes on from here"


def _version(wanted: bool) -> None:
    if wanted:
        from seedbed import __version__

        typer.echo(f"seedbed {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def _register() -> None:
    from seedbed.cli import (
        adapters,
        benchmark,
        chat,
        data,
        find,
        job,
        look,
        matrix,
        read,
        runs,
        site,
        start,
        steps,
        study,
        sweep,
        users,
        view,
        watch,
    )

    for module in (
        study, sweep, matrix, look, data, steps, find, read, job, benchmark, start, adapters, users,
        chat, watch, runs, site, view,
    ):  # fmt: skip
        module.register(app)


_register()


def main() -> None:
    """Run the command line; every error on purpose is one line on stderr and an exit code."""
    try:
        app()
    except SeedbedError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            raise
        _fail(f"{error.filename or 'a file'}: cannot write: {error.strerror}", 2)
    except KeyboardInterrupt:
        _fail(_INTERRUPTED, 130)
    except SystemExit as end:
        # Typer makes an exit of what interrupts a command, and says nothing.
        if end.code == 130:
            _fail(_INTERRUPTED, 130)
        raise


def _fail(message: str, code: int) -> None:
    line = " ".join(message.split())
    sys.stderr.write(f"error: {line}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
