"""Decision maps: what a subject answers at every point of a world's grid.

Thousands of short prompts that share their beginnings, so a map takes seconds.
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.errors import InputError
from seedbed.core.grid import DecisionGrid
from seedbed.core.rows import Question
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject


def decision_grid(subject: Subject, questions: Sequence[Question]) -> DecisionGrid:
    """The likeliest choice, and its probability among the choices, at each of `World.grid`.

    Raises InputError for questions that make no grid (a panel lacks a point, choices differ,
    there are none) and as `score_choices` does.
    """
    if not questions:
        raise InputError("decision map: this world has no grid")
    for question in questions:
        for name in ("panel", "x1", "x2"):
            if name not in question.slices:
                raise InputError(f"decision map: question {question.id!r} has no slice {name!r}")
    said, probability = [], []
    for question, scores in zip(questions, score_choices(subject, questions), strict=True):
        values = np.array(scores.logprobs)
        shares = np.exp(values - values.max())
        said.append(question.choices[int(values.argmax())])
        probability.append(float(shares.max() / shares.sum()))
    try:
        return DecisionGrid.of(questions, said, probability)
    except ValueError as error:
        raise InputError(f"decision map: {error}") from error
