"""What a subject could answer while it was trained: the same sample at every checkpoint.

The sample is spread over splits, categories and triggers; the first rows of a file that is
ordered by trigger would show one word.
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.history import Snapshot
from seedbed.core.rows import Question, in_turns
from seedbed.core.seeds import stream
from seedbed.measuring.answers import Answer, answer
from seedbed.models.subject import Subject
from seedbed.scoring.intervals import wilson

STRATA = ("category", "trigger")


def history(subject: Subject, questions: Sequence[Question], count: int) -> list[Snapshot]:
    """Accuracy and loss at each of `subject.checkpoints`, split by split, on one sample.

    `count` questions in all, as `sample` draws them. Empty for a subject without checkpoints.
    Raises InputError as `answer` does.
    """
    asked = sample(questions, count)
    found = []
    for checkpoint in subject.checkpoints:
        with subject.at(checkpoint) as then:
            answers = answer(then, asked)
        members: dict[str, list[Answer]] = {}
        for question, said in zip(asked, answers, strict=True):
            members.setdefault(question.split, []).append(said)
        for split in sorted(members):
            own = members[split]
            right, n = sum(a.correct for a in own), len(own)
            low, high = wilson(right, n)
            losses = [a.loss for a in own if a.loss is not None]
            found.append(
                Snapshot(
                    step=checkpoint.step, epoch=checkpoint.epoch, slice=f"split={split}", n=n,
                    accuracy=right / n, low=low, high=high, loss=float(np.mean(losses)),
                )
            )  # fmt: skip
    return found


def sample(
    questions: Sequence[Question], count: int, strata: Sequence[str] = STRATA
) -> list[Question]:
    """`count` of the questions (all if there are fewer), spread evenly, in the order given.

    Splits get equal numbers as far as they last; within a split so do the values of the first
    slice of `strata`, within each of those the values of the next, and last the causes. What
    is drawn among equals depends on the questions' ids alone.
    """
    keys = {
        q.id: (q.split, *(q.slices.get(name, "") for name in strata), q.cause) for q in questions
    }
    ids = sorted(keys)
    stream(0, "history", "sample", *ids).shuffle(ids)
    kept = set(_spread(ids, keys, 0)[:count])
    return [q for q in questions if q.id in kept]


def _spread(ids: list[str], keys: dict[str, tuple[str, ...]], depth: int) -> list[str]:
    """Ids such that each beginning of the list is spread over the keys from `depth` on."""
    if not ids or depth == len(keys[ids[0]]):
        return ids
    lines: dict[str, list[str]] = {}
    for key in ids:
        lines.setdefault(keys[key][depth], []).append(key)
    return in_turns([_spread(line, keys, depth + 1) for line in lines.values()])
