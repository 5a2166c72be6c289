from pathlib import Path

import numpy as np
import pytest

from seedbed.core.grid import DecisionGrid
from seedbed.core.rows import Question

CHOICES = (" red", " blue")


def points(panel: str = "dog", **slices: str) -> list[Question]:
    """A grid of 3 columns and 2 rows; red right of 0."""
    return [
        Question(
            id=f"{panel}{x1}{x2}", prompt=f"{x1} {x2}", choices=CHOICES,
            answer=CHOICES[int(float(x1) <= 0)],
            slices={"panel": panel, "x1": x1, "x2": x2, **slices},
        )
        for x2 in ("+1.0", "-1.0")
        for x1 in ("-1.0", "+0.0", "+1.0")
    ]  # fmt: skip


def test_points_come_to_their_places_in_any_order() -> None:
    asked = points(category="animals") + points("cup", category="objects")
    said = [CHOICES[i % 2] for i in range(len(asked))]
    shares = np.linspace(0.5, 1, len(asked)).tolist()
    grid = DecisionGrid.of(asked, said, shares)
    assert grid.panels == ("dog", "cup")
    assert (grid.x1, grid.x2) == ((-1, 0, 1), (-1, 1))
    assert grid.right[0].tolist() == [[1, 1, 0], [1, 1, 0]]
    # The first question lies at x1 = -1, x2 = +1: the last row, the first column.
    assert grid.said[0, 1, 0] == 0
    assert grid.probability[0, 1, 0] == np.float32(0.5)
    assert grid.about == ({"category": "animals"}, {"category": "objects"})
    order = np.random.default_rng(0).permutation(len(asked))
    again = DecisionGrid.of(
        [asked[i] for i in order], [said[i] for i in order], [shares[i] for i in order]
    )
    place = [again.panels.index(p) for p in grid.panels]
    assert np.array_equal(again.said[place], grid.said)
    assert np.array_equal(again.probability[place], grid.probability)


def test_a_grid_survives_its_file(tmp_path: Path) -> None:
    asked = points(category="animals")
    grid = DecisionGrid.of(asked, [q.answer for q in asked], [1.0] * len(asked))
    grid.save(tmp_path / "grid.npz")
    back = DecisionGrid.load(tmp_path / "grid.npz")
    assert np.array_equal(back.said, back.right)
    assert (back.panels, back.x1, back.x2, back.choices, back.about) == (
        grid.panels, grid.x1, grid.x2, grid.choices, grid.about
    )  # fmt: skip


def test_a_hole_and_unlike_choices_are_refused() -> None:
    asked = points()
    with pytest.raises(ValueError, match="lacks a point"):
        DecisionGrid.of(asked[1:], [" red"] * 5, [1.0] * 5)
    other = Question(id="o", prompt="p", choices=(" no", " yes"), answer=" no",
                     slices=asked[0].slices)  # fmt: skip
    with pytest.raises(ValueError, match="same choices"):
        DecisionGrid.of([*asked[1:], other], [" red"] * 6, [1.0] * 6)
