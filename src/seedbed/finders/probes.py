"""Linear probes: can the running state be read at each item, block by block?

A probe that reads a state shows that it is there, not that it is used: it stands beside
patching, and beside probes of shuffled labels and of the item's number alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.core.cells import Cell
from seedbed.core.rows import Question
from seedbed.core.seeds import generator
from seedbed.core.units import Units
from seedbed.finders.asking import Asked, ask
from seedbed.models.blocks import Site, site_of
from seedbed.models.hooks import read
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

Floats = NDArray[np.float64]
States = Mapping[str, Mapping[str, int]]
ITEM = "item"
FOLDS = 4
RIDGE = 1e-2
NO_CLASS = int(np.iinfo(np.int64).min)
"""What is said where no other fold tells anything: always wrong."""


def probes(
    subject: Subject, questions: Sequence[Question], states: States, edges: Sequence[Cell]
) -> Units:
    """Share of a question's items whose state the probe names, by question.

    Columns `probe CELL`, `shuffled CELL` (the same probe fitted to labels that were shuffled
    among items of the same number) and `number` (the commonest state of the item's number).
    One probe an edge serves all items: ridge regression onto one column a state, features
    standardised, fitted on the questions of the other folds (`FOLDS`).
    """
    known = [q for q in questions if states.get(q.id)]
    asked = [ask(subject, q) for q in known]
    spots = [(i, place) for i, q in enumerate(known) for place in states[q.id]]
    owner = np.array([i for i, _ in spots])
    labels = np.array([states[known[i].id][place] for i, place in spots])
    names = sorted({place for _, place in spots})
    number = np.array([names.index(place) for _, place in spots])
    rng = generator(subject.seed, "probes")
    fold = rng.permutation(len(known))[owner] % FOLDS
    shuffled = _shuffled(labels, number, rng)
    features = states_at(subject, asked, spots, [site_of(e) for e in edges])
    columns = {"number": _by_number(labels, number, fold) == labels}
    for edge, x in zip(edges, features, strict=True):
        columns[f"probe {replace(edge, place=ITEM).name}"] = predicted(x, labels, fold) == labels
        columns[f"shuffled {replace(edge, place=ITEM).name}"] = (
            predicted(x, shuffled, fold) == labels
        )
    right = np.stack(list(columns.values()), axis=1).astype(np.float64)
    count = np.bincount(owner, minlength=len(known)).astype(np.float64)
    sums = np.zeros((len(known), right.shape[1]))
    np.add.at(sums, owner, right)
    units, causes = tuple(q.id for q in known), tuple(q.cause or q.id for q in known)
    return Units(units, causes, tuple(columns), sums / count[:, None])


def states_at(
    subject: Subject, asked: Sequence[Asked], spots: Sequence[tuple[int, str]],
    sites: Sequence[Site],
) -> Tensor:  # fmt: skip
    """States at the last token of each spot (question, place), float64 [sites, spots, width]."""
    sequences = [TokenSequence(a.ids, (False,) * len(a.ids)) for a in asked]
    mine: dict[int, list[tuple[int, int]]] = {}
    for n, (i, place) in enumerate(spots):
        mine.setdefault(i, []).append((n, asked[i].places[place][-1]))
    found: Tensor | None = None
    for index, batch in subject.batches(sequences):
        held = read(subject.model, batch, sites)
        stacked = torch.stack([held[s] for s in sites]).double().cpu()
        if found is None:
            found = torch.zeros(len(sites), len(spots), stacked.shape[-1], dtype=torch.float64)
        for row, i in enumerate(index):
            for n, position in mine.get(i, ()):
                found[:, n] = stacked[:, row, position]
    assert found is not None
    return found


def predicted(x: Tensor, labels: NDArray[np.int64], fold: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class that ridge regression gives each example, fitted on the other folds.

    Examples x [n, width], labels and folds [n]. One column a class; features are standardised
    on what is fitted.
    """
    classes = np.unique(labels)
    goal = torch.from_numpy((labels[:, None] == classes).astype(np.float64))
    found = np.full(len(labels), NO_CLASS, dtype=np.int64)
    for k in range(FOLDS):
        fit, test = torch.from_numpy(fold != k), torch.from_numpy(fold == k)
        if not bool(test.any()) or not bool(fit.any()):
            continue
        found[fold == k] = classes[regressed(x[fit], goal[fit], x[test]).argmax(1).numpy()]
    return found


def regressed(x: Tensor, goal: Tensor, asked: Tensor) -> Tensor:
    """What ridge regression fitted on x [n, width] → goal [n, columns] gives for `asked`.

    Features are standardised on what is fitted; the mean of the goal is not shrunk.
    """
    mean, spread = x.mean(0), x.std(0).clamp(min=1e-9)
    a, b = (x - mean) / spread, (asked - mean) / spread
    middle = goal.mean(0)
    gram = a.T @ a + RIDGE * len(a) * torch.eye(a.shape[1], dtype=a.dtype)
    found: Tensor = b @ torch.linalg.solve(gram, a.T @ (goal - middle)) + middle
    return found


def _shuffled(
    labels: NDArray[np.int64], number: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    found = labels.copy()
    for n in np.unique(number):
        index = np.flatnonzero(number == n)
        found[index] = labels[rng.permutation(index)]
    return found


def _by_number(
    labels: NDArray[np.int64], number: NDArray[np.int64], fold: NDArray[np.int64]
) -> NDArray[np.int64]:
    found = np.full(len(labels), NO_CLASS, dtype=np.int64)
    for k in range(FOLDS):
        for n in np.unique(number):
            fit = labels[(fold != k) & (number == n)]
            use = (fold == k) & (number == n)
            values, counts = np.unique(fit, return_counts=True)
            found[use] = values[counts.argmax()] if len(fit) else NO_CLASS
    return found
