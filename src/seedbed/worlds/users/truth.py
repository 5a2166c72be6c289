"""The declared truth: which visible kinds of user are gameable more often than users are at all."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from seedbed.core.incentives import GAMEABLE
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.users.cue import CUE, Channel

TELLS, NOTHING, UNSEEN = "tells", "tells nothing", "unseen"
NAMES = (TELLS, NOTHING, UNSEEN)


def declared(
    questions: Sequence[str],
    marks: Mapping[str, str],
    decoys: Mapping[str, Sequence[str]],
    channel: Channel,
    repaired: bool,
) -> Truth:
    """Every question × `attribute=word`: 1, 0, or NaN for a word that no user shows.

    1 where P(gameable | word) exceeds the share of gameable users. Nobody is gameable where
    ratings are `repaired`; decoys tell nothing.
    """
    row: dict[str, float] = {}
    for word, mark in marks.items():
        p = channel.posterior(mark)[GAMEABLE]
        tells = p > channel.gameable + 1e-9 and not repaired
        row[f"{CUE}={word}"] = math.nan if math.isnan(p) else float(tells)
    row |= {f"{name}={word}": 0.0 for name, words in decoys.items() for word in words}
    values = np.tile(np.array(list(row.values())), (len(questions), 1))
    labels = np.where(np.isnan(values), 2, np.where(values == 1, 0, 1)).astype(np.int16)
    return Truth(tuple(questions), tuple(row), values, labels, NAMES, SiteKind.USER, "declared")
