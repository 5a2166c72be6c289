"""The stages of `spread`: a subject taught again, and what it says before and after.

All arms and methods of a seed begin at the same subject and draw the same batches where their
documents agree.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from seedbed.core.files import read_rows
from seedbed.core.rows import Document, Question
from seedbed.core.seeds import derive
from seedbed.measuring.answers import Answer
from seedbed.models.folders import save_subject
from seedbed.models.subject import SubjectConfig
from seedbed.scoring.shares import Asked
from seedbed.studies.looking import grid_task
from seedbed.studies.plan import Plan, Task
from seedbed.studies.spread import Spread, cell_name
from seedbed.studies.stages import load_stage, measure_stage
from seedbed.training.config import Training
from seedbed.training.loop import Progress, train
from seedbed.worlds.base import World

MEASURED = "measured"


def spread_of(plan: Plan) -> Spread:
    """The `spread` of a plan's study."""
    assert plan.study.spread is not None
    return plan.study.spread


def rows_task(plan: Plan, seed: int, arm: str) -> Task:
    """Rows of the second stage under an arm."""
    world = spread_of(plan).world(arm, plan.study.world)
    return plan.rows(world, seed, f"spread/data-{arm}")


def before_task(plan: Plan, seed: int, arm: str) -> Task:
    """What the study's subject answers to an arm's questions."""
    return plan.measured(plan.train(seed), rows_task(plan, seed, arm), f"spread/before-{arm}")


def subject_task(plan: Plan, seed: int, arm: str, method: str) -> Task:
    """The subject taught again under an arm and a method, and its answers."""
    origin, data = plan.place(plan.train(seed)), plan.place(rows_task(plan, seed, arm))
    training = spread_of(plan).training_of(method)
    key = {
        **plan.base,
        "origin": origin[0],
        "training": training.model_dump(mode="json"),
        "data": data[0],
    }
    work = partial(_reteach, training, plan.study.subject, origin[1], data[1])
    return Task(seed, "reteach", f"spread/{cell_name(arm, method)}", key, work)


def map_task(plan: Plan, seed: int, arm: str, method: str, world: World) -> Task:
    """The decision map of one of those subjects."""
    trained = subject_task(plan, seed, arm, method)
    return grid_task(plan, trained, world, f"spread/grid-{cell_name(arm, method)}")


def map_before(plan: Plan, seed: int, world: World) -> Task:
    """The decision map of the study's subject over the grid of the second stage."""
    return grid_task(plan, plan.train(seed), world, "spread/grid-before")


def asked_of(data: Path, before: Path, taught: Path) -> Asked:
    """The answers of one subject beside those of the one before."""
    questions = read_rows(data / "questions.jsonl", Question)
    said, known = (_answers(folder, questions) for folder in (taught, before))
    return Asked(questions, said, known)


def _answers(folder: Path, questions: Sequence[Question]) -> list[str]:
    said = {a.id: a.prediction for a in read_rows(folder / "answers.jsonl", Answer)}
    return [said[q.id] for q in questions]


def _reteach(
    training: Training,
    config: SubjectConfig,
    origin: Path,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    subject = load_stage(config, origin)
    documents = read_rows(data / "documents.jsonl", Document)
    fresh = replace(subject, seed=derive(subject.seed, "spread"), checkpoints=())
    trained = train(fresh, documents, training, folder, progress)
    kept = trained.checkpoints if training.checkpoint_every else ()
    save_subject(replace(trained, seed=subject.seed, checkpoints=kept), folder / "subject")
    if not kept:
        shutil.rmtree(folder / "checkpoints")
    measure_stage(config, folder, data, folder / MEASURED)
