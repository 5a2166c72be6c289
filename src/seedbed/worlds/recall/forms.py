"""What the forms of the world share: items, and the interface of a form."""

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from seedbed.core.errors import ConfigError
from seedbed.worlds.recall.knobs import Knobs
from seedbed.worlds.recall.lexicon import Lexicon

TRIES = 200
"""So many draws in turn are looked at for a prompt that is not there yet."""


def too_many(split: str, count: int) -> ConfigError:
    """Where a world has no `count` different prompts for the questions of a split."""
    return ConfigError(f"asked.{split}: there are no {count} different prompts; ask for fewer")


@dataclass(frozen=True)
class Item:
    """What is asked: a word for each place, and what is known about it.

    `said` is each kind's answer, where it has one. `differs` names the place where its twin (the
    next or the previous item) has another word; "" if it has no twin.
    """

    content: tuple[str, ...]
    kind: str
    said: dict[str, str]
    cause: str
    slices: dict[str, str] = field(default_factory=dict)
    differs: str = ""

    @property
    def answer(self) -> str:
        """The answer of the item's own kind."""
        return self.said[self.kind]


class Form(ABC):
    """One way to put stored facts and computations, for one world and seed."""

    negative: str = ""
    """Why no direction should tell the kinds apart here; "" where one may."""

    closed: bool = True
    """Whether a word of its own ends a prompt, or else the last word of the content does."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.knobs, self.seed = knobs, seed
        self.lexicon = Lexicon(knobs, seed)

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the places between the first and the last word of a prompt."""
        return ("c", "d", "a", "b")

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that answer related questions."""
        return self.lexicon.values

    @abstractmethod
    def asked(self) -> dict[str, list[Item]]:
        """Split → items; none of them stands in a document. Twins follow one another."""

    @abstractmethod
    def draw(self, kind: str, rng: random.Random, progress: float) -> Item:
        """An item for a document `progress` of the way (0 to 1) through all of them.

        It may be one that is asked about.
        """

    def number(self, value: int) -> str:
        """The word of a value."""
        return self.lexicon.values[value]

    def compute(self, a: int, b: int) -> int:
        """What the procedure makes of two values."""
        return max(a, b) if self.knobs.procedure == "larger" else min(a, b)
