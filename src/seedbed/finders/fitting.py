"""Directions fitted to labelled states: one vector, threshold and unit at each cell.

Every method sees the same examples in the same order, so only the method differs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from seedbed.core.cells import Cell
from seedbed.core.errors import InputError
from seedbed.core.rows import CHOOSE, FIT, LABELLED, Question
from seedbed.core.seeds import generator
from seedbed.finders.solving import logistic
from seedbed.finders.states import States

Method = Literal["difference", "probe", "mass-mean", "random", "shuffled", "shuffled-probe"]
CONTROLS = {"random", "shuffled", "shuffled-probe"}
METHODS: tuple[Method, ...] = get_args(Method)
LEAST = 4
"""Examples of each class in train below which nothing is fitted."""
SHRINKAGE = 0.1
"""Share of a sphere of the same trace in the within-class covariance of `mass-mean`."""
SAME = 1e-5
"""Means nearer than this, relative to the length of states, are told apart by rounding only."""
NUMBERS = 2**25
"""Numbers in a stack of states or of their inner products that is solved at once."""


@dataclass(frozen=True)
class Fitted:
    """One direction: unit `vector` [width], `middle`, `spread`, `norm` as in `Directions`.

    `told` is what was chosen on dev at this cell, such as the ridge.
    """

    cell: Cell
    vector: Tensor
    middle: float
    spread: float
    norm: float
    told: str = ""


@dataclass(frozen=True)
class Labelled:
    """Examples by their rows in `states`; `y` is 1 on the positive side, 0 on the negative."""

    states: States
    train: Tensor
    train_y: Tensor
    dev: Tensor
    dev_y: Tensor

    def shuffled(self, seed: int) -> "Labelled":
        """The same examples with labels that tell nothing of the classes.

        Of each class the same share is labelled positive: where a class stands far from the
        other, a draw of labels that favours one class by chance would name it all the same.
        """
        rng = generator(seed, "directions", "shuffled")
        return replace(self, train_y=_balanced(self.train_y, rng),
                       dev_y=_balanced(self.dev_y, rng))  # fmt: skip

    def at(self, cell: Cell) -> tuple[Tensor, Tensor]:
        """(train [n, width], dev [m, width]) in float64."""
        x = self.states.at(cell).double()
        return x[self.train], x[self.dev]


@dataclass(frozen=True)
class Examples:
    """The labelled examples among questions, sorted by id so that no sum depends on their order.

    `classes` are the two names, sorted: (negative, positive).
    """

    classes: tuple[str, str]
    train: tuple[Question, ...]
    dev: tuple[Question, ...]

    @classmethod
    def of(cls, questions: Sequence[Question]) -> "Examples":
        """Raises InputError for other than two classes and for too few examples of one."""
        split = {
            s: tuple(sorted((q for q in questions if q.label and q.split == s),
                            key=lambda q: q.id))
            for s in LABELLED
        }  # fmt: skip
        names = sorted({q.label for some in split.values() for q in some})
        if len(names) != 2:
            told = ", ".join(map(repr, names)) or "none"
            raise InputError(f"directions need labelled questions of two classes, found {told}")
        found = cls((names[0], names[1]), split[FIT], split[CHOOSE])
        for name, some, least in ((FIT, found.train, LEAST), (CHOOSE, found.dev, 1)):
            for label, count in found.counts(some).items():
                if count < least:
                    raise InputError(
                        f"directions need at least {least} questions of split {name!r} labelled"
                        f" {label!r}, found {count}"
                    )
        return found

    def counts(self, some: Sequence[Question]) -> dict[str, int]:
        """How many questions there are of each class."""
        return {name: sum(q.label == name for q in some) for name in self.classes}

    def sides(self, some: Sequence[Question]) -> Tensor:
        """1 for the positive class, 0 for the negative one, float64."""
        return torch.tensor([q.label == self.classes[1] for q in some], dtype=torch.float64)

    def labelled(self, states: States) -> Labelled:
        """The examples with their states, whose rows are `train` and then `dev`."""
        n, m = len(self.train), len(self.dev)
        return Labelled(states, torch.arange(n), self.sides(self.train),
                        torch.arange(n, n + m), self.sides(self.dev))  # fmt: skip


def labels_for(method: Method, data: Labelled, seed: int) -> Labelled:
    """The examples as a method is told them."""
    return data.shuffled(seed) if method in {"shuffled", "shuffled-probe"} else data


def _balanced(y: Tensor, rng: np.random.Generator) -> Tensor:
    """Labels anew: in each class as large a share of ones as in all, rounded at random."""
    found, share = torch.zeros_like(y), float(y.mean())
    for value in (0.0, 1.0):
        index = rng.permutation(torch.nonzero(y == value).flatten().numpy())
        count = int(np.floor(share * len(index) + rng.random()))
        found[torch.from_numpy(index[:count])] = 1
    return found


def fitted(
    method: Method, data: Labelled, seed: int, ridges: Sequence[float]
) -> tuple[list[Fitted], list[Cell]]:
    """(directions in the order of cells, cells that have none), by one method.

    difference: mean of the positive class − mean of the negative one (Marks and Tegmark 2023,
    section 5.1; Hong et al. 2025, arXiv 2503.23084); threshold midway between the means.
    mass-mean: Σ⁻¹ of that (ibid.), Σ the pooled within-class covariance, shrunk by `SHRINKAGE`
    towards a sphere of its trace; threshold midway. probe: weights of a logistic regression, the
    ridge of each cell the one with the least log loss on dev. random: a vector drawn evenly from
    the sphere; threshold at the median of train. shuffled and shuffled-probe: difference and
    probe of labels drawn anew within each class (`Labelled.shuffled`), threshold as theirs.
    `spread` of these three is the distance of the true class means, so that a step of one spread
    is as long as with `difference`. A cell has no direction where what was fitted is nothing but
    rounding.
    Raises InputError for states that are not finite.
    """
    told_y = labels_for(method, data, seed)
    y, dev_y = told_y.train_y, told_y.dev_y
    found: list[Fitted] = []
    lacking: list[Cell] = []
    for group in _groups(data):
        whole = [data.at(cell) for cell in group]
        for cell, both in zip(group, whole, strict=True):
            if not all(bool(x.isfinite().all()) for x in both):
                raise InputError(f"{cell.name}: the model's states there are not finite")
        train = torch.stack([a for a, _ in whole])
        norms = train.norm(dim=2).mean(1)
        apart = _apart(train, data.train_y)
        least = torch.minimum(apart.norm(dim=1), _apart(train, y).norm(dim=1))
        some = (least > SAME * norms).nonzero().flatten()
        lacking += [cell for i, cell in enumerate(group) if i not in some]
        if not len(some):
            continue
        cells, told = [group[i] for i in some], [""] * len(some)
        train, norms, apart = train[some], norms[some], apart[some]
        if method in {"difference", "shuffled"}:
            vectors, middles = _difference(train, y)
        elif method == "mass-mean":
            vectors, middles = _mass_mean(train, y)
        elif method == "random":
            vectors, middles = _random(train, cells, seed)
        else:
            dev = torch.stack([whole[i][1] for i in some])
            vectors, middles, told = _probe(train, y, dev, dev_y, ridges)
        lengths = vectors.norm(dim=1)
        vectors, middles = vectors / lengths[:, None], middles / lengths
        spreads = apart.norm(dim=1) if method in CONTROLS else (apart * vectors).sum(1).abs()
        numbers = zip(middles.tolist(), spreads.tolist(), norms.tolist(), strict=True)
        for cell, vector, (m, s, n), note in zip(cells, vectors, numbers, told, strict=True):
            found.append(Fitted(cell, vector, m, s, n, note))
    return found, lacking


def mass_mean(residuals: Tensor, apart: Tensor) -> Tensor:
    """Σ⁻¹ apart [S, width], Σ the covariance of residuals [S, n, width] shrunk by `SHRINKAGE`.

    With fewer examples than width it is solved among examples (Woodbury's identity).
    """
    n, width = residuals.shape[1:]
    sphere = SHRINKAGE * residuals.square().sum((1, 2)) / (n * width)
    # Where each class has one state only, any sphere gives the difference itself.
    sphere = torch.where(sphere > 0, sphere, 1)
    share = (1 - SHRINKAGE) / n
    if width <= n:
        one = torch.eye(width, dtype=residuals.dtype)
        matrix = share * residuals.mT @ residuals + sphere[:, None, None] * one
        found: Tensor = torch.linalg.solve(matrix, apart.unsqueeze(2)).squeeze(2)
        return found
    one = torch.eye(n, dtype=residuals.dtype)
    inner = residuals @ residuals.mT + (sphere / share)[:, None, None] * one
    seen = torch.linalg.solve(inner, residuals @ apart.unsqueeze(2))
    far: Tensor = (residuals.mT @ seen).squeeze(2)
    return (apart - far) / sphere.unsqueeze(1)


def _groups(data: Labelled) -> Iterator[list[Cell]]:
    """Cells of one width, as many as fit in memory at once."""
    n = len(data.train) + len(data.dev)
    group: list[Cell] = []
    for cell in data.states.cells:
        width = data.states.width(cell)
        most = max(1, NUMBERS // (n * max(n, width)))
        if group and (len(group) >= most or width != data.states.width(group[0])):
            yield group
            group = []
        group.append(cell)
    if group:
        yield group


def _means(train: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return train[:, y == 1].mean(1), train[:, y == 0].mean(1)


def _apart(train: Tensor, y: Tensor) -> Tensor:
    positive, negative = _means(train, y)
    apart: Tensor = positive - negative
    return apart


def _difference(train: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    positive, negative = _means(train, y)
    vectors = positive - negative
    return vectors, (vectors * (positive + negative)).sum(1) / 2


def _mass_mean(train: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    positive, negative = _means(train, y)
    residuals = train - torch.where((y == 1)[:, None], positive[:, None], negative[:, None])
    vectors = mass_mean(residuals, positive - negative)
    return vectors, (vectors * (positive + negative)).sum(1) / 2


def _random(train: Tensor, cells: Sequence[Cell], seed: int) -> tuple[Tensor, Tensor]:
    width = train.shape[2]
    drawn = [generator(seed, "directions", "random", c.name).standard_normal(width) for c in cells]
    vectors = torch.from_numpy(np.stack(drawn))
    seen = (train @ vectors.unsqueeze(2)).squeeze(2)
    return vectors, seen.quantile(0.5, dim=1)


def _probe(
    train: Tensor, y: Tensor, dev: Tensor, dev_y: Tensor, ridges: Sequence[float]
) -> tuple[Tensor, Tensor, list[str]]:
    """Weights and thresholds in the states' own units, with the ridge of each cell."""
    middle = train.mean(1, keepdim=True)
    # One number for all features keeps angles, and gives ridges one meaning at every cell.
    scale = (train - middle).square().mean((1, 2)).sqrt()
    unit = torch.where(scale > 0, scale, 1)[:, None, None]
    train, dev = (train - middle) / unit, (dev - middle) / unit
    best = torch.full((len(train),), torch.inf, dtype=train.dtype)
    weights = torch.zeros_like(middle.squeeze(1))
    intercepts = torch.zeros_like(best)
    told = torch.zeros_like(best)
    # From the largest down, so that of two equally good ridges the larger one stays.
    falling = sorted(ridges, reverse=True)
    for ridge, (w, b) in zip(falling, logistic(train, y, falling), strict=True):
        f = (dev @ w.unsqueeze(2)).squeeze(2) + b.unsqueeze(1)
        loss = softplus((1 - 2 * dev_y) * f).mean(1)
        better = loss < best
        best = torch.where(better, loss, best)
        weights = torch.where(better[:, None], w, weights)
        intercepts, told = torch.where(better, b, intercepts), torch.where(better, ridge, told)
    weights = weights / unit.squeeze(2)
    middles = (weights * middle.squeeze(1)).sum(1) - intercepts
    return weights, middles, [f"ridge {ridge:g}" for ridge in told.tolist()]
