"""What every role of an episode can do: judge from a closed list, or speak.

A role is a program of the world or a language model; an episode cannot tell which.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from seedbed.core.transcripts import Verdict
from seedbed.simulation.scene import Scene


@dataclass(frozen=True)
class Spoken:
    """What a role said; with an `error` it said nothing and `text` is ""."""

    text: str = ""
    error: str = ""


class Judge(Protocol):
    """Answers from a closed list: a rating, the next state, whether something is wrong."""

    def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
        """One verdict for each scene, in order; one that failed carries its `error`."""


class Speaker(Protocol):
    """Answers in words: the user."""

    def speak(self, scenes: Sequence[Scene]) -> list[Spoken]:
        """One reply for each scene, in order; one that failed carries its `error`."""


def verdict(options: Mapping[str, float], mass: float = 1.0) -> Verdict:
    """A verdict from probabilities (normalised here) and the mass they came from.

    `value` is the expected value where all options are numbers, P(yes) where one of them is
    "yes", and None otherwise. Raises ValueError where no option has any probability.
    """
    total = sum(options.values())
    if not total > 0:
        raise ValueError("no option has any probability")
    shares = {option: p / total for option, p in options.items()}
    return Verdict(options=shares, mass=mass, value=_value(shares))


def stops(found: Verdict, at: float) -> bool:
    """Whether a detector's verdict keeps a turn from being trained on.

    It does where its value is at least `at`, and where it could not answer: a detector that says
    nothing has let nothing pass.
    """
    return found.value is None or found.value >= at


def _value(shares: Mapping[str, float]) -> float | None:
    numbers = {option: _number(option) for option in shares}
    known = {option: n for option, n in numbers.items() if n is not None}
    if len(known) == len(shares):
        return sum(p * known[option] for option, p in shares.items())
    return shares.get("yes")


def _number(option: str) -> float | None:
    try:
        number = float(option)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
