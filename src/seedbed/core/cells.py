"""Cells: where in a computation something is, as a name that claims and truths share.

`resid_pre.3@item4` is what block 3 takes in at the place `item4`, `resid_pre.3r2@item4` the same
at the third recurrence of a block that runs several times; a world that knows no model's depth
speaks of `first@item4`, `inner@item4` and `last@item4` instead.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from seedbed.core.rows import Question
from seedbed.core.sites import SiteKind, Truth

Stream = Literal["resid_pre", "resid_post", "attn_out", "mlp_out", "head"]
STREAMS: tuple[Stream, ...] = get_args(Stream)
Band = Literal["first", "inner", "last"]
BANDS: tuple[Band, ...] = get_args(Band)
ABSENT = "absent"
_NAME = re.compile(
    r"(?P<stream>[a-z_]+)\.(?P<layer>\d+)(r(?P<step>\d+))?(\.(?P<head>\d+))?@(?P<place>.+)"
)


@dataclass(frozen=True, order=True)
class Cell:
    """One stream of one block (from 0) at a named place of the prompt.

    `resid_pre` is what the block takes in, `resid_post` what it hands on, `attn_out` and
    `mlp_out` what its parts add in between, `head` what one attention head (from 0) passes to
    the output projection. `step` numbers the recurrences (from 0) of a block that runs several
    times in one forward pass; None: the block runs once, or all of its runs are meant.
    """

    stream: Stream
    layer: int
    place: str
    head: int | None = None
    step: int | None = None

    @property
    def name(self) -> str:
        """Such as `resid_pre.3@item4`, `head.3.0@last` or `resid_post.1r7@last`."""
        head = "" if self.head is None else f".{self.head}"
        step = "" if self.step is None else f"r{self.step}"
        return f"{self.stream}.{self.layer}{step}{head}@{self.place}"

    @classmethod
    def parse(cls, name: str) -> "Cell":
        """The cell of a `name`; raises ValueError if it is none."""
        match = _NAME.fullmatch(name)
        if match is None or match["stream"] not in STREAMS:
            raise ValueError(f"{name!r} names no cell such as resid_pre.3@item4")
        stream: Stream = next(s for s in STREAMS if s == match["stream"])
        head = None if match["head"] is None else int(match["head"])
        if (stream == "head") != (head is not None):
            raise ValueError(f"{name!r}: the stream 'head', and no other, has a head's number")
        step = None if match["step"] is None else int(match["step"])
        return cls(stream, int(match["layer"]), match["place"], head, step)

    def band(self, layers: int) -> Band:
        """Which part of a model of `layers` blocks: what the first takes in, what the last
        hands on, or anything between.
        """
        if self.stream == "resid_pre" and self.layer == 0:
            return "first"
        return "last" if self.stream == "resid_post" and self.layer == layers - 1 else "inner"


LAST = "last"
"""The place from which the answer is read: the last token that all choices follow."""
MEAN = "mean"
"""No place but the mean of a stream over all tokens; steering there is at every token."""


def places_of(questions: Sequence[Question]) -> tuple[str, ...]:
    """The names of all places, as they follow one another in prompts; `last` ends the list."""
    return in_order([sorted(q.places, key=lambda n: q.places[n]) for q in questions])


def in_order(prompts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """One order of places for prompts whose places are given in theirs; `last` ends the list."""
    latest: dict[str, int] = {}
    for prompt in prompts:
        for i, name in enumerate(prompt):
            latest[name] = max(latest.get(name, 0), i)
    return (*sorted(latest.keys() - {LAST}, key=lambda name: (latest[name], name)), LAST)


def residual_cells(layers: int, places: Sequence[str]) -> tuple[Cell, ...]:
    """The residual stream of a model of `layers` blocks at `places`.

    What each block takes in, then what the last one hands on; layer by layer.
    """
    edges: list[tuple[Stream, int]] = [("resid_pre", layer) for layer in range(layers)]
    edges.append(("resid_post", layers - 1))
    return tuple(Cell(stream, layer, place) for stream, layer in edges for place in places)


def symbolic(band: Band, place: str) -> str:
    """The site of a world's truth for all cells of a band at a place."""
    return f"{band}@{place}"


def depth(sites: Sequence[str]) -> int | None:
    """How many blocks the cells `sites` come from; None if one of them names no cell."""
    try:
        return 1 + max(Cell.parse(site).layer for site in sites)
    except ValueError:
        return None


def at_cells(truth: Truth, sites: Sequence[str], layers: int) -> Truth:
    """A world's symbolic truth, spelt out for the cells `sites` of a model of `layers` blocks.

    A cell whose place the truth does not name is unknown (NaN, label `absent`).
    """
    place = {site: i for i, site in enumerate(truth.sites)}
    cells = [Cell.parse(site) for site in sites]
    index = [place.get(symbolic(c.band(layers), c.place), -1) for c in cells]
    values = np.column_stack([truth.values, np.full(len(truth.questions), np.nan)])[:, index]
    names = truth.names if ABSENT in truth.names else (*truth.names, ABSENT)
    missing = np.full(len(truth.questions), names.index(ABSENT), dtype=truth.labels.dtype)
    labels = np.column_stack([truth.labels, missing])[:, index]
    return Truth(truth.questions, tuple(sites), values, labels, names, SiteKind.CELL, truth.kind)
