"""Regularised logistic regression of many probes at once, by Newton's method in float64.

All problems share their labels. With more features than examples the unknowns are weights of
examples, so that a step costs a matrix of examples, never of features.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from seedbed.core.errors import InputError

STEPS = 100
"""Newton steps after which a solve is given up; ten are usual."""
TOLERANCE = 1e-8
"""Largest entry of the gradient at which a solve ends, relative to that at the start."""
_LEAST = 1e-10
_HALVINGS = 30


def logistic(x: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """(weights [S, p], intercepts [S]) of S problems x [S, n, p] with one list of labels y [n].

    Minimises mean log(1 + exp(−t f)) + ridge / 2 · |w|², f = x · w + b, t = ±1 for y = 1 and 0;
    the intercept is free. That is scikit-learn's LogisticRegression with C = 1 / (ridge · n).
    Raises InputError for a ridge that is not positive or labels of one class only.
    """
    x = x.double()
    if x.shape[2] <= x.shape[1]:
        return _primal(x, y, ridge)
    weights, intercepts = logistic_of_gram(x @ x.mT, y, ridge)
    return (x.mT @ weights.unsqueeze(2)).squeeze(2), intercepts


def logistic_of_gram(gram: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """(weights of examples a [S, n], intercepts [S]) from inner products of examples [S, n, n].

    As `logistic`, with w = Σ aᵢ xᵢ, so that f = gram · a + b.
    """
    gram = gram.double()
    y = _labels(y, gram)
    n = len(y)
    one = torch.eye(n, dtype=gram.dtype, device=gram.device)

    def step(f: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p = f.sigmoid()
        g, w = (p - y) / n, (p * (1 - p) / n).clamp(min=_LEAST / n)
        root = w.sqrt()
        matrix = root.unsqueeze(2) * gram * root.unsqueeze(1) + ridge * one
        sides = torch.stack([root * f - g / root, root], 2)
        u, v = torch.cholesky_solve(sides, torch.linalg.cholesky(matrix)).unbind(2)
        # The free intercept makes the weights of examples add up to nothing.
        free = (root * u).sum(1) / (root * v).sum(1)
        da = root * (u - free.unsqueeze(1) * v) - a
        return da, free - b, (gram @ da.unsqueeze(2)).squeeze(2) + (free - b).unsqueeze(1)

    def penalty(a: Tensor, b: Tensor, f: Tensor) -> Tensor:
        return ridge / 2 * (a * (f - b.unsqueeze(1))).sum(1)

    def slope(f: Tensor, a: Tensor) -> Tensor:
        g = (f.sigmoid() - y) / n
        return torch.cat([g + ridge * a, g.sum(1, keepdim=True)], 1).abs().amax(1)

    start = torch.zeros(gram.shape[:2], dtype=gram.dtype, device=gram.device)
    return _newton(start, y, step, penalty, slope)


_Step = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
_Penalty = Callable[[Tensor, Tensor, Tensor], Tensor]
_Slope = Callable[[Tensor, Tensor], Tensor]


def _primal(x: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    y = _labels(y, x)
    n, width = x.shape[1:]
    wide = torch.cat([x, torch.ones_like(x[..., :1])], 2)
    pull = torch.full((width + 1,), ridge, dtype=x.dtype, device=x.device)
    pull[-1] = 0

    def step(f: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p = f.sigmoid()
        weights = (p * (1 - p) / n).clamp(min=_LEAST / n)
        matrix = wide.mT @ (weights.unsqueeze(2) * wide) + pull.diag()
        gradient = (wide.mT @ ((p - y) / n).unsqueeze(2)).squeeze(2)
        gradient[:, :-1] += ridge * w
        found = -torch.cholesky_solve(gradient.unsqueeze(2), torch.linalg.cholesky(matrix))
        dw, db = found[:, :-1, 0], found[:, -1, 0]
        return dw, db, (wide @ found).squeeze(2)

    def penalty(w: Tensor, b: Tensor, f: Tensor) -> Tensor:
        return ridge / 2 * (w * w).sum(1)

    def slope(f: Tensor, w: Tensor) -> Tensor:
        gradient = (wide.mT @ ((f.sigmoid() - y) / n).unsqueeze(2)).squeeze(2)
        gradient[:, :-1] += ridge * w
        return gradient.abs().amax(1)

    start = torch.zeros(len(x), width, dtype=x.dtype, device=x.device)
    return _newton(start, y, step, penalty, slope)


def _newton(
    w: Tensor, y: Tensor, step: _Step, penalty: _Penalty, slope: _Slope
) -> tuple[Tensor, Tensor]:
    """Newton's method with halved steps where a whole one would not go down, each problem apart."""
    b = torch.zeros(len(w), dtype=w.dtype, device=w.device)
    f = torch.zeros(len(w), len(y), dtype=w.dtype, device=w.device)
    goal = TOLERANCE * slope(f, w).clamp(min=_LEAST)
    sign = 1 - 2 * y

    def value(w: Tensor, b: Tensor, f: Tensor) -> Tensor:
        return softplus(sign * f).mean(1) + penalty(w, b, f)

    now = value(w, b, f)
    for _ in range(STEPS):
        if bool((slope(f, w) <= goal).all()):
            break
        dw, db, df = step(f, w, b)
        size = torch.ones_like(b)
        for _ in range(_HALVINGS):
            t = size.unsqueeze(1)
            new = w + t * dw, b + size * db, f + t * df
            after = value(*new)
            worse = after > now + 1e-15 * now.abs().clamp(min=1)
            if not bool(worse.any()):
                break
            size = torch.where(worse, size / 2, size)
        (w, b, f), now = new, after
    else:
        raise InputError(f"a probe did not converge in {STEPS} steps; a larger ridge is needed")
    return w, b


def _labels(y: Tensor, like: Tensor) -> Tensor:
    y = y.to(like)
    if not bool((y == 1).any()) or not bool((y == 0).any()):
        raise InputError("a probe needs examples of two classes")
    return y
