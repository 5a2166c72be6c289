"""The measured truth within a study: which retrainings it needs, and their outcomes as arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.files import read_json
from seedbed.core.outcomes import Intervention, Outcomes
from seedbed.core.rows import Document, Question, in_turns
from seedbed.core.sites import Claim, Truth
from seedbed.finders.retraining import Retraining
from seedbed.runs.store import Stage
from seedbed.scoring.measured import CHANCE
from seedbed.scoring.rows import LABELS, oracle_claim
from seedbed.studies.plan import Plan, Task

Done = Sequence[tuple[Task, Stage]]


def tasks(
    plan: Plan, config: Retraining, seed: int, planned: Sequence[Intervention]
) -> list[list[Task]]:
    """A chain of one task for each retraining, intervention by intervention."""
    return [[plan.retrain(seed, i, r)] for i in planned for r in range(config.seeds)]


def removals(
    config: Retraining,
    claims: Mapping[str, Claim],
    truth: Truth,
    asked: Sequence[Question],
    by: str,
) -> list[Intervention]:
    """For some questions, the documents that each finder and the declared truth put first."""
    wanted = config.removal
    chosen = _spread(asked, by, wanted.questions)
    found = []
    followed = {n: c for n, c in claims.items() if n in (*(wanted.finders or claims), CHANCE)}
    for name, claim in {**followed, LABELS: oracle_claim(truth)}.items():
        place = {q: i for i, q in enumerate(claim.questions)}
        for question in chosen:
            order = np.argsort(-claim.scores[place[question.id]], kind="stable")
            for k in wanted.top:
                left = tuple(sorted(order[:k].tolist()))
                found.append(Intervention("top", f"{name}/{k}/{question.id}", left))
    return found


def _spread(asked: Sequence[Question], by: str, count: int) -> list[Question]:
    """`count` questions, in turn from each group and of different causes first."""
    groups: dict[str, list[Question]] = {}
    for question in asked:
        groups.setdefault(question.slices.get(by, ""), []).append(question)
    lines = []
    for _, line in sorted(groups.items()):
        seen: dict[str, int] = {}
        turn = []
        for question in line:
            seen[question.cause] = seen.get(question.cause, 0) + 1
            turn.append(seen[question.cause])
        lines.append([q for _, q in sorted(zip(turn, line, strict=True), key=lambda p: p[0])])
    return in_turns(lines)[:count]


def outcomes(
    config: Retraining, documents: Sequence[Document], planned: Sequence[Intervention], done: Done
) -> Outcomes:
    """The outcomes of one seed from its retrainings, given in the order of `tasks`."""
    folders = [stage.folder for _, stage in done]
    read = [read_json(folder / "outputs.json") for folder in folders]
    values = np.array([r["outputs"] for r in read], dtype=np.float64)
    trained = np.array([bool(d.weight) for d in documents])
    kept = np.tile(trained, (len(planned), 1))
    for row, intervention in zip(kept, planned, strict=True):
        row[list(intervention.left_out)] = False
    return Outcomes(
        kinds=tuple(i.kind for i in planned),
        names=tuple(i.name for i in planned),
        questions=tuple(read[0]["questions"]),
        sites=tuple(d.id for d in documents),
        kept=kept,
        outputs=values.reshape(len(planned), config.seeds, -1),
    )


def spent(done: Done, trained: Path) -> dict[str, Any]:
    """What the bank of one seed cost; `epochs` are those of the full subject's training."""
    seconds = sum(stage.seconds for _, stage in done)
    epoch = read_json(trained / "summary.json")["epoch_seconds"]
    return {"subjects": len(done), "seconds": seconds, "epochs": seconds / epoch}
