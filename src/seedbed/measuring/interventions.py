"""Interventions placed token by token: which tokens of each row a way of steering means.

In a likelihood the continuation counts as written, so that scoring a text and writing it steer
the same tokens.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seedbed.core.cells import LAST as LAST_PLACE
from seedbed.core.directions import Directions
from seedbed.core.seeds import generator
from seedbed.measuring.likelihoods import Intervention
from seedbed.models.hooks import LAST, Edit, Rows
from seedbed.models.steering import Steer, edits_of

END = 2**31


def placed(steer: Steer, directions: Directions) -> Intervention:
    """Steering at exact tokens, by the number of prompt tokens n of each row of a batch.

    `tokens: last` is the prompt's last token (during prompt: n − 1), each one written (generated:
    n and later) or both; `all` is every token of the prompt, every one written, or both; `place`
    is the prompt's last token for a direction at `@last` and every token for one at `@mean`.
    Raises InputError for sites without a direction and for directions at other places, which
    questions of a benchmark do not have.
    """
    edits = edits_of(steer, directions, {LAST_PLACE: LAST})
    during = "prompt" if steer.tokens == "place" else steer.during

    def at(lengths: Sequence[int]) -> list[Edit]:
        last, every = Rows(_spans(lengths, during, 1)), Rows(_spans(lengths, steer.during, 0))
        found = [every if edit.positions is None else last for edit in edits]
        # Positions say it all: what is written stands behind the prompt in every pass.
        return [replace(e, positions=p, passes=None) for e, p in zip(edits, found, strict=True)]

    return at


def _spans(lengths: Sequence[int], during: str, last: int) -> tuple[range, ...]:
    starts = [n - 1 if last else 0 for n in lengths]
    if during == "prompt":
        return tuple(range(s, n) for s, n in zip(starts, lengths, strict=True))
    if during == "generated":
        return tuple(range(n, END) for n in lengths)
    return tuple(range(s, END) for s in starts)


def random_like(directions: Directions, draw: int, seed: int = 0) -> Directions:
    """Random directions at the same sites, with the same steps: the control of any steering.

    Each is drawn from its own stream, by the site's name; `spread` and `norm` stay, so that a
    step along one is as long as along the direction that it stands beside.
    """
    width = directions.vectors.shape[1]
    drawn = [generator(seed, "random direction", draw, s).normal(size=width)
             for s in directions.sites]  # fmt: skip
    vectors = np.stack([v / np.linalg.norm(v) for v in drawn])
    made = {"method": "random", "draw": draw, "seed": seed, "beside": directions.made}
    return replace(directions, vectors=vectors, made=made)


def always(edits: Sequence[Edit]) -> Intervention:
    """The same edits in every batch: for those that name no positions of single rows."""
    return lambda lengths: list(edits)
