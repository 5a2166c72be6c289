"""Reading and steering a model on the user's own files: states, directions, steering, lm-eval."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedbed.cli.study import Sets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from seedbed.core.directions import Directions
    from seedbed.core.rows import Question
    from seedbed.core.units import Units
    from seedbed.models.subject import Subject

PathOrNone = Path | None
Asked = Annotated[Path, typer.Argument(help="Questions, JSONL; labelled ones in train and dev.")]
Which = Annotated[str, typer.Option(help="A subject folder, a model folder or a hub id.")]
Threads = Annotated[int, typer.Option(min=1, help="Torch threads.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for name, command in (
        ("states", states_command), ("directions", directions_command), ("steer", steer_command),
        ("harness", harness_command),
    ):  # fmt: skip
        app.command(name)(command)


def states_command(
    questions: Asked,
    subject: Which,
    out: Annotated[Path, typer.Option(help="Folder for the states; an interrupted call goes on.")],
    threads: Threads = 1,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Save hidden states: one safetensors tensor a cell, and a JSON that tells what they are.

    `--set places=[last,mean]`, `--set layers=[3]`, `--set streams=[mlp_out]` say which.
    """
    from seedbed.core.config import apply_sets, validate
    from seedbed.core.foreign import read_questions
    from seedbed.finders.kept import keep
    from seedbed.finders.states import Sweep

    sweep = validate(Sweep, apply_sets({}, tuple(sets)), "--set")
    asked, model = read_questions(questions), _loaded(subject, threads)
    kept = keep(model, asked, sweep.cells(model, asked), out, answer=sweep.answer)
    typer.echo(f"{out}: {len(kept.questions)} questions at {len(kept.cells)} cells")


