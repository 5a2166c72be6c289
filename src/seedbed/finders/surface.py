"""Controls without a direction: what gives a class away before the model computes anything?

If one of them tells the classes apart, a direction that does so has shown nothing.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from seedbed.core.rows import Question
from seedbed.finders.fitting import Examples
from seedbed.finders.placement import Floats
from seedbed.finders.solving import logistic_of_gram
from seedbed.finders.states import spotted
from seedbed.models.hooks import evaluating
from seedbed.models.logits import token_losses
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

Surface = Literal["surface", "words", "familiarity"]
SURFACES: tuple[Surface, ...] = get_args(Surface)


def surface(
    measure: Surface, subject: Subject, questions: Sequence[Question], examples: Examples,
    ridges: Sequence[float],
) -> tuple[Floats, dict[str, str]]:  # fmt: skip
    """(scores [questions], positive on the second class's side; notes).

    surface: logistic regression on one-hot tokens at their positions, counted from the first
    token; words: on which tokens stand anywhere; both with the ridge of the least log loss on
    dev, and without the model. familiarity: the mean log probability of the prompt's tokens,
    threshold midway between the means of the classes on train, 1 = their distance.
    """
    fit, choose = list(examples.train), list(examples.dev)
    train_y, dev_y = examples.sides(fit), examples.sides(choose)
    if measure == "familiarity":
        known = _familiarity(subject, fit)
        positive, negative = known[train_y == 1].mean(), known[train_y == 0].mean()
        scores = _familiarity(subject, questions) - (positive + negative) / 2
        apart = positive - negative
        scale = apart if apart else torch.ones_like(apart)
        return (scores / scale).numpy(), {}
    train, dev, rows = (_ids(subject, some) for some in (fit, choose, questions))
    alike = _by_position if measure == "surface" else _by_word
    gram = alike(train, train)
    best: tuple[float, float, Tensor, Tensor] | None = None
    falling = sorted(ridges, reverse=True)
    for ridge, (a, b) in zip(falling, logistic_of_gram(gram[None], train_y, falling), strict=True):
        f = alike(dev, train) @ a[0] + b[0]
        loss = float(softplus((1 - 2 * dev_y) * f).mean())
        if best is None or loss < best[0]:
            best = loss, ridge, a[0], b[0]
    assert best is not None
    _, ridge, a, b = best
    return (alike(rows, train) @ a + b).numpy(), {"ridge": f"{ridge:g}"}


def _ids(subject: Subject, questions: Sequence[Question]) -> list[tuple[int, ...]]:
    return [spotted(subject, q).ids for q in questions]


def _by_position(rows: Sequence[tuple[int, ...]], columns: Sequence[tuple[int, ...]]) -> Tensor:
    """How many positions of two prompts hold the same token [rows, columns]."""
    a, b = _padded(rows, -1), _padded(columns, -2)
    found = torch.zeros(len(a), len(b), dtype=torch.float64)
    for i in range(min(a.shape[1], b.shape[1])):
        found += a[:, i, None] == b[None, :, i]
    return found


def _by_word(rows: Sequence[tuple[int, ...]], columns: Sequence[tuple[int, ...]]) -> Tensor:
    """How many different tokens two prompts share [rows, columns]."""
    known = {token: i for i, token in enumerate(sorted({t for c in columns for t in c}))}

    def hot(prompts: Sequence[tuple[int, ...]]) -> Tensor:
        found = torch.zeros(len(prompts), len(known), dtype=torch.float64)
        for i, prompt in enumerate(prompts):
            found[i, [known[t] for t in prompt if t in known]] = 1
        return found

    return hot(rows) @ hot(columns).T


def _padded(prompts: Sequence[tuple[int, ...]], fill: int) -> Tensor:
    found = np.full((len(prompts), max(map(len, prompts))), fill)
    for i, prompt in enumerate(prompts):
        found[i, : len(prompt)] = prompt
    return torch.from_numpy(found)


@torch.no_grad()
def _familiarity(subject: Subject, questions: Sequence[Question]) -> Tensor:
    """Mean log p [questions], nats, of the tokens of each prompt after the first."""
    rows = [TokenSequence(ids, (False,) + (True,) * (len(ids) - 1))
            for ids in _ids(subject, questions)]  # fmt: skip
    found = torch.zeros(len(rows), dtype=torch.float64)
    for index, batch in subject.batches(rows):
        with evaluating(subject.model):
            losses, row = token_losses(subject.model, batch)
        total = torch.zeros(len(index), dtype=torch.float64).index_add_(
            0, row.cpu(), losses.double().cpu()
        )
        count = torch.bincount(row.cpu(), minlength=len(index)).clamp(min=1)
        found[index] = -total / count
    return found
