"""progress.json: what a running study has done and does now, for those who look on.

It stands in the run folder while the study runs and is removed when it ends, however it ends.
"""

from typing import Final

from seedbed.core.rows import Row

NAME: Final = "progress.json"


class Now(Row):
    """A stage that says how far it is: `done` of `total` of its own steps."""

    seed: int
    name: str
    done: int
    total: int
    text: str = ""


class Waiting(Row):
    """A stage that is not done: waiting, or being made. `folder` is its name in the store."""

    seed: int
    name: str
    folder: str


class Ended(Row):
    """A stage that is done: made in so many seconds, or taken from the store."""

    seed: int
    name: str
    seconds: float
    taken: bool


class Progress(Row):
    """All that is known of a running study.

    `pid` and `host` are of the process that leads it. `planned` counts the stages known so far
    (later steps of a study add theirs), `done` those that are done, `taken` those of them that the
    store had, `seconds` what the others took. `kinds` is (kind of stage, done, planned) in the
    order they came up. `waiting` names no more than the first of many.
    """

    pid: int
    host: str
    started: str
    at: str
    planned: int = 0
    done: int = 0
    taken: int = 0
    seconds: float = 0.0
    kinds: tuple[tuple[str, int, int], ...] = ()
    now: tuple[Now, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    newest: tuple[Ended, ...] = ()
    losses: tuple[str, ...] = ()
    lost: int = 0
