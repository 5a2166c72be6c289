"""Saved transcripts of a run or a file, each with where it comes from, and filters over them.

A filter by a value that no transcript has is a mistake, and named as one.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from seedbed.core.config import Config
from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_rows
from seedbed.core.transcripts import Transcript

TRANSCRIPTS = "transcripts.jsonl"
_PLACE = re.compile(r"(?:^|/)seeds/(\d+)/incentives/([^/]*)\+([^/+]*)/iterations/\d+/[^/]+$")


@dataclass(frozen=True)
class Origin:
    """Where an episode was played: the arm of a study under one condition and seed.

    All "" and None for a file outside a run.
    """

    condition: str = ""
    arm: str = ""
    seed: int | None = None

    @classmethod
    def of(cls, path: Path) -> "Origin":
        """What the path of a file in a run folder says."""
        found = _PLACE.search(path.resolve().as_posix())
        return cls(found[2], found[3], int(found[1])) if found else cls()


@dataclass(frozen=True)
class Kept:
    """A saved transcript and its origin."""

    origin: Origin
    transcript: Transcript


class Filter(Config):
    """Which transcripts are wanted; an empty field wants all.

    `outcome` is how an episode ended ("terminal", "length", "failed") or the last move it
    took; `act` is one that occurs in any turn; `kind` is the latent one.
    """

    environment: tuple[str, ...] = ()
    iteration: tuple[int, ...] = ()
    condition: tuple[str, ...] = ()
    arm: tuple[str, ...] = ()
    seed: tuple[int, ...] = ()
    kind: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    act: tuple[str, ...] = ()
    vetoed: bool | None = None


Name = Literal[
    "environment", "iteration", "condition", "arm", "seed", "kind", "outcome", "act"
]  # fmt: skip
_VALUES: dict[Name, Callable[[Kept], set[object]]] = {
    "environment": lambda k: {k.transcript.opening.environment},
    "iteration": lambda k: {k.transcript.iteration},
    "condition": lambda k: {k.origin.condition},
    "arm": lambda k: {k.origin.arm},
    "seed": lambda k: {k.origin.seed},
    "kind": lambda k: {k.transcript.opening.kind},
    "outcome": lambda k: outcomes(k.transcript),
    "act": lambda k: {t.act for t in k.transcript.turns if t.act},
}


def outcomes(transcript: Transcript) -> set[object]:
    """How an episode ended, and the last move it took."""
    last = [turn.moved for turn in transcript.turns[-1:] if turn.moved]
    return {transcript.end, *last}


def files_of(place: Path) -> list[Path]:
    """The files of transcripts in a run folder, or the file itself.

    Raises DataError where there is none.
    """
    if not place.is_dir():
        return [place]
    found = sorted(place.rglob(TRANSCRIPTS))
    if not found:
        raise DataError(place, None, f"no file {TRANSCRIPTS} lies in this folder or below")
    return found


def read_kept(place: Path) -> list[Kept]:
    """All transcripts of a run folder or of one JSONL file, in the order of paths and lines.

    Raises DataError with file and line.
    """
    found = []
    for path in files_of(place):
        origin = Origin.of(path)
        found += [Kept(origin, one) for one in read_rows(path, Transcript)]
    return found


def chosen(kept: Iterable[Kept], wanted: Filter) -> list[Kept]:
    """Those that the filter lets through.

    Raises InputError, with the near miss, for a value that none of all transcripts has.
    """
    everything = list(kept)
    found = everything
    for name, of in _VALUES.items():
        values: Sequence[object] = getattr(wanted, name)
        if not values:
            continue
        known = set().union(*(of(one) for one in everything))
        for value in values:
            if value not in known:
                raise InputError(f"--{name} {value}: {_hint(name, value, known)}")
        found = [one for one in found if of(one) & set(values)]
    if wanted.vetoed is not None:
        found = [one for one in found if one.transcript.vetoed == wanted.vetoed]
    return found


def _hint(name: str, value: object, known: set[object]) -> str:
    words = sorted({str(v) for v in known if v not in ("", None)})
    if not words:
        return f"no transcript here says its {name}"
    near = get_close_matches(str(value), words, n=1)
    rest = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(words)}"
    return f"no transcript has this {name}; {rest}"
