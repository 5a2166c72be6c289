"""`seedbed data`: the rows of a world, of the original's files, or checked counting examples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seedbed.cli.study import Sets

if TYPE_CHECKING:
    from seedbed.core.chat import Chat
    from seedbed.worlds.counting.diagnosis import Report

Seed = Annotated[int, typer.Option(help="Seed of every random stream.")]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("data")(data_command)


def data_command(
    world: Annotated[str, typer.Argument(help="A kind of world, or a study file.")],
    out: Annotated[Path, typer.Option(help="Folder for the rows.")],
    seed: Seed = 0,
    original: Annotated[
        bool,
        typer.Option(
            help="Also the original's files: original.jsonl of hops; train_, proxy_ and test_"
            " files of quadrants."
        ),
    ] = False,
    given: Annotated[
        Path | None,
        typer.Option("--from", help="Of quadrants: the original's data_config.json to plant."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="With --from: the original's config.json, for a study.yaml beside."),
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(min=1, help="Of counting: make so many checked examples instead of rows."),
    ] = None,
    generator: Annotated[
        str, typer.Option(help="Who writes the examples: systematic, chat or mixed.")
    ] = "systematic",
    chat_share: Annotated[
        float, typer.Option(help="Under mixed: the chat model's share of the examples.")
    ] = 0.1,
    category: Annotated[
        list[str] | None, typer.Option(help="A category to draw from; repeat it (default: all).")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Examples to begin with (JSONL or JSON): checked, pruned, topped up."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Most rounds of topping up.")] = 6,
    model: Annotated[
        str | None, typer.Option(metavar="BACKEND:NAME", help="The chat model that writes.")
    ] = None,
    validator: Annotated[
        str | None,
        typer.Option(metavar="BACKEND:NAME", help="Another that decides where word lists cannot."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Address of an OpenAI-compatible server for openai:NAME.")
    ] = None,
    validator_url: Annotated[
        str | None, typer.Option(help="The validator's, if it is another (default: --base-url).")
    ] = None,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Plant: write documents.jsonl, questions.jsonl, pairs.jsonl and the truth of a world.

    With --examples: examples.jsonl, pruned.jsonl and report.json. An interrupted call goes on.
    With --from: the world of the original's files; what could not be carried over is printed.
    """
    from seedbed.cli.steps import built
    from seedbed.core.errors import InputError
    from seedbed.worlds.base import WORLDS

    if config is not None and given is None:
        raise InputError("--config goes with --from data_config.json")
    if given is not None:
        if world != "quadrants" or examples is not None:
            raise InputError("--from is of the world quadrants, and of rows")
        _read_original(given, config, seed, out, original, sets)
        return
    planted = built(WORLDS, "world", world, sets)
    if examples is None:
        if generator != "systematic" or model or validator or category or start:
            raise InputError(
                "--generator, --model, --validator, --category and --start go with --examples N"
            )
        _write_rows(planted, seed, out, original)
        return
    values = {"examples": examples, "generator": generator, "chat_share": chat_share,
              "categories": tuple(category or ()), "rounds": rounds}  # fmt: skip
    report = _run(
        planted, values, seed, out, (model, base_url), (validator, validator_url or base_url), start
    )
    _show(report)
    typer.echo(out)
    if not report.complete:
        raise typer.Exit(1)


def _write_rows(world: Any, seed: int, out: Path, original: bool, study: str = "") -> None:
    from seedbed.core.errors import InputError
    from seedbed.core.files import atomic_folder, write_text
    from seedbed.core.sites import Truth
    from seedbed.core.tables import write_truth
    from seedbed.studies.stages import make_data
    from seedbed.studies.study import load_study
    from seedbed.worlds.hops import files as hops
    from seedbed.worlds.quadrants import files as quadrants

    if original and world.kind not in ("hops", "quadrants"):
        raise InputError(f"--original is of the worlds hops and quadrants, not of '{world.kind}'")
    with atomic_folder(out) as folder:
        make_data(world, seed, folder)
        write_truth(folder / "truth.jsonl", Truth.load(folder / "truth.npz"))
        if study:
            write_text(folder / "study.yaml", study)
            load_study(folder / "study.yaml")
        if original and world.kind == "hops":
            hops.write_original(folder / "original.jsonl", world.documents(seed))
        elif original:
            quadrants.write_original(
                folder / "original", world.documents(seed), world.questions(seed)
            )
    typer.echo(out)


