"""Metrics against scikit-learn where there are no ties, and by hand where there are."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.scoring.ranking import METRICS, chance, composition, per_question

ALL = np.ones((1, 6), dtype=bool)


def _one(
    metric: str, scores: Sequence[float], hits: list[int], known: list[int] | None = None
) -> float:
    mask = np.array([known], dtype=bool) if known else np.ones((1, len(scores)), dtype=bool)
    return float(per_question(metric, np.array([scores]), np.array([hits], dtype=bool), mask)[0])


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_agrees_with_scikit_learn_without_ties(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    scores = rng.permutation(30).astype(float)
    hits = rng.random(30) < 0.3
    hits[:2] = True, False
    plain = scores.tolist(), hits.astype(int).tolist()
    assert _one("roc_auc", *plain) == pytest.approx(metrics.roc_auc_score(hits, scores))
    expected = metrics.average_precision_score(hits, scores)
    assert _one("average_precision", *plain) == pytest.approx(expected)


def test_ties_go_against_the_finder() -> None:
    hits = [1, 0, 0, 0, 0, 0]
    assert _one("roc_auc", [0] * 6, hits) == 0
    assert _one("mrr", [0] * 6, hits) == pytest.approx(1 / 6)
    assert _one("mrr", [1, 1, 0, 0, 0, 0], hits) == 0.5


def test_by_hand() -> None:
    scores, hits = [6, 5, 4, 3, 2, 1], [0, 1, 0, 1, 0, 0]
    assert _one("average_precision", scores, hits) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert _one("r_precision", scores, hits) == 0.5
    assert _one("recall@2", scores, hits) == 0.5
    assert _one("roc_auc", scores, hits) == pytest.approx(1 - (1 + 2) / 8)


def test_unknown_sites_do_not_count() -> None:
    assert _one("average_precision", [3, 2, 1], [0, 1, 0], [0, 1, 1]) == 1


def test_undefined_is_nan_not_zero() -> None:
    assert np.isnan(_one("average_precision", [1, 2], [0, 0]))
    assert np.isnan(_one("roc_auc", [1, 2], [1, 1]))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("total", "positives"), [(6, 1), (6, 3), (7, 6), (5, 5)])
def test_chance_is_the_mean_over_every_order(metric: str, total: int, positives: int) -> None:
    places = itertools.combinations(range(total), positives)
    rows = [[int(i in p) for i in range(total)] for p in places]
    scores = [float(total - i) for i in range(total)]
    values = [_one(metric, scores, row) for row in rows]
    np.testing.assert_allclose(chance(metric, total, positives), np.mean(values), rtol=1e-9)


def test_chance_for_many_sites_by_simulation() -> None:
    rng = np.random.default_rng(0)
    hits = np.zeros((400, 3000), dtype=bool)
    hits[:, :9] = True
    known = np.ones_like(hits)
    values = per_question("mrr", rng.random(hits.shape), hits, known)
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - chance("mrr", 3000, 9)) < 4 * error


def test_composition_shares_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, size=(5, 50)).astype(np.int16)
    shares = composition(rng.random((5, 50)), labels, labels == 1, 4)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    perfect = composition((labels == 2).astype(float), labels, labels == 1, 4)
    assert perfect[:, 2].tolist() == [min(10, n) / 10 for n in (labels == 2).sum(axis=1)]
