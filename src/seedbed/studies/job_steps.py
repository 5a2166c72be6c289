"""The steps of jobs: each writes its files and returns what its numbers mean, and its rows.

What an interrupted step has written already is taken as it is.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seedbed.core.cells import LAST, MEAN, Cell
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.core.files import write_rows
from seedbed.core.rows import LABELLED, Question
from seedbed.core.units import save_units
from seedbed.finders.directions import METHODS, directions_of
from seedbed.finders.distinct import distinct
from seedbed.finders.fitting import Examples
from seedbed.finders.kept import keep
from seedbed.finders.states import cell_of
from seedbed.finders.steering import Steering, steered
from seedbed.finders.told import cosines, decodable
from seedbed.models.blocks import Blocks, Site, blocks_of
from seedbed.models.subject import Subject
from seedbed.scoring.directions import rows as direction_rows
from seedbed.studies.harnessing import directions_for
from seedbed.studies.jobs import Reading, Task
from seedbed.worlds.observed.splitting import CLASSES, TEST

Rows = list[dict[str, Any]]
Made = tuple[str, Rows]
TABLES, QUESTIONS = "tables.npz", "questions.jsonl"


def edges(blocks: Blocks, layers: Sequence[int], key: str = "layers") -> list[Site]:
    """The residual stream's edges of some numbers in running order (none: all of them).

    Raises InputError for a number that there is not; `key` is where it was given.
    """
    every = blocks.residual()
    for layer in layers:
        if not 0 <= layer < len(every):
            raise InputError(f"{key}: {layer}; the model has 0 to {len(every) - 1}")
    return [every[layer] for layer in layers or range(len(every))]


def cells_of(reading: Reading, subject: Subject) -> list[Cell]:
    """The cells whose states are read."""
    place = LAST if reading.tokens == "last" else MEAN
    return [
        cell_of(site, place)
        for site in edges(blocks_of(subject.model), reading.layers, "reading.layers")
    ]


def kinds_of(questions: Sequence[Question]) -> dict[str, str]:
    """Question id → class, of questions of either class."""
    return {q.id: q.slices["kind"] for q in questions if q.slices["kind"] in CLASSES}


def states(task: Task, _: Path | None) -> Made:
    """Save the states of all scored questions."""
    job, subject = task.job, task.subject
    asked = [q for q in task.world.questions(job.seed) if q.slices["kind"] in CLASSES]
    write_rows(task.folder / QUESTIONS, asked)
    kept = keep(subject, asked, cells_of(job.reading, subject), task.folder / "states",
                answer=job.reading.answer, precision=job.reading.precision)  # fmt: skip
    rows = [{"split": split, "kind": kind,
             "questions": sum(q.split == split and q.slices["kind"] == kind for q in asked)}
            for split in (*LABELLED, TEST) for kind in CLASSES]  # fmt: skip
    about = (
        f"states/ holds the hidden states of {len(asked)} questions at {len(kept.cells)} cells,"
        f" one tensor [questions, width] a cell in each shard; states.json tells their order, the"
        f" model and the tokens. {QUESTIONS} holds the questions with their splits and classes."
    )
    return about, rows


def directions(task: Task, _: Path | None) -> Made:
    """Directions of train, their cell chosen on dev, and what they read of test."""
    job, subject = task.job, task.subject
    asked = task.world.questions(job.seed)
    examples = Examples.of(asked)
    cells, answer = cells_of(job.reading, subject), job.reading.answer
    for measure in job.directions.measure:
        if measure not in METHODS:
            raise InputError(f"directions.measure: {measure!r} has no vector in the model")
    methods = [m for m in METHODS if m in job.directions.measure]
    shown = [*examples.train, *examples.dev]
    some = keep(subject, shown, cells, task.folder / "states", answer=answer,
                precision=job.reading.precision)  # fmt: skip
    found = directions_of(subject, examples, some, methods, job.directions.ridges, answer=answer)
    made = {method: one.directions for method, one in found.items()}
    for method, one in made.items():
        one.save(task.folder / f"{method}.safetensors")
    held_out = [q for q in asked if q.split == TEST]
    test = keep(subject, held_out, cells, task.folder / "states-test", answer=answer,
                precision=job.reading.precision)  # fmt: skip
    named: dict[str, Directions] = dict(made.items())
    tables = decodable(named, test, kinds_of(held_out), {q.id: q.cause for q in held_out})
    save_units(task.folder / TABLES, {**tables, **cosines(named)})
    about = (
        "MEASURE.safetensors holds one unit vector a cell, from the class memory to reasoning,"
        " fitted on train (its .json tells of what, and the cell chosen on dev). Rows: AUC and"
        f" accuracy of reading the class of {len(held_out)} questions of test, at every cell and"
        f" at the chosen one, with 95 % intervals over items; {TABLES} also holds cosines."
    )
    return about, [row.model_dump(mode="json") for row in direction_rows("", [tables])]


def effect(task: Task, needed: Path | None) -> Made:
    """How much a small push at each cell changes the next token, beside random directions."""
    job, subject = task.job, task.subject
    assert needed is not None
    named: dict[str, Directions] = {m: loaded(task, needed, m) for m in job.effect.measure}
    held_out = [q for q in task.world.questions(job.seed) if q.split == TEST]
    asked, lost = distinct(subject, held_out)
    config = Steering(actions=(), patch=False, documents=0, questions=job.effect.questions,
                      small=job.effect.small, random=job.effect.random)  # fmt: skip
    found = steered(config, subject, named, (), asked, (), kinds_of(asked), (), ())
    tables = {n: t for n, t in found.tables.items() if n.startswith("effect:")}
    save_units(task.folder / TABLES, tables)
    about = (
        "Effect per layer on questions of test: kl is the mean divergence of the next token's"
        " distribution after a push of ±ε, over ε²; logit the mean absolute slope of the"
        " log-odds of the right answer. A push of 1 is the distance of the class means at that"
        " cell. 95 % intervals over items; random: directions of the same length. Of options that"
        f" begin with the same token one is kept; {len(lost)} of {len(held_out)} questions had no"
        " other and are left out."
    )
    return about, [row.model_dump(mode="json") for row in direction_rows("", [tables])]


def loaded(task: Task, folder: Path, measure: str) -> Directions:
    """Saved directions; raises InputError if they are of another model than the job's."""
    path = folder / f"{measure}.safetensors"
    if not path.exists():
        kept = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors")))
        raise InputError(f"{task.name}: {folder} holds no directions by {measure!r}; it has {kept}")
    return directions_for(path, task.subject, task.job.subject.path)


def _asking(name: str) -> Callable[[Task, Path | None], Made]:
    """A step that asks the model, whose module is imported when it runs."""

    def run(task: Task, needed: Path | None) -> Made:
        from seedbed.studies import job_asking

        made: Made = getattr(job_asking, name)(task, needed)
        return made

    return run


STEPS: dict[str, Callable[[Task, Path | None], Made]] = {
    "states": states, "directions": directions, "effect": effect,
    "accuracy": _asking("accuracy"), "harness": _asking("harness"),
}  # fmt: skip
