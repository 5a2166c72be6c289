"""Finding on the user's own files: `find` with one finder, `mediate` by patching pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedbed.cli.steps import built
from seedbed.cli.study import Sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedbed.core.rows import Document, Question
    from seedbed.core.sites import Claim

PathOrNone = Path | None


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("find")(find_command)
    app.command("mediate")(mediate_command)


def find_command(
    finder: Annotated[str, typer.Argument(help="A kind of finder, or path/to/file.py:Class.")],
    questions: Annotated[
        Path, typer.Option(help="Prompts with answers, JSONL; with places, rules where needed.")
    ],
    subject: Annotated[str, typer.Option(help="A subject folder, a model folder or a hub id.")],
    out: Annotated[Path, typer.Option(help="Where the claim goes: .jsonl or .npz.")],
    documents: Annotated[
        PathOrNone, typer.Option(help="Documents, JSONL (finders on documents).")
    ] = None,
    pairs: Annotated[
        PathOrNone, typer.Option(help="Pairs, JSONL: clean and corrupt questions (patching).")
    ] = None,
    base: Annotated[
        str, typer.Option(help="What the subject was fine-tuned from (finders on layers).")
    ] = "",
    ranked: Annotated[
        PathOrNone,
        typer.Option(help="Also influence-benchmarking-hops' *_ranked.jsonl, mean over questions."),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Print so many sites a question.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Rank documents, cells, layers, parts of the input or candidate rules with one finder.

    Questions name their parts in `places` (name: [start, end]) and what each rule would answer
    in `rules` (name: choice).
    """
    import shutil
    from dataclasses import replace

    from rich.console import Console

    from seedbed.core.errors import ConfigError
    from seedbed.core.files import read_rows
    from seedbed.core.foreign import read_documents, read_questions
    from seedbed.core.rows import Pair
    from seedbed.core.sites import SiteKind
    from seedbed.core.tables import write_claim
    from seedbed.finders.base import FINDERS
    from seedbed.models.fetch import place_of
    from seedbed.models.folders import load_subject
    from seedbed.studies.stages import run_finder, set_threads
    from seedbed.worlds.hops.files import write_ranked

    made = built(FINDERS, "finder", finder, sets)
    if made.sites is SiteKind.DOCUMENT and documents is None:
        raise ConfigError(f"the finder '{made.name}' reads documents: give --documents FILE")
    if made.sites is SiteKind.LAYER and not base:
        raise ConfigError(f"the finder '{made.name}' compares two models: give --base MODEL")
    if ranked is not None and made.sites is not SiteKind.DOCUMENT:
        raise ConfigError(f"--ranked ranks documents, and '{made.name}' reads {made.sites}s")
    rows = read_documents(documents) if documents else []
    asked = read_questions(questions)
    twins = read_rows(pairs, Pair) if pairs else []
    set_threads(threads)
    # Kept until the claim is written, so that an interrupted call goes on from it.
    scratch = out.with_name(f".{out.name}.partial")
    before = load_subject(place_of(base)) if base else None
    model = replace(load_subject(place_of(subject)), scratch=scratch, base=before)
    claims, cost = run_finder(made, model, rows, asked, twins)
    console = Console()
    for variant, claim in zip(made.variants(), claims, strict=True):
        write_claim(_named(out, variant.name, len(claims)), claim)
        if ranked is not None:
            place = _named(ranked, variant.name, len(claims))
            write_ranked(place, rows, claim.scores.mean(axis=0).tolist(), made.kind)
        _print_top(console, claim, asked, rows, top)
        notes = "; ".join(f"{k}: {v}" for k, v in sorted(claim.notes.items()))
        line = (
            f"{variant.name}: {len(asked)} questions × {len(claim.sites)} {_noun(claim)}s in "
            f"{cost.seconds:.1f} s, {cost.peak_mib:.0f} MiB. {notes}"
        )
        console.print(line, markup=False, highlight=False)
    shutil.rmtree(scratch, ignore_errors=True)


