"""Each stage of a study on the user's own files: train, measure, score."""

from pathlib import Path
from typing import Annotated, Any

import typer

from seedbed.cli.study import Sets

Seed = Annotated[int, typer.Option(help="Seed of every random stream.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for name, command in (
        ("train", train_command), ("measure", measure_command), ("score", score_command),
    ):  # fmt: skip
        app.command(name)(command)


def train_command(
    documents: Annotated[Path, typer.Argument(help="Documents, JSONL.")],
    config: Annotated[Path, typer.Option(help="YAML with the keys subject and training.")],
    out: Annotated[Path, typer.Option(help="Folder for the subject and its history.")],
    questions: Annotated[
        Path | None, typer.Option(help="Questions whose words a from-scratch vocabulary needs.")
    ] = None,
    tokens: Annotated[Path | None, typer.Option(help="JSON list of new one-token words.")] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="JSON list of texts whose words it needs besides.")
    ] = None,
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
    push_to_hub: Annotated[
        str, typer.Option(help="OWNER/NAME on the Hugging Face hub to upload the subject to.")
    ] = "",
    public: Annotated[bool, typer.Option(help="Make that repository public, not private.")] = False,
) -> None:
    """Train a subject on documents; an interrupted call goes on. Works under accelerate launch."""
    from rich.console import Console

    from seedbed.cli.study import Display
    from seedbed.core.config import apply_sets, read_yaml, validate
    from seedbed.core.errors import InputError
    from seedbed.core.files import read_json
    from seedbed.core.foreign import read_documents, read_questions
    from seedbed.models import hub
    from seedbed.runs.record import locked
    from seedbed.studies import stages
    from seedbed.studies.study import TrainingPart
    from seedbed.training.trackers import is_main_process

    if push_to_hub:
        hub.ready(push_to_hub)
    elif public:
        raise InputError("--public: goes with --push-to-hub")
    values = apply_sets(read_yaml(config), sets)
    part = validate(
        TrainingPart, {k: values[k] for k in ("subject", "training") if k in values}, config
    )
    rows = read_documents(documents)
    asked = read_questions(questions) if questions else []
    new = read_json(tokens) if tokens else []
    stages.set_threads(threads)
    with stages.alone(lambda: locked(out)), Display(Console(stderr=True)) as display:
        stages.make_subject(
            part.subject, part.training, rows, asked, new, seed, out,
            lambda done, total, text: display.progress(seed, "train", done, total, text),
            words=read_json(vocabulary) if vocabulary else (),
        )  # fmt: skip
    typer.echo(out / "subject")
    if push_to_hub and is_main_process():
        told = {"training": part.training.model_dump(mode="json")}
        typer.echo(hub.push(out / "subject", push_to_hub, private=not public, run=told))


def measure_command(
    subject: Annotated[str, typer.Argument(help="A subject folder, a model folder or a hub id.")],
    questions: Annotated[Path, typer.Argument(help="Questions with choices, JSONL.")],
    out: Annotated[Path, typer.Option(help="Where the answers go, JSONL.")],
) -> None:
    """Ask a subject closed questions; accuracy by slice beside chance, majority and copying."""
    from rich.console import Console
    from rich.table import Table

    from seedbed.core.files import write_rows
    from seedbed.core.foreign import read_questions
    from seedbed.measuring.answers import answer, summarise
    from seedbed.models.fetch import place_of
    from seedbed.models.folders import load_subject

    rows = read_questions(questions)
    answers = answer(load_subject(place_of(subject)), rows)
    write_rows(out, answers)
    heads = ("slice", "questions", "accuracy", "95 %", "chance", "majority", "copied", "p(answer)")
    table = Table(*heads, box=None, pad_edge=False)
    for s in summarise(rows, answers)[:30]:
        table.add_row(
            s.slice, str(s.n), f"{s.accuracy:.3f}", f"{s.low:.3f}–{s.high:.3f}", f"{s.chance:.3f}",
            f"{s.majority:.3f}", f"{s.copied:.3f}", f"{s.probability:.3f}",
        )  # fmt: skip
    Console().print(table)


def score_command(
    claims: Annotated[list[Path], typer.Argument(help="Claims of one or several finders.")],
    truth: Annotated[Path, typer.Option(help="The truth, .jsonl or .npz.")],
    questions: Annotated[Path, typer.Option(help="The questions, for slices and causes.")],
    out: Annotated[Path, typer.Option(help="Where the scores go: a JSON list of rows.")],
) -> None:
    """Mark claims against a truth, beside chance and an oracle, with intervals over causes."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from seedbed.core.errors import InputError
    from seedbed.core.files import write_json
    from seedbed.core.foreign import read_questions
    from seedbed.core.tables import read_claim, read_truth
    from seedbed.scoring.rows import SeedResults, collect

    read = {path.stem: read_claim(path) for path in claims}
    if len(read) < len(claims):
        raise InputError("two claims have the same file name, which names their rows")
    first = next(iter(read.values()))
    for path, claim in zip(claims, read.values(), strict=True):
        if (claim.questions, set(claim.sites)) != (first.questions, set(first.sites)):
            raise InputError(f"{path}: its questions or sites differ from those of {claims[0]}")
    by_id = {q.id: q for q in read_questions(questions)}
    if missing := [q for q in first.questions if q not in by_id]:
        raise InputError(
            f"{questions}: has no question {missing[0]!r}, which {claims[0]} speaks of"
        )
    # What a finder was fitted on says nothing about it.
    held_out = tuple(q for q in first.questions if not by_id[q].label)
    if not held_out:
        raise InputError(f"{questions}: every question is a labelled example; none is held out")
    if examples := len(first.questions) - len(held_out):
        Console(stderr=True).print(f"{examples} labelled examples are left out of the scores")
    result = SeedResults(
        seed=0,
        questions=[by_id[q] for q in held_out],
        correct=np.zeros(len(held_out), dtype=bool),
        truth=read_truth(truth, first.questions, first.sites).select(held_out),
        claims={n: c.among(held_out).arranged(first.sites) for n, c in read.items()},
        costs={},
    )
    rows = collect([result])
    write_json(out, [r.model_dump(mode="json") for r in rows])
    table = Table("finder", "metric", "value", "95 %", "chance", "oracle", box=None, pad_edge=False)
    for row in rows:
        if row.slice == "all" and not row.metric.startswith("top10") and row.value is not None:
            spread = f"{row.low:.3f}–{row.high:.3f}"
            table.add_row(row.finder, row.metric, f"{row.value:.3f}", spread, f"{row.chance:.3f}",
                          f"{row.oracle:.3f}")  # fmt: skip
    Console().print(table)


def built(kinds: Any, noun: str, given: str, sets: list[str]) -> Any:
    """Build a world or finder from a kind or a YAML file, with assignments."""
    from seedbed.core.config import apply_sets, read_yaml
    from seedbed.core.errors import ConfigError

    values: Any = {"kind": given}
    if given.endswith((".yaml", ".yml")):
        values = read_yaml(Path(given)).get(noun)
        if not isinstance(values, dict):
            raise ConfigError(f"{given}: has no {noun}")
    try:
        return kinds.build(apply_sets(values, sets))
    except ValueError as error:
        path = ".".join(map(str, getattr(error, "path", ())))
        raise ConfigError(f"{noun} {given}: {path}{': ' if path else ''}{error}") from error
