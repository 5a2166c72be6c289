"""The declared truth about cells: where a swapped word can act in any causal transformer.

What a model takes in differs at the swapped word alone, what it hands on matters at the last
place alone, and before the swap nothing differs; in between only measuring can tell.
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.cells import ABSENT, BANDS, LAST, symbolic
from seedbed.core.errors import ConfigError
from seedbed.core.rows import Pair, Question
from seedbed.core.sites import SiteKind, Truth

CUE = "cue"
NAMES = ("before", "swapped", "later", CUE, LAST, ABSENT, "unpaired")
"""The roles a place can play for a question; `unpaired` questions have no truth."""


def structural(
    questions: Sequence[Question], pairs: Sequence[Pair], places: Sequence[str]
) -> Truth:
    """Questions × `first@place`, `inner@place` and `last@place` of every one of `places`.

    `first` (what the first block takes in): 1 at the swapped word. `last` (what the last block
    hands on): 1 at the place `last`. `inner`: 0 before the swapped word, NaN from there on.
    Anything else 0; places that a question lacks NaN. A pair's sides may differ in one place
    alone, and `last` is one of the places.
    """
    sites = [(band, place) for band in BANDS for place in places]
    index = {name: i for i, name in enumerate(NAMES)}
    corrupt = {pair.clean.id: pair.corrupt for pair in pairs}
    values = np.full((len(questions), len(sites)), np.nan)
    labels = np.full(values.shape, index["unpaired"], dtype=np.int16)
    for q, question in enumerate(questions):
        if question.id not in corrupt:
            continue
        start = swapped_at(question, corrupt[question.id])
        for s, (band, place) in enumerate(sites):
            role = _role(question, place, start)
            labels[q, s] = index[role]
            if role == ABSENT:
                continue
            cause = {"first": "swapped", "last": LAST}.get(band)
            unknown = band == "inner" and role != "before"
            values[q, s] = np.nan if unknown else float(role == cause)
    names = tuple(symbolic(band, place) for band, place in sites)
    return Truth(
        tuple(q.id for q in questions), names, values, labels, NAMES, SiteKind.CELL, "declared"
    )


def swapped_at(clean: Question, corrupt: Question) -> int:
    """Where in the prompt the first differing place begins."""
    return min(
        start
        for name, (start, end) in clean.places.items()
        if clean.prompt[start:end] != corrupt.prompt[slice(*corrupt.places[name])]
    )


def _role(question: Question, place: str, swap: int) -> str:
    if place not in question.places:
        return ABSENT
    start = question.places[place][0]
    if start <= swap:
        return "swapped" if start == swap else "before"
    return place if place in (CUE, LAST) else "later"


def refuse_later_stages(stage: str) -> None:
    """Raise ConfigError unless `stage` is the first: later ones have rows about their own parts."""
    if stage != "teach":
        raise ConfigError(f"world.stage: {stage!r} has rows about its own parts alone; set teach")