def _print_top(
    console: "object", claim: "Claim", asked: "Sequence[Question]",
    documents: "Sequence[Document]", top: int,
) -> None:  # fmt: skip
    from rich.console import Console

    assert isinstance(console, Console)
    by_id = {d.id: " ".join(d.text.split()) for d in documents}
    for question, scores in zip(asked[:5], claim.scores, strict=False) if top else ():
        text = by_id or _said_of_sites(claim, question)
        line = f"{question.prompt!r} → {question.answer!r}"
        console.print(line, markup=False, highlight=False)
        for s in (-scores).argsort(kind="stable")[:top]:
            line = f"  {scores[s]:>10.4g}  {claim.sites[s]}  {text.get(claim.sites[s], '')[:70]}"
            console.print(line, markup=False, highlight=False, overflow="ellipsis", no_wrap=True)


def _said_of_sites(claim: "Claim", question: "Question") -> dict[str, str]:
    """What stands at each part of a prompt, or what each rule would answer."""
    from seedbed.core.sites import SiteKind

    if claim.site_kind is SiteKind.RULE:
        return dict(question.rules)
    return {name: repr(question.prompt[a:b]) for name, (a, b) in question.places.items()}


def _noun(claim: "Claim") -> str:
    from seedbed.core.sites import SiteKind

    return "part" if claim.site_kind is SiteKind.INPUT else str(claim.site_kind)


def _named(path: Path, name: str, count: int) -> Path:
    """The path itself, or with the variant's name where a finder makes several claims."""
    return path if count == 1 else path.with_name(f"{path.stem}-{name}{path.suffix}")


def _states(path: Path) -> dict[str, dict[str, int]]:
    from pydantic import TypeAdapter, ValidationError

    from seedbed.core.errors import DataError
    from seedbed.core.files import read_json

    try:
        return TypeAdapter(dict[str, dict[str, int]]).validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(path, None, f"{where}: {first['msg']}; needed: question → place → whole"
                        " number") from error  # fmt: skip


def mediate_command(
    subject: Annotated[str, typer.Argument(help="A subject folder, a model folder or a hub id.")],
    pairs: Annotated[Path, typer.Argument(help="Pairs of questions with places, JSONL.")],
    out: Annotated[Path, typer.Option(help="Folder for mediation.json and tables.npz.")],
    states: Annotated[
        PathOrNone,
        typer.Option(help="JSON: question id → place → what a running count would be there."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Patch pairs both ways: total, direct and indirect effects by place and depth, and controls.

    `--set streams=[resid,attn_out]` and the other keys of `mediation:` in a study change how.
    """
    from rich.console import Console

    from seedbed.core.config import apply_sets, validate
    from seedbed.core.files import read_rows, write_json
    from seedbed.core.rows import Pair
    from seedbed.core.units import save_units
    from seedbed.finders.mediation import Mediation, mediate
    from seedbed.models.fetch import place_of
    from seedbed.models.folders import load_subject
    from seedbed.report.grids import printed
    from seedbed.report.mediation import findings, grids
    from seedbed.report.schema import Engine
    from seedbed.studies.mediation import FILE, measurements
    from seedbed.studies.stages import set_threads

    config = validate(Mediation, apply_sets({}, tuple(sets)), "--set")
    rows = read_rows(pairs, Pair)
    known = _states(states) if states else {}
    set_threads(threads)
    model = load_subject(place_of(subject))
    model.model.eval()
    found = mediate(config, model, rows, [p.clean for p in rows], known)
    numbers = [m for name, t in found.tables.items() for m in measurements(name, [t])]
    # File by file: what else lies in that folder stays.
    save_units(out / "tables.npz", found.tables)
    write_json(out / "engine.json", found.engine)
    write_json(out / FILE, [m.model_dump(mode="json") for m in numbers])
    console = Console()
    for line in findings(numbers, [Engine.model_validate(found.engine)]):
        console.print(line, markup=False, highlight=False)
    for grid in grids(numbers):
        for table in printed(grid, console.width):
            console.print(table)
    console.print(str(out / FILE), markup=False, highlight=False)
