"""Probes solved together against scikit-learn's one by one, and by their own gradient."""

import pytest
import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.finders.solving import logistic, logistic_of_gram

SITES, RIDGES = 3, (0.02, 0.5)


def _examples(n: int, width: int) -> tuple[Tensor, Tensor]:
    own = torch.Generator().manual_seed(n + width)
    x = torch.randn(SITES, n, width, generator=own, dtype=torch.float64) + 1.5
    noise = torch.randn(n, generator=own, dtype=torch.float64)
    return x, ((x[0, :, 0] - 1.5 + noise) > 0.3).double()


@pytest.mark.parametrize(("n", "width"), [(60, 8), (40, 90), (200, 260)])
def test_agrees_with_scikit_learn(n: int, width: int) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = _examples(n, width)
    for ridge, (w, b) in zip(RIDGES, logistic(x, y, RIDGES), strict=True):
        for site in range(SITES):
            # Its default solver leaves an intercept as much as 1e-4 from the minimum.
            peer = linear.LogisticRegression(C=1 / (ridge * n), solver="newton-cholesky", tol=1e-10)
            peer.fit(x[site].numpy(), y.numpy())
            theirs = torch.from_numpy(peer.coef_[0])
            assert torch.allclose(w[site], theirs, atol=1e-4)
            assert abs(float(b[site]) - float(peer.intercept_[0])) < 1e-4
            said = (x[site] @ w[site] + b[site] > 0).double()
            assert float((said == y).double().mean()) == peer.score(x[site].numpy(), y.numpy())


def test_gradient_of_the_loss_is_nothing_at_the_minimum() -> None:
    x, y = _examples(40, 90)
    ((w, b),) = logistic(x, y, [0.1])
    w, b = w.requires_grad_(), b.requires_grad_()
    f = (x @ w.unsqueeze(2)).squeeze(2) + b[:, None]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(f, y.expand_as(f), reduction="none")
    (loss.mean(1) + 0.05 * w.square().sum(1)).sum().backward()
    assert w.grad is not None
    assert b.grad is not None
    assert float(w.grad.norm(dim=1).max()) < 1e-6
    assert float(b.grad.abs().max()) < 1e-6


def test_inner_products_are_enough() -> None:
    x, y = _examples(40, 90)
    for (w, b), (a, c) in zip(
        logistic(x, y, RIDGES), logistic_of_gram(x @ x.mT, y, RIDGES), strict=True
    ):
        assert torch.allclose((x.mT @ a.unsqueeze(2)).squeeze(2), w, atol=1e-8)
        assert torch.allclose(b, c, atol=1e-8)


def test_neither_company_nor_the_other_ridges_matter() -> None:
    x, y = _examples(60, 8)
    (w, b), _ = logistic(x, y, RIDGES)
    for site in range(SITES):
        ((alone, intercept),) = logistic(x[site : site + 1], y, RIDGES[:1])
        assert torch.allclose(alone[0], w[site], atol=2e-5)
        assert torch.allclose(intercept[0], b[site], atol=2e-5)


def test_separable_classes_end_in_finite_weights() -> None:
    x = torch.cat([torch.full((1, 20, 3), -50.0), torch.full((1, 20, 3), 50.0)], 1)
    y = torch.arange(40) >= 20
    ((w, _),) = logistic(x, y.double(), [1e-4])
    assert bool(w.isfinite().all())
    assert bool((((x.double() @ w.unsqueeze(2)).squeeze(2) > 0) == y).all())


@pytest.mark.parametrize(("ridge", "labels"), [(0.0, "two"), (0.1, "one")])
def test_what_has_no_minimum_is_refused(ridge: float, labels: str) -> None:
    x, y = _examples(20, 4)
    with pytest.raises(InputError, match=r"two classes|positive"):
        logistic(x, y if labels == "two" else torch.ones(20), [ridge])
