"""`seedbed new`: a working one-file start for a world or a finder, with its test."""

from pathlib import Path
from typing import Annotated

import typer

TEMPLATES = Path(__file__).parent / "templates"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("new")(new_command)


def new_command(
    noun: Annotated[str, typer.Argument(help="world or finder")],
    name: Annotated[str, typer.Argument(help="Its name, such as colours: a Python identifier.")],
    out: Annotated[Path, typer.Option(help="Folder for the two files.")] = Path(),
) -> None:
    """Write NAME.py and test_NAME.py, which pass the contract as they are."""
    from seedbed.core.errors import InputError
    from seedbed.core.files import write_text

    if noun not in ("world", "finder"):
        raise InputError(f"new {noun}: a world or a finder can be made")
    if not (name.isidentifier() and name.islower()):
        raise InputError(f"the name {name!r} must be a lower-case Python identifier")
    title = "".join(part.capitalize() for part in name.split("_"))
    files = {out / f"{name}.py": f"{noun}.py.txt", out / f"test_{name}.py": f"test_{noun}.py.txt"}
    if taken := [path for path in files if path.exists()]:
        raise InputError(f"{taken[0]} exists already; nothing was written")
    for path, template in files.items():
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        write_text(path, text.replace("$name", name).replace("$Title", title))
        typer.echo(path)
    use = f"{{kind: {out / name}.py:{title}}}"
    typer.echo(f"In a study file:  {'world: ' if noun == 'world' else 'finders: - '}{use}")
