"""Geometry of maps: every cell covered once, borders between labels, letters inside regions."""

import numpy as np
import pytest

from seedbed.report.regions import borders, middles, rectangles


@pytest.mark.parametrize("seed", range(5))
def test_rectangles_cover_a_mask_exactly_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((7, 11)) < (0.2, 0.5, 0.9, 1.0, 0.0)[seed]
    count = np.zeros(mask.shape, dtype=int)
    for corners in rectangles(mask):
        (left, low), (right, high) = corners[0].astype(int), corners[2].astype(int)
        assert (corners[0] == corners[4]).all()
        count[low:high, left:right] += 1
    assert (count == mask).all()


def test_a_full_mask_is_one_rectangle() -> None:
    assert rectangles(np.ones((4, 6), dtype=bool)).tolist() == [
        [[0, 0], [6, 0], [6, 4], [0, 4], [0, 0]]
    ]


def test_letters_stand_in_their_regions() -> None:
    said = np.zeros((12, 12), dtype=np.int16)
    said[:, 6:] = 1
    said[8:, 8:] = 0
    said[0, 0] = 2
    found = middles(said, 0.03)
    assert sorted(label for label, _ in found) == [0, 0, 1]
    for label, place in found:
        assert said[place] == label
    # The middle of the left half is as far from its sides as any cell.
    first = next(place for label, place in found if label == 0)
    assert 2 <= first[1] <= 3


def test_borders_lie_between_labels() -> None:
    right = np.zeros((6, 8), dtype=np.int16)
    right[:, 3:] = 1
    lines = borders(right)
    assert lines
    for line in lines:
        assert line[:, 0] == pytest.approx(np.full(len(line), 3.0))
    assert borders(np.zeros((5, 5), dtype=np.int16)) == []
    assert borders(np.zeros((1, 5), dtype=np.int16)) == []