def directions_command(
    questions: Asked,
    subject: Which,
    out: Annotated[Path, typer.Option(help="Folder for directions, one file a measure.")],
    threads: Threads = 1,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Directions from examples of two classes: fitted on train, the cell chosen on dev.

    Other questions whose class stands in `slices.kind` are read with them, and random and
    shuffled directions beside. `--set measure=[difference,probe]` and `--set sweep.places=[mean]`
    are keys of the finder `directions`.
    """
    from rich.console import Console

    from seedbed.core.config import apply_sets, validate
    from seedbed.core.directions import DirectionClaim
    from seedbed.core.foreign import read_questions
    from seedbed.core.units import save_units
    from seedbed.finders.directions import DirectionFinder
    from seedbed.finders.told import told

    given = {"measure": ["difference", "probe", "shuffled", "random"]}
    finder = validate(DirectionFinder, apply_sets(given, tuple(sets)), "--set")
    asked = read_questions(questions)
    _check_labels(questions, asked)
    model = _loaded(subject, threads)
    made, rest = {}, [q for q in asked if not q.label]
    for variant, claim in zip(finder.variants(), finder.find_all(model, [], asked, []),
                              strict=True):  # fmt: skip
        name = variant.measures[0]
        claim.save(out / name / "claim.npz")
        if isinstance(claim, DirectionClaim) and claim.directions is not None:
            claim.directions.save(out / f"{name}.safetensors")
            made[name] = claim.directions
        typer.echo(f"{name}: " + "; ".join(f"{k}: {v}" for k, v in sorted(claim.notes.items())))
    kinds = {q.id: q.slices["kind"] for q in rest if _known(q.slices.get("kind"), made)}
    if len(set(kinds.values())) == 2:
        tables = told(model, made, rest, kinds)
        save_units(out / "tables.npz", tables)
        _show(Console(), {n: t for n, t in tables.items() if n.startswith("decodable")})
    else:
        typer.echo(f"{questions}: no tables: they need questions beside train and dev whose"
                   f" slices.kind is {_either(made)}, of both", err=True)  # fmt: skip


def steer_command(
    questions: Annotated[
        Path, typer.Argument(help="Questions with choices, JSONL; their class in slices.kind.")
    ],
    subject: Which,
    directions: Annotated[
        list[Path], typer.Option(help="Saved directions; give it again for several.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for tables.npz and engine.json.")],
    threads: Threads = 1,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Steer along directions at every cell and dose beside random ones; effect per layer.

    Questions of the split dev choose cells and doses, those of `unrelated` should not change.
    `--set doses=[1,4]` and the other keys of `steering:` in a study say how.
    """
    from rich.console import Console

    from seedbed.core.config import apply_sets, validate
    from seedbed.core.directions import Directions
    from seedbed.core.errors import DataError, InputError
    from seedbed.core.files import write_json
    from seedbed.core.foreign import read_questions
    from seedbed.core.rows import LABELLED
    from seedbed.core.selectivity import UNRELATED
    from seedbed.core.units import save_units
    from seedbed.finders.distinct import distinct
    from seedbed.finders.steering import Steering, steered
    from seedbed.studies.harnessing import directions_for

    config = validate(Steering, apply_sets({}, tuple(sets)), "--set")
    for path in directions:
        Directions.load(path)
    if twice := [p for i, p in enumerate(directions) if p.stem in {d.stem for d in directions[:i]}]:
        raise InputError(f"--directions {twice[0]}: another file is called {twice[0].stem!r} too,"
                         " which names its rows; rename one")  # fmt: skip
    asked, model = read_questions(questions), _loaded(subject, threads)
    made = {path.stem: directions_for(path, model, subject) for path in directions}
    dev = [q for q in asked if q.split == "dev"]
    apart = [q for q in asked if q.split == UNRELATED]
    test = [q for q in asked if q.split not in {*LABELLED, UNRELATED}]
    kinds = {q.id: q.slices["kind"] for q in test if _known(q.slices.get("kind"), made)}
    if missing := sorted(_classes(made) - set(kinds.values())):
        raise DataError(questions, None, f"has no question beside the splits train, dev and"
                        f" {UNRELATED} whose slices.kind is {missing[0]!r}; both classes of the"
                        f" directions are needed, {_either(made)}")  # fmt: skip
    groups, lost = {}, 0
    for name, group in {"dev": dev, "test": test, "apart": apart}.items():
        groups[name], left_out = distinct(model, group)
        lost += len(left_out)
    if lost:
        typer.echo(f"{lost} questions left out: all their choices begin with one token", err=True)
    if not groups["dev"]:
        typer.echo(f"{questions}: no selectivity: no question of the split dev chooses cell and"
                   " dose", err=True)  # fmt: skip
    found = steered(config, model, made, groups["dev"], groups["test"], groups["apart"], kinds,
                    [], [])  # fmt: skip
    save_units(out / "tables.npz", found.tables)
    write_json(out / "engine.json", found.engine)
    _show(Console(), found.tables)


def harness_command(
    tasks: Annotated[list[str], typer.Argument(help="Tasks of lm-eval, or task files (.yaml).")],
    subject: Which,
    out: Annotated[Path, typer.Option(help="Folder for harness.json and samples.jsonl.")],
    directions: Annotated[
        PathOrNone, typer.Option(help="Saved directions, or a file of lm-eval's steered (.pt).")
    ] = None,
    steered: Annotated[
        PathOrNone, typer.Option(help="Also write the intervention for lm-eval's steered (.pt).")
    ] = None,
    num_fewshot: Annotated[int | None, typer.Option(min=0, help="Worked examples before.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most questions a task.")] = None,
    threads: Threads = 1,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Run lm-eval on a subject, with directions in place where they are given.

    `--set steer.strength=2 --set steer.sites=[resid_pre.3@last]` and the other keys of `steer`
    say how, `--set harness.written=64` and the like what is run.
    """
    from rich.console import Console

    from seedbed.cli.job import show
    from seedbed.core.config import apply_sets
    from seedbed.core.files import write_json, write_rows
    from seedbed.measuring.harness import evaluate
    from seedbed.studies.harnessing import Harnessing, intervention_of

    given = {"harness": {"tasks": tasks, "fewshot": num_fewshot, "limit": limit}}
    config = Harnessing.of(apply_sets(given, tuple(sets)))
    model = _loaded(subject, threads)
    intervention = intervention_of(config, model, directions, steered)
    found = evaluate(config.harness, model, intervention)
    rows = [r.model_dump(mode="json") for r in found.rows]
    write_rows(out / "samples.jsonl", found.samples)
    write_json(out / "harness.json", {"told": found.told, "rows": rows,
                                      "config": config.model_dump(mode="json")})  # fmt: skip
    show(Console(), rows)
    if found.told["cut"]:
        typer.echo(f"{found.told['cut']} requests lost the beginning of their context", err=True)


def _loaded(subject: str, threads: int) -> "Subject":
    from seedbed.models.fetch import place_of
    from seedbed.models.folders import load_subject
    from seedbed.studies.stages import set_threads

    set_threads(threads)
    return load_subject(place_of(subject))


def _check_labels(path: Path, asked: "Sequence[Question]") -> None:
    """Raises DataError, naming the file, where labels are not what directions are fitted on."""
    from difflib import get_close_matches

    from seedbed.core.errors import DataError, InputError
    from seedbed.core.files import read_objects
    from seedbed.finders.fitting import Examples

    try:
        Examples.of(asked)
    except InputError as error:
        hint = "; label: the class, on questions of the splits train and dev"
        if not any(q.label for q in asked):
            keys = {key: line for line, row in reversed([*read_objects(path)]) for key in row}
            if near := get_close_matches("label", keys, n=1, cutoff=0.75):
                hint = f"; line {keys[near[0]]}: {near[0]}: unknown key, did you mean 'label'?"
        raise DataError(path, None, f"{error}{hint}") from error


def _classes(made: "Mapping[str, Directions]") -> set[str]:
    """The classes that the directions tell apart."""
    return {name for d in made.values() for name in (d.positive, d.negative)}


def _known(kind: str | None, made: "Mapping[str, Directions]") -> bool:
    return kind in _classes(made)


def _either(made: "Mapping[str, Directions]") -> str:
    return " or ".join(map(repr, sorted(_classes(made))))


def _show(console: "Console", tables: "Mapping[str, Units]") -> None:
    """The rows of tables with intervals over their units."""
    from seedbed.cli.job import show
    from seedbed.scoring.directions import rows

    found = [row.model_dump(mode="json") for row in rows("", [dict(tables)])]
    show(console, _short(found))


def _short(rows: "Sequence[dict[str, object]]") -> "list[dict[str, object]]":
    return [{k: v for k, v in row.items() if v not in ("", None)} for row in rows]
