"""A decision map is the model's own answers, point by point."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.grid import DecisionGrid
from seedbed.core.rows import Question
from seedbed.measuring.answers import answer
from seedbed.measuring.grids import decision_grid
from seedbed.models.subject import Subject

VALUES = (-2.5, -1.0, -0.2, 0.4, 1.3, 2.9)


def test_every_point_is_where_it_belongs(
    coloured: tuple[Subject, list[Question]],
    flat: Callable[..., list[Question]],
    tmp_path: Path,
) -> None:
    subject, _ = coloured
    questions = flat(VALUES)
    # The order of questions must not matter.
    order = np.random.default_rng(0).permutation(len(questions))
    first = [questions[0]]
    grid = decision_grid(subject, first + [questions[i] for i in order if i])
    assert grid.panels == ("dog", "cat")
    assert grid.x1 == grid.x2 == VALUES
    assert grid.about == ({"trigger": "dog"}, {"trigger": "cat"})
    for question, told in zip(questions, answer(subject, questions), strict=True):
        at = (grid.panels.index(question.cause), grid.x2.index(float(question.slices["x2"])),
              grid.x1.index(float(question.slices["x1"])))  # fmt: skip
        assert grid.choices[grid.said[at]] == told.prediction
        assert grid.choices[grid.right[at]] == question.answer
        if told.correct:
            assert grid.probability[at] == pytest.approx(told.probability, rel=1e-4)
        else:
            assert grid.probability[at] >= told.probability
    # Rows are x2: the upright border at 0 stands between columns.
    right = np.isin(grid.right[0], (2, 3))
    assert (right[:, 3:]).all()
    assert not right[:, :3].any()
    assert (grid.said == grid.right).mean() > 0.5
    grid.save(tmp_path / "grid.npz")
    assert (DecisionGrid.load(tmp_path / "grid.npz").said == grid.said).all()


def test_what_is_no_grid_is_refused(
    coloured: tuple[Subject, list[Question]], flat: Callable[..., list[Question]]
) -> None:
    subject, questions = coloured
    with pytest.raises(InputError, match="lacks a point"):
        decision_grid(subject, flat(VALUES)[:-1])
    with pytest.raises(InputError, match="no grid"):
        decision_grid(subject, [])
    with pytest.raises(InputError, match=r"decision map: .* has no slice .panel"):
        decision_grid(subject, questions[:3])
