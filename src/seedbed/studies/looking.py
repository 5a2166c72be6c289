"""Further looks at a trained subject, each a stage: in words, over training, over a grid.

What each looks at depends on the questions alone; none of them changes the gate or a score.
"""

from functools import partial
from pathlib import Path

from seedbed.core.files import read_rows, write_json, write_rows
from seedbed.core.rows import Question
from seedbed.measuring.answers import Answer
from seedbed.measuring.grids import decision_grid
from seedbed.measuring.history import history, sample
from seedbed.measuring.words import in_words
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.studies.plan import Plan, Task, config_of
from seedbed.studies.stages import choice_lengths, load_stage, put
from seedbed.training.loop import Progress
from seedbed.worlds.base import World

GRID = "grid.npz"


def tasks(plan: Plan, seed: int) -> list[Task]:
    """What follows the measuring of one seed's subject."""
    looks, study = plan.study.looks, plan.study
    trained, data = plan.place(plan.train(seed)), plan.place(plan.data(seed))
    measured = plan.place(plan.measure(seed))
    found = []
    given = (study.subject, trained[1], data[1])
    key = {**plan.base, "train": trained[0]}
    if looks.words:
        work = partial(_words, looks.words, *given, measured[1])
        found.append(Task(seed, "words", "words", {**key, "words": looks.words}, work))
    if looks.history:
        past = partial(_history, looks.history, *given)
        found.append(Task(seed, "history", "history", {**key, "history": looks.history}, past))
    if looks.grid:
        found.append(grid_task(plan, plan.train(seed), study.world, "grid"))
    return found


def grid_task(plan: Plan, trained: Task, world: World, name: str) -> Task:
    """The decision map of the subject that `trained` leaves, over the grid of `world`."""
    digest, folder = plan.place(trained)
    key = {**plan.base, "train": digest, "world": config_of(world), "seed": trained.seed}
    work = partial(_grid, world, trained.seed, plan.study.subject, folder)
    return Task(trained.seed, "grid", name, key, work)


def _words(
    count: int,
    config: SubjectConfig,
    trained: Path,
    data: Path,
    measured: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    subject, questions = _asked(config, trained, data, count)
    said = {a.id: a for a in read_rows(measured / "answers.jsonl", Answer)}
    # Documents teach no end of a reply, so only as much is written as the longest choice has.
    most = max(choice_lengths(subject, questions).values())
    rows, summary = in_words(subject, questions, most, [said[q.id] for q in questions])
    write_rows(folder / "rows.jsonl", rows)
    write_json(folder / "words.json", summary.model_dump(mode="json"))


def _history(
    count: int,
    config: SubjectConfig,
    trained: Path,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    subject, questions = _asked(config, trained, data, count)
    write_rows(folder / "history.jsonl", history(subject, questions, count))


def _grid(
    world: World,
    seed: int,
    config: SubjectConfig,
    trained: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    questions = world.grid(seed)
    subject = load_stage(config, trained)
    decision_grid(subject, put(config, subject, questions)).save(folder / GRID)


def _asked(
    config: SubjectConfig, trained: Path, data: Path, count: int
) -> tuple[Subject, list[Question]]:
    subject = load_stage(config, trained)
    questions = sample(read_rows(data / "questions.jsonl", Question), count)
    return subject, put(config, subject, questions)
