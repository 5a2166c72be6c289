"""Regularised logistic regression of many probes at once, by Newton's method.

All problems share their labels. With more features than examples the unknowns are weights of
examples, so that several ridges share inner products. Losses and gradients are float64; their
curvature is factorised in float32, and again only where steps with the old factor are slow.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from seedbed.core.errors import InputError

STEPS = 100
"""Newton steps after which a solve is given up; ten are usual."""
TOLERANCE = 1e-5
"""Length of the gradient over the ridge at which a problem is solved: the loss bends at least
as much as its penalty, so no weight is further than this from where it should be."""
TILE = 2**20
"""Numbers in the matrices that are factorised together: what a processor's cache holds."""
SLOW = 0.2
"""A step that leaves more than this share of the gradient is followed by a new factor."""
SHARE, ROUGH = 6, 0.1
"""One example in `SHARE` spans the weights of a first solve, to a gradient of `ROUGH` × ridge."""
MANY = 150
"""With fewer examples a first solve costs more than it saves."""
_LEAST = 1e-10
_HALVINGS = 30


def logistic(x: Tensor, y: Tensor, ridges: Sequence[float]) -> list[tuple[Tensor, Tensor]]:
    """(weights [S, p], intercepts [S]) for each ridge, of S problems x [S, n, p], labels y [n].

    Minimises mean log(1 + exp(−t f)) + ridge / 2 · |w|², f = x · w + b, t = ±1 for y = 1 and 0;
    the intercept is free. That is scikit-learn's LogisticRegression with C = 1 / (ridge · n).
    Raises InputError for a ridge that is not positive or labels of one class only.
    """
    sites, n, width = x.shape
    few = width > n
    size = max(1, TILE // (n * min(n, width)))
    found: list[list[tuple[Tensor, Tensor]]] = []
    for start in range(0, sites, size):
        some = x[start : start + size].double()
        solved = _solved(_Examples(_inner(some)) if few else _Features(some), y, ridges)
        found.append([((w.unsqueeze(1) @ some).squeeze(1) if few else w, b) for w, b in solved])
    return [
        (torch.cat([part[i][0] for part in found]), torch.cat([part[i][1] for part in found]))
        for i in range(len(ridges))
    ]


def logistic_of_gram(
    gram: Tensor, y: Tensor, ridges: Sequence[float]
) -> list[tuple[Tensor, Tensor]]:
    """(weights of examples a [S, n], intercepts [S]) for each ridge from inner products [S, n, n].

    As `logistic`, with w = Σ aᵢ xᵢ, so that f = gram · a + b.
    """
    return _solved(_Examples(gram.double()), y, ridges)


def _inner(x: Tensor) -> Tensor:
    """Inner products of examples [S, n, n]; numpy computes one half of a symmetric product."""
    return torch.stack([torch.from_numpy(site @ site.T) for site in x.cpu().numpy()]).to(x.device)


class _Features:
    """Unknowns are weights of features [S, p]."""

    def __init__(self, x: Tensor) -> None:
        self.wide = torch.cat([x, torch.ones_like(x[..., :1])], 2)
        self.size = x.shape[2]
        self._single = self.wide.float()

    def factor(self, s: Tensor, ridge: float) -> None:
        """Make `step` one of Newton's where the loss bends by s [S, n]."""
        matrix = (self._single * s.float().unsqueeze(2)).mT @ self._single
        matrix.diagonal(dim1=1, dim2=2)[:, :-1] += ridge
        self._factors = _factors(matrix, ridge)

    def slope(self, p: "_Point", g: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
        """(gradient [S, p + 1], its length [S])."""
        slope: Tensor = (g.unsqueeze(1) @ self.wide).squeeze(1)
        slope[:, :-1] += ridge * p.w
        return slope, slope.norm(dim=1)

    def step(self, slope: Tensor) -> "_Point":
        """Down a gradient by the last factor, and what that adds to f."""
        found = _backed(-slope.unsqueeze(2), self._factors)
        return _Point(found[:, :-1, 0], found[:, -1, 0], (self.wide @ found).squeeze(2))

    def penalty(self, p: "_Point") -> Tensor:
        """|w|² [S]."""
        return p.w.square().sum(1)


class _Examples:
    """Unknowns are weights of examples [S, n], w = Σ aᵢ xᵢ."""

    def __init__(self, gram: Tensor) -> None:
        self.gram = gram
        self.size = gram.shape[1]
        self._single = gram.float()

    def factor(self, s: Tensor, ridge: float) -> None:
        """Make `step` one of Newton's where the loss bends by s [S, n]."""
        self._ridge, self._root = ridge, s.sqrt()
        root = self._root.float()
        matrix = self._single * root.unsqueeze(2)
        matrix *= root.unsqueeze(1)
        matrix.diagonal(dim1=1, dim2=2).add_(ridge)
        self._factors = _factors(matrix, ridge)
        self._free = self._root * _backed(self._root.unsqueeze(2), self._factors).squeeze(2)

    def slope(self, p: "_Point", g: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
        """(gradient [S, n + 1] as weights of examples and of the intercept, its length [S])."""
        r, by_b = g + ridge * p.w, g.sum(1, keepdim=True)
        square = (r * (r.unsqueeze(1) @ self.gram).squeeze(1)).sum(1) + by_b.squeeze(1).square()
        return torch.cat([r, by_b], 1), square.clamp(min=0).sqrt()

    def step(self, slope: Tensor) -> "_Point":
        """Down a gradient by the last factor, and what that adds to f."""
        r, by_b = slope[:, :-1], slope[:, -1]
        root = self._root
        u = root * _backed((-r / root).unsqueeze(2), self._factors).squeeze(2)
        # The intercept's own equation says what the weights of examples add up to.
        total = (by_b - r.sum(1)) / self._ridge
        b = (u.sum(1) - total) / self._free.sum(1)
        a = u - b.unsqueeze(1) * self._free
        return _Point(a, b, (a.unsqueeze(1) @ self.gram).squeeze(1) + b.unsqueeze(1))

    def penalty(self, p: "_Point") -> Tensor:
        """|w|² [S]."""
        return (p.w * (p.f - p.b.unsqueeze(1))).sum(1)


class _Landmarks:
    """Weights within the span of a few examples, as features of orthonormal directions."""

    def __init__(self, gram: Tensor) -> None:
        self.gram, n = gram, gram.shape[1]
        self.chosen = torch.arange(0, n, SHARE, device=gram.device)
        among = gram[:, self.chosen][:, :, self.chosen]
        level = among.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-12
        one = torch.eye(len(self.chosen), dtype=gram.dtype, device=gram.device)
        factor = torch.linalg.cholesky(among + 1e-6 * level * one)
        self.back = torch.linalg.solve_triangular(factor, one.expand_as(among), upper=False)
        self.space = _Features(gram[:, :, self.chosen] @ self.back.mT)

    def lifted(self, p: "_Point") -> "_Point":
        """The same point as weights of all examples."""
        w = torch.zeros_like(p.f)
        w[:, self.chosen] = (p.w.unsqueeze(1) @ self.back).squeeze(1)
        f = (w.unsqueeze(1) @ self.gram).squeeze(1) + p.b.unsqueeze(1)
        return _Point(w, p.b, f)


def _factors(matrix: Tensor, ridge: float) -> Tensor:
    """Cholesky factors of float32 matrices; in float64 where they are too near singular."""
    factors: Tensor
    factors, failed = torch.linalg.cholesky_ex(matrix)
    if not bool(failed.any()):
        return factors
    exact: Tensor = torch.linalg.cholesky(matrix.double())
    return exact


def _backed(sides: Tensor, factors: Tensor) -> Tensor:
    """Solutions [S, m, k] for right sides; one by one, since a batched solve copies factors."""
    given = sides.to(factors)
    found = [torch.cholesky_solve(b, factor) for b, factor in zip(given, factors, strict=True)]
    return torch.stack(found).to(sides)


class _Point(NamedTuple):
    """Unknowns w [S, ·], intercepts b [S] and the f [S, n] that they make."""

    w: Tensor
    b: Tensor
    f: Tensor

    def plus(self, step: "_Point", size: Tensor) -> "_Point":
        """As far along a step as `size` [S] says."""
        t = size.unsqueeze(1)
        return _Point(self.w + t * step.w, self.b + size * step.b, self.f + t * step.f)


def _slopes(f: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Second and first derivatives of the mean loss by each f."""
    p = f.sigmoid()
    return (p * (1 - p)).clamp(min=_LEAST) / len(y), (p - y) / len(y)


def _solved(
    space: _Features | _Examples, y: Tensor, ridges: Sequence[float]
) -> list[tuple[Tensor, Tensor]]:
    """The minimum for each ridge, the larger ones first, each begun where the last one ended."""
    if any(not ridge > 0 for ridge in ridges):
        raise InputError("every ridge of a probe must be positive")
    like = space.wide if isinstance(space, _Features) else space.gram
    y = y.to(like)
    if not bool((y == 1).any()) or not bool((y == 0).any()):
        raise InputError("a probe needs examples of two classes")
    few = _Landmarks(space.gram) if isinstance(space, _Examples) and len(y) >= MANY else None
    now, rough = _nothing(space, y), _nothing(few.space, y) if few else None
    found = {}
    for ridge in sorted(set(ridges), reverse=True):
        if few and rough:
            rough = _newton(few.space, rough, y, ridge, ROUGH)
            now = few.lifted(rough)
        now = _newton(space, now, y, ridge, TOLERANCE)
        found[ridge] = now.w, now.b
    return [found[ridge] for ridge in ridges]


def _nothing(space: _Features | _Examples, y: Tensor) -> _Point:
    like = space.wide if isinstance(space, _Features) else space.gram
    zeros = torch.zeros(len(like), max(space.size, len(y)), dtype=like.dtype, device=like.device)
    return _Point(zeros[:, : space.size], zeros[:, 0], zeros[:, : len(y)])


def _newton(
    space: _Features | _Examples, now: _Point, y: Tensor, ridge: float, tolerance: float
) -> _Point:
    """Newton's method with halved steps where a whole one would not go down, each problem apart."""
    sign = 1 - 2 * y

    def value(p: _Point) -> Tensor:
        return softplus(sign * p.f).mean(1) + ridge / 2 * space.penalty(p)

    level, last = value(now), None
    for _ in range(STEPS):
        s, g = _slopes(now.f, y)
        slope, length = space.slope(now, g, ridge)
        if bool((length <= tolerance * ridge).all()):
            return now
        if last is None or bool((length > (SLOW * last).clamp(min=tolerance * ridge)).any()):
            space.factor(s, ridge)
        step, last = space.step(slope), length
        size = torch.ones_like(level)
        for _ in range(_HALVINGS):
            new = now.plus(step, size)
            after = value(new)
            high = after > level + 1e-14 * level.abs().clamp(min=1)
            if not bool(high.any()):
                break
            size = torch.where(high, size / 2, size)
        now, level = new, after
    raise InputError(f"a probe did not converge in {STEPS} steps; a larger ridge is needed")