def _read_original(
    given: Path, config: Path | None, seed: int, out: Path, original: bool, sets: list[str]
) -> None:
    """Rows of the world that the original's files describe, and study.yaml where both are given."""
    import yaml

    from seedbed.core.config import apply_sets, validate
    from seedbed.worlds.quadrants.files import read_data_config
    from seedbed.worlds.quadrants.tuning import read_config
    from seedbed.worlds.quadrants.world import Quadrants

    found = read_data_config(given)
    planted = validate(Quadrants, apply_sets(found.knobs, sets), str(given))
    study, notes = "", found.notes
    if config is not None:
        sections = read_config(config, found)
        notes = sections.notes
        knobs = planted.model_dump(mode="json", exclude={"stage"}, exclude_unset=True)
        values = sections.study | {"world": {"kind": "quadrants", **knobs}}
        comments = "".join(f"# {note}\n" for note in notes)
        study = comments + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    _write_rows(planted, seed, out, original, study)


def _run(
    world: Any,
    values: dict[str, Any],
    seed: int,
    out: Path,
    model: tuple[str | None, str | None],
    validator: tuple[str | None, str | None],
    start: Path | None,
) -> "Report":
    """Run the loop; a model is its BACKEND:NAME and its server's address."""
    from seedbed.core.config import validate
    from seedbed.core.errors import InputError
    from seedbed.worlds.counting.examples import read_examples
    from seedbed.worlds.counting.loop import run_loop
    from seedbed.worlds.counting.wanted import Wanted
    from seedbed.worlds.counting.world import Counting

    if not isinstance(world, Counting):
        raise InputError(f"--examples is of the world counting, not of '{world.kind}'")
    values |= {"lengths": world.lengths, "counts": world.counts}
    wanted = validate(Wanted, values, "--examples")
    if wanted.generator != "systematic" and model[0] is None:
        raise InputError(f"the generator '{wanted.generator}' needs a chat model: give --model")
    writer, judge = _chat(*model, out), _chat(*validator, out)
    given = [example for _, example in read_examples(start)] if start else []
    return run_loop(wanted, seed, out, writer, judge, given)


def _chat(spec: str | None, base_url: str | None, out: Path) -> "Chat | None":
    if spec is None:
        return None
    from seedbed.models.chat import chat_model

    # One address on the command line is meant for whichever of the two models has a server.
    url = base_url if spec.startswith("openai:") else None
    return chat_model(spec, url, out / "replies")


def _show(report: "Report") -> None:
    """Print the diagnostics."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("written by", "made", "valid", "kept", "pruned", box=None, pad_edge=False)
    for name, made in report.methods.items():
        pruned = ", ".join(f"{n} {what}" for what, n in made.pruned.items()) or "none"
        table.add_row(name, str(made.made), f"{made.valid:.3f}", str(made.kept), pruned)
    console.print(table)
    table = Table("flat over", "values", "fewest", "most", "χ²", "p", box=None, pad_edge=False)
    for name, one in report.distributions.items():
        numbers = one.counts.values()
        table.add_row(name, str(len(numbers)), str(min(numbers)), str(max(numbers)),
                      f"{one.chi2:.2f}", f"{one.p:.3f}")  # fmt: skip
    console.print(table)
    varied = report.diversity
    lines = [
        f"{report.disputed_labels} disputed labels by the word lists; count and length"
        f" independent with p = {report.count_and_length:.3f}",
        f"always the same count is right on {report.majority:.3f}, the best count for each length"
        f" on {report.length_only:.3f}",
        f"word diversity {varied.ratio:.3f} ({varied.unique} of {varied.total})",
    ]
    lines += [
        f"disputed: '{d.word}' among {d.category} ({d.times}×): {d.reason}"
        for d in report.disputed_words[:10]
    ]
    for role, cost in report.costs.items():
        price = "price unknown" if cost.dollars is None else f"${cost.dollars:.4f}"
        lines.append(
            f"{role} {cost.model}: {cost.requests} requests ({cost.again} again, {cost.failed}"
            f" failed), {cost.prompt_tokens} + {cost.completion_tokens} tokens, {price}"
        )
    lines += [f"warning: {text}" for text in report.warnings]
    for line in lines:
        console.print(line, markup=False, highlight=False)
