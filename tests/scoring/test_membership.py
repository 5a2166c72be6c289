import numpy as np
import pytest

from seedbed.core.sites import Claim, Truth
from seedbed.scoring.membership import METRICS, membership

SITES = tuple(f"d{i}" for i in range(20))


def truth(held: int) -> Truth:
    labels = np.zeros((2, 20), dtype=np.int16)
    labels[:, :held] = 1
    return Truth(("a", "b"), SITES, np.zeros((2, 20)), labels, ("unrelated", "held out"))


def claim(scores: np.ndarray) -> Claim:
    return Claim(("a", "b"), SITES, scores)


def test_a_finder_that_knows_what_was_trained_and_one_that_has_it_backwards() -> None:
    known = (np.arange(20) >= 10).astype(float) * np.ones((2, 1))
    found = membership(claim(known), truth(10))
    assert set(found) == set(METRICS)
    assert found["trained_auc"].values.tolist() == [1, 1]
    assert found["trained_in_top10"].values.tolist() == [1, 1]
    assert found["trained_gap"].values == pytest.approx([2, 2])
    assert membership(claim(-known), truth(10))["trained_auc"].values.tolist() == [0, 0]


def test_ties_and_random_scores() -> None:
    flat = membership(claim(np.zeros((2, 20))), truth(10))
    assert flat["trained_auc"].values.tolist() == [0, 0]
    assert flat["trained_in_top10"].values.tolist() == [0, 0]
    assert flat["trained_gap"].values.tolist() == [0, 0]
    assert flat["trained_in_top10"].chance == 0.5
    scores = np.random.default_rng(0).normal(size=(2000, 2, 20))
    found = [membership(claim(s), truth(10)) for s in scores]
    for metric in METRICS:
        mean = np.mean([f[metric].values for f in found])
        assert mean == pytest.approx(found[0][metric].chance, abs=0.02)


@pytest.mark.parametrize("held", [0, 20])
def test_nothing_to_tell_apart(held: int) -> None:
    assert membership(claim(np.ones((2, 20))), truth(held)) == {}
