"""Scoring as a stage: what a run folder shows of every seed, marked against the truths.

Workers run it like any other stage, so that whoever plans a study has light work only.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from seedbed.core.files import read_rows, write_json
from seedbed.core.outcomes import Outcomes
from seedbed.core.rows import Question
from seedbed.core.sites import Claim
from seedbed.measuring.answers import Answer
from seedbed.runs.store import code_digest
from seedbed.scoring.measured import collect_measured
from seedbed.scoring.rows import Cost, SeedResults, collect
from seedbed.studies import sites
from seedbed.studies.effects import Done
from seedbed.studies.plan import Plan, Task
from seedbed.training.loop import Progress

FILE = "scores.json"
Asked = Mapping[int, tuple[str, ...]]
Names = Mapping[int, Sequence[str]]


def score_task(plan: Plan, folder: Path, found: Done, asked: Asked, names: Names) -> Task:
    """The scores of all seeds; `found` are the claims that they are stored under.

    `names` are the finders of each seed, as they are called in the run's `folder`.
    """
    study = plan.study
    removal = study.measured.removal if study.measured else None
    key = {
        "code": code_digest(),
        "claims": [[t.seed, t.name, s.digest] for t, s in found],
        "names": [list(names[s]) for s in study.seeds],
        "removal": removal and removal.model_dump(mode="json"),
        "data": [plan.data(s).key for s in study.seeds],
    }
    given = {s: asked[s] for s in study.seeds}, {s: tuple(names[s]) for s in study.seeds}
    return Task(study.seeds[0], "score", "scores", key, partial(_score, folder, *given))


def _score(
    run: Path, asked: Asked, names: Names, folder: Path, progress: Progress | None
) -> None:  # fmt: skip
    results = [seed_results(run, s, asked[s], names[s]) for s in asked]
    every = [*collect(results), *collect_measured(results)]
    write_json(folder / FILE, [row.model_dump(mode="json") for row in every])


def seed_results(run: Path, seed: int, asked: Sequence[str], names: Sequence[str]) -> SeedResults:
    """One seed of a run folder, ready to be scored."""
    return results_in(run / "seeds" / str(seed), seed, asked, names)


def results_in(here: Path, seed: int, asked: Sequence[str], names: Sequence[str]) -> SeedResults:
    """One seed's claims in the folder `here`, beside the rows and answers that they are about."""
    questions = read_rows(here / "data" / "questions.jsonl", Question)
    answers = read_rows(here / "measure" / "answers.jsonl", Answer)
    by_id = {q.id: q for q in questions}
    correct = {a.id: a.correct for a in answers}
    outcomes = here / "effects" / "outcomes.npz"
    return SeedResults(
        seed=seed,
        questions=[by_id[q] for q in asked],
        correct=np.array([correct[q] for q in asked]),
        truth=sites.truth_of(here).select(tuple(asked)),
        claims={n: Claim.load(here / f"find-{n}" / "claim.npz") for n in names},
        costs={n: Cost.read(here / f"find-{n}" / "cost.json") for n in names},
        outcomes=Outcomes.load(outcomes).select(asked) if outcomes.exists() else None,
    )


def seed_answers(run: Path, seed: int) -> tuple[list[Question], list[Answer]]:
    """What one seed's subject was asked and what it answered."""
    here = run / "seeds" / str(seed)
    questions = read_rows(here / "data" / "questions.jsonl", Question)
    return questions, read_rows(here / "measure" / "answers.jsonl", Answer)
