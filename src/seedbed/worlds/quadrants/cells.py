"""The declared truth about cells, where places may lie within one another.

A number is a place and so is each of its digits; a change in one digit is a change in both. What
holds of any causal transformer is as in structure.py.
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.cells import ABSENT, BANDS, LAST, symbolic
from seedbed.core.rows import Pair, Question
from seedbed.core.sites import SiteKind, Truth

NAMES = ("before", "changed", "part of it", "touching", "later", LAST, ABSENT)
"""What a place can be: `changed` holds all that differs, `part of it` some; `touching` it may
share a token with what differs, which depends on the tokenizer."""
Span = tuple[int, int]


def nested(questions: Sequence[Question], pairs: Sequence[Pair], places: Sequence[str]) -> Truth:
    """Questions × `first@place`, `inner@place` and `last@place` of `places` and of `last`.

    `first` (what the first block takes in): 1 where all that differs stands, 0 before and after
    it. `last` (what the last block hands on): 1 at the last token, else 0. `inner`: 0 before what
    differs. NaN for anything else, and where a question lacks the place.
    """
    corrupt = {pair.clean.id: pair.corrupt for pair in pairs}
    columns = [(band, place) for band in BANDS for place in (*places, LAST)]
    values = np.full((len(questions), len(columns)), np.nan)
    labels = np.zeros(values.shape, dtype=np.int16)
    for q, question in enumerate(questions):
        span = changed(question, corrupt[question.id])
        roles = {place: role(question, place, span) for place in (*places, LAST)}
        for s, (band, place) in enumerate(columns):
            labels[q, s] = NAMES.index(roles[place])
            values[q, s] = _value(band, roles[place])
    names = tuple(symbolic(band, place) for band, place in columns)
    return Truth(tuple(q.id for q in questions), names, values, labels, NAMES, SiteKind.CELL)


def changed(clean: Question, corrupt: Question) -> Span:
    """From the first to the last of the smallest places whose texts differ."""
    differ = [
        span
        for name, span in clean.places.items()
        if clean.prompt[slice(*span)] != corrupt.prompt[slice(*corrupt.places[name])]
    ]
    inner = [
        (a, b) for a, b in differ
        if not any((c, d) != (a, b) and a <= c and d <= b for c, d in differ)
    ]  # fmt: skip
    return min(a for a, _ in inner), max(b for _, b in inner)


def role(question: Question, place: str, span: Span) -> str:
    """What a place is to the change at `span`."""
    if place == LAST:
        return LAST
    if place not in question.places:
        return ABSENT
    (a, b), (start, end) = question.places[place], span
    if a <= start and end <= b:
        return "changed"
    if a < end and start < b:
        return "part of it"
    between = question.prompt[b - 1 : start + 1] if b <= start else question.prompt[end - 1 : a + 1]
    sorts = {"letter" if c.isalpha() else "digit" if c.isdigit() else c.isspace() for c in between}
    # Tokenizers part letters, digits and signs from one another, and words at spaces.
    if len(sorts) == 1 and True not in sorts:
        return "touching"
    return "before" if b <= start else "later"


def _value(band: str, role: str) -> float:
    if role == ABSENT:
        return np.nan
    if band == "last":
        return float(role == LAST)
    if role == "before":
        return 0.0
    if band == "inner" or role in ("part of it", "touching"):
        return np.nan
    return float(role == "changed")
