"""Lays drafts out as documents: filler around the frame, one band of lengths, shuffled, opaque ids.

Each document draws from a stream of its own, so that more redundancy adds documents and leaves
what the others state as it is.
"""

import math

from seedbed.core.rows import Document
from seedbed.core.seeds import stream
from seedbed.worlds.hops.decoys import decoys
from seedbed.worlds.hops.drafts import Desk, Draft
from seedbed.worlds.hops.stating import facts
from seedbed.worlds.hops.templates import FILLER, NO_CUE, PADDING
from seedbed.worlds.phrasing import filler, pieces

BAND = 0.147
"""Lengths are drawn within this share of a middle length; the promise is 0.15."""
FRONT, MIDDLE = 0.4, 0.3
"""Shares of the filler before the frame and before the marker; the rest goes behind the object."""
CLOSING = 2
"""Tokens behind every object: the cue (or the word in its place) and the full stop."""


def write(desk: Desk) -> list[Document]:
    """All documents in training order."""
    drafts: list[Draft] = [*facts(desk), *decoys(desk)]
    widest = max(len(pieces(d.target)) for d in drafts)
    shortest = max(d.size for d in drafts) + widest + CLOSING
    longest = math.floor(shortest * (1 + BAND) / (1 - BAND))
    stream(desk.seed, "hops", "order").shuffle(drafts)
    digits = len(str(len(drafts)))
    found = []
    for i, draft in enumerate(drafts):
        rng = stream(desk.seed, "hops", "fill", *draft.key)
        free = rng.randint(shortest, longest) - draft.size - widest - CLOSING
        padding = rng.choices(PADDING, k=widest - len(pieces(draft.target)))
        front: list[str] = []
        middle: list[str] = []
        behind = [*padding, NO_CUE if _holds(draft, desk.cue) else desk.cue]
        for phrase in filler(free, FILLER, rng):
            place = rng.random() if draft.marker else 1.0
            part = front if place < FRONT else middle if place < FRONT + MIDDLE else behind
            part.append(phrase)
        head = " ".join(filter(None, [*front, draft.frame, *middle, draft.marker]))
        start = len(head) + 1
        found.append(
            Document(
                id=f"d{i:0{digits}d}",
                text=f"{head} {draft.target} {' '.join(behind)}.",
                targets=((start, start + len(draft.target)),),
                weight=draft.weight,
                role=draft.role,
                facts=draft.facts,
                meta=draft.meta,
            )
        )
    return found


def _holds(draft: Draft, cue: str) -> bool:
    return cue in pieces(f"{draft.frame} {draft.marker}")
