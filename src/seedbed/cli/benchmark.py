"""`seedbed benchmark`: subjects on questions whose answers are numbers, compared on one page."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedbed.cli.study import Sets

if TYPE_CHECKING:
    from seedbed.core.rows import Question


class Template(StrEnum):
    """Whether chat templates are used."""

    auto = "auto"
    never = "never"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("benchmark")(benchmark_command)


def benchmark_command(
    questions: Annotated[
        str,
        typer.Argument(help="Questions or counting examples (JSONL), a kind of world, a study."),
    ],
    subject: Annotated[
        list[str],
        typer.Option(
            help="A subject folder, a model folder, a hub id; plain:… without its chat template;"
            " openai:NAME, anthropic:NAME, scripted:FILE. LABEL=… names it. May be repeated."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for answers, benchmark.json and the page.")],
    chat: Annotated[
        Template, typer.Option(help="auto: with the chat template where there is one.")
    ] = Template.auto,
    limit: Annotated[int, typer.Option(min=0, help="Ask so many, drawn evenly; 0: all.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Prompts written after at once.")] = 16,
    tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a written answer.")] = 24,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    base_url: Annotated[
        str | None, typer.Option(help="OpenAI-compatible server of openai: subjects.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of a world's questions and of --limit.")] = 0,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Ask subjects for numbers: accuracy, error, bias and correlation beside trivial answers.

    What a subject has answered is kept: the same command again asks only what is missing.
    """
    from rich.console import Console

    from seedbed.runs.record import locked, manifest, now

    started = now()
    # What is wrong with these is said before anything heavy is loaded.
    asked, named = questions_of(questions, seed, limit, sets), _named(subject)

    from seedbed.measuring.benchmark import Manner, run_benchmark
    from seedbed.report.benchmark import print_benchmark
    from seedbed.report.benchmark_page import write_page
    from seedbed.studies.stages import set_threads

    set_threads(threads)
    record = manifest(started, seconds=0.0)  # each subject has its own time
    made = {k: str(record[k]) for k in ("seedbed", "command", "python", "platform", "cpu")}
    made |= {"threads": str(threads), "started": started, **record["packages"]}
    manner = Manner(tokens, batch, chat is Template.auto, base_url)
    aside = Console(stderr=True)

    def say(text: str) -> None:
        aside.print(text, highlight=False, markup=False)

    with locked(out):
        result = run_benchmark(questions, asked, named, out, manner, made, say)
        page = write_page(result, out)
    print_benchmark(result, Console())
    typer.echo(page)


def questions_of(given: str, seed: int, limit: int, sets: list[str]) -> "list[Question]":
    """Held-out questions of a file or a world, at most `limit` of them in their order."""
    from seedbed.core.errors import ConfigError, InputError
    from seedbed.core.foreign import read_questions
    from seedbed.core.seeds import stream
    from seedbed.scoring.numbers import as_asked

    path = Path(given)
    if given.endswith((".yaml", ".yml")) or not (path.exists() or "/" in given or path.suffix):
        rows = _of_world(given, sets, seed)
    elif _holds_examples(path):
        import json

        from seedbed.core.files import read_objects

        count = sum(1 for _ in read_objects(path))
        own = [
            f"asked.examples={json.dumps(str(path))}",
            f"asked.questions={count}",
            "asked.train=0",
            "form=task",
        ]
        rows = _of_world("counting", [*own, *sets], seed)
    elif sets:
        raise ConfigError(f"--set means nothing for {given}, which is no world")
    else:
        rows = read_questions(path)
    held_out = [q for q in rows if q.split != "train"]
    if not held_out:
        raise InputError(f"{given}: has no held-out question, all are of the split train")
    if limit and limit < len(held_out):
        keep = sorted(stream(seed, "benchmark", "limit").sample(range(len(held_out)), limit))
        held_out = [held_out[i] for i in keep]
    for question in held_out:
        as_asked(question)  # what is no number is refused before anything is written
    return held_out


def _of_world(given: str, sets: list[str], seed: int) -> "list[Question]":
    from seedbed.cli.steps import built
    from seedbed.worlds.base import WORLDS, World

    world: World = built(WORLDS, "world", given, sets)
    return world.questions(seed)


def _holds_examples(path: Path) -> bool:
    """Whether a file's first row is an example of the counting world's data loop."""
    from seedbed.core.files import read_objects

    _, first = next(iter(read_objects(path)))
    return "num_target" in first and "words" in first


def _named(given: list[str]) -> dict[str, str]:
    """Subjects by the name that the page shows. Raises ConfigError if two have the same."""
    from seedbed.core.errors import ConfigError

    named: dict[str, str] = {}
    for text in given:
        label, equals, spec = text.partition("=")
        if not equals or "/" in label or ":" in label:
            label, spec = text.removeprefix("hf:"), text
        if not label or not spec:
            raise ConfigError(f"--subject {text!r}: write it as PLACE or LABEL=PLACE")
        if label in named:
            raise ConfigError(f"--subject {text}: {label!r} stands there twice; write LABEL={spec}")
        named[label] = spec
    return named
