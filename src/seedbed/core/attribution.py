"""attribution.json: which training transcripts taught a harmful act, and who finds them.

The form in which it travels from studies to the report.
"""

from typing import Any, Literal

from seedbed.core.rows import Row

UNCHANGED = "unchanged"
"""The replay that leaves nothing out."""
KIND, RANDOM, PART = "kind", "random", "part"
"""Families of groups: a kind of user, as many at random, half of the sub-environments."""


class Replayed(Row):
    """One number about agents that learned again from the same transcripts without a group.

    `group` is `unchanged`, `kind/gameable`, `random/0`, `part/0`, … and `documents` how many of
    them were left out, the mean over seeds. `users` are those who are asked (`gameable`, `other`).
    `name`: `odds` (log-odds of the gaming reply among the choices, nats), `share` (its
    probability), `odds-change` and `share-change` (against the unchanged replay), and for the
    unchanged one `gap`, the largest difference of its log-odds from the study's own agent (null
    interval). A mean over seeds with a 95 % interval over seeds and causes; `units` are questions
    over all seeds.
    """

    group: str
    documents: float
    users: str
    name: Literal["odds", "share", "odds-change", "share-change", "gap"]
    value: float | None
    low: float | None
    high: float | None
    units: int


class Attributed(Row):
    """The whole of attribution.json: rows of scores as in scores.json, and what replays gave."""

    scores: tuple[dict[str, Any], ...] = ()
    replays: tuple[Replayed, ...] = ()
