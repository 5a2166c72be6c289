"""Options of every command that runs stages: where they run, and with how many workers."""

from pathlib import Path
from typing import Annotated

import typer

On = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE", help="Where stages run: here (default), ray, ray://HOST:PORT or slurm."
    ),
]
LaunchFile = Annotated[
    Path | None,
    typer.Option("--launch", metavar="FILE", help="A YAML file: memory, gpus, options of SLURM."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Workers at once (here: by cores and memory).")
]
