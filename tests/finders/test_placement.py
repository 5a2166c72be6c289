"""Placement values against scikit-learn's area under the ROC curve, ties included."""

import numpy as np
import pytest

from seedbed.finders.placement import auc, influences, placements, right


@pytest.mark.parametrize("seed", range(5))
def test_mean_is_the_area_whatever_the_sizes(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    positive = rng.random(41) < 0.2 + 0.15 * seed
    scores = np.round(rng.normal(size=41) + positive, 1)
    wanted = metrics.roc_auc_score(positive, scores)
    found = placements(scores, positive)
    assert auc(scores, positive) == pytest.approx(wanted, abs=1e-12)
    assert found[positive].mean() == pytest.approx(wanted, abs=1e-12)
    assert found[~positive].mean() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_influence_values_spread_as_the_area_does(share: float) -> None:
    rng = np.random.default_rng(0)
    areas, guesses = [], []
    for _ in range(800):
        positive = np.arange(60) < 60 * share
        scores = rng.normal(size=60) + positive
        values = influences(scores, positive)
        areas.append(auc(scores, positive))
        assert values.mean() == pytest.approx(areas[-1], abs=1e-12)
        guesses.append(values.std() / np.sqrt(60))
    assert np.mean(guesses) == pytest.approx(np.std(areas), rel=0.1)


def test_one_class_has_no_area() -> None:
    for found in (placements, influences):
        assert np.isnan(found(np.arange(3.0), np.ones(3, dtype=bool))).all()


def test_a_score_on_the_threshold_is_half_right() -> None:
    positive = np.array([True, True, False, False])
    assert right(np.array([2.0, 0.0, -1.0, 3.0]), positive).tolist() == [1, 0.5, 1, 0]
