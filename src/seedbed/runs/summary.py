"""A run in short: what it was, how it ended, and its leading scores, read from its folder alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["finished", "stopped", "unfinished", "damaged"]


@dataclass(frozen=True)
class Line:
    """One score of a run over all questions (slice `all`), of the main world or of a crossing.

    `sites` is the kind of site, `finder` the label and `kind` the finder's kind (`chance` and
    `oracle` for the control rows). `metric` is any ranking or measured metric of slice `all`.
    """

    sites: str
    finder: str
    kind: str
    truth: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    oracle: float | None
    seconds: float | None
    epochs: float | None


@dataclass(frozen=True)
class Summary:
    """One run folder.

    `digest` is that of its resolved configuration without the name (two runs with the same digest
    are two versions of one run: `code` and `version` tell them apart); `study` its name, `world`
    and `subject` their kinds, `sites` the world's own kind of site. `reason` says why a run was
    stopped, is unfinished or is damaged (file and what is wrong). Times are ISO 8601, `seconds`
    wall time. `missing` are finders that did not run, with the reason. `lacking` says by kind of
    site why there is none in this world.
    """

    folder: Path
    study: str
    digest: str
    world: str
    sites: str
    subject: str
    seeds: tuple[int, ...]
    state: State
    reason: str
    started: str
    finished: str
    seconds: float | None
    version: str
    code: str
    command: str
    lines: tuple[Line, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    bytes: int = 0


def read_summary(folder: Path) -> Summary:
    """Read one run folder; what is wrong with it is in `state` and `reason`, never an exception."""
    raise NotImplementedError
