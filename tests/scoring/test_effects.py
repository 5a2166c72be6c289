"""Marks against worlds of outcomes in which the answer is known."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from seedbed.core.outcomes import InterventionKind, Outcomes
from seedbed.scoring import effects as scoring
from seedbed.scoring.effects import KINDS, Effects, drops, pearson, spearman

LDS, GROUP, _ = KINDS


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of values alone: they are the same however often is resampled."""
    monkeypatch.setattr(scoring, "RESAMPLES", 10)


def additive(noise: float, rows: int = 60, seeds: int = 2, kind: InterventionKind = "subset",
             seed: int = 0) -> tuple[np.ndarray, Outcomes]:  # fmt: skip
    """(true effects [Q, N], outcomes of a subject whose outputs are sums of effects + noise)."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(5, 40))
    kept = rng.random((rows, 40)) < 0.5
    kinds: list[InterventionKind] = [kind] * rows
    if kind != "subset":
        kept = np.concatenate([np.ones((1, 40), dtype=bool), kept])
        kinds = ["none", *kinds]
    values = (kept @ effects.T)[:, None, :] + noise * rng.normal(size=(len(kept), seeds, 5))
    names = tuple(map(str, range(len(kept))))
    sites = tuple(f"d{i}" for i in range(40))
    questions = tuple(f"q{i}" for i in range(5))
    return effects, Outcomes(tuple(kinds), names, questions, sites, kept, values)


def test_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, (4, 30)).astype(float), rng.normal(size=(4, 30))
    for i in range(4):
        assert pearson(a, b)[i] == pytest.approx(pearsonr(a[i], b[i]).statistic)
        assert spearman(a, b)[i] == pytest.approx(spearmanr(a[i], b[i]).statistic)


def test_what_does_not_vary_predicts_nothing() -> None:
    assert spearman(np.full((2, 9), 0.1), np.arange(18.0).reshape(2, 9)).tolist() == [0, 0]
    assert pearson(np.arange(9.0), np.full(9, 1 / 3)) == 0


def test_the_true_effects_without_noise_score_one() -> None:
    effects, outcomes = additive(0.0)
    mark = Effects(LDS, outcomes, 0).mark(effects)
    assert mark.values == pytest.approx(np.ones(5))
    assert mark.draws == pytest.approx(np.ones_like(mark.draws))
    assert Effects(LDS, outcomes, 0).mark(-effects).values == pytest.approx(-np.ones(5))


@pytest.mark.usefixtures("few_draws")
def test_random_scores_are_near_zero() -> None:
    _, outcomes = additive(1.0, rows=400)
    rng = np.random.default_rng(1)
    found = [Effects(LDS, outcomes, 0).mark(rng.normal(size=(5, 40))).values for _ in range(20)]
    assert abs(np.mean(found)) < 0.05


def test_order_and_scale_of_documents_change_nothing() -> None:
    effects, outcomes = additive(2.0)
    scores = effects + np.random.default_rng(2).normal(size=effects.shape)
    mark = Effects(LDS, outcomes, 0).mark(scores).values
    order = np.random.default_rng(3).permutation(40)
    moved = Outcomes(outcomes.kinds, outcomes.names, outcomes.questions,
                     tuple(outcomes.sites[i] for i in order), outcomes.kept[:, order],
                     outcomes.outputs)  # fmt: skip
    assert Effects(LDS, moved, 0).mark(7 * scores[:, order]).values == pytest.approx(mark)


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("noise", [2.0, 4.0, 8.0])
def test_the_ceiling_is_what_the_true_effects_reach(noise: float) -> None:
    effects, outcomes = additive(noise, rows=2000, seeds=3)
    made = Effects(LDS, outcomes, 0)
    reached = made.mark(effects).values.mean()
    ceiling = made.ceiling(np.array(made.agreement().values.mean()))
    assert float(ceiling) == pytest.approx(reached, abs=0.03)
    assert reached < 0.99


def test_leaving_out_marks_the_fall_against_training_on_everything() -> None:
    effects, outcomes = additive(0.0, kind="group")
    assert Effects(GROUP, outcomes, 0).mark(effects).values == pytest.approx(np.ones(5))
    assert Effects(GROUP, outcomes, 0).count == 60


def test_drops_are_of_the_question_that_was_asked() -> None:
    kept = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 1]], dtype=bool)
    values = np.array([[[5.0, 5], [7, 7]], [[1, 0], [1, 0]], [[0, 4], [0, 6]]])
    outcomes = Outcomes(("none", "top", "top"), ("", "bm25/1/q0", "bm25/2/q1"), ("q0", "q1"),
                        ("a", "b", "c"), kept, values)  # fmt: skip
    found = drops(outcomes)
    assert found["bm25", 1] == pytest.approx([5.0, np.nan], nan_ok=True)
    assert found["bm25", 2] == pytest.approx([np.nan, 1.0], nan_ok=True)
