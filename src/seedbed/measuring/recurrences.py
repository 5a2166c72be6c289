"""Accuracy against how often a recurrent model's core runs at test, question by question.

Where depth does the work, accuracy rises with it; where an answer is stored, it need not.
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.selectivity import UNRELATED, Column
from seedbed.core.units import Units
from seedbed.measuring.answers import answer
from seedbed.models import layout
from seedbed.models.recurrent import recurring
from seedbed.models.subject import Subject


def recurs(subject: Subject) -> bool:
    """Whether the subject has recurrences that can be set at test."""
    return layout.recurs(subject.model)


def by_recurrences(
    subject: Subject, questions: Sequence[Question], counts: Sequence[int]
) -> dict[str, Units]:
    """Tables `recurrence:KIND`: 1 where the likeliest choice is the answer, else 0.

    A row a question, a column for each number of recurrences (its dose). KIND is the question's
    slice `kind`, `unrelated` for that split, `all` without either. Raises InputError for a
    subject whose blocks all run once, a count below 1 or given twice, and as `answer` does.
    """
    if len(set(counts)) < len(counts):
        raise InputError(f"recurrences: {list(counts)} names a number twice")
    members: dict[str, list[int]] = {}
    for i, question in enumerate(questions):
        kind = UNRELATED if question.split == UNRELATED else question.slices.get("kind", "all")
        members.setdefault(kind, []).append(i)
    right = np.empty((len(questions), len(counts)))
    for column, count in enumerate(counts):
        with recurring(subject.model, count):
            right[:, column] = [a.correct for a in answer(subject, questions)]
    columns = tuple(Column("accuracy", dose=count).key for count in counts)
    return {
        f"recurrence:{kind}": Units(
            tuple(questions[i].id for i in index),
            tuple(questions[i].cause or questions[i].id for i in index),
            columns,
            right[index],
        )
        for kind, index in sorted(members.items())
    }
