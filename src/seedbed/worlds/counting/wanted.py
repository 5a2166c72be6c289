"""Which examples are wanted, and which are still missing for flat distributions."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.worlds.counting.decks import flat_pairs
from seedbed.worlds.counting.examples import Example
from seedbed.worlds.counting.knobs import Range, check_ranges
from seedbed.worlds.counting.lists import load

ValueT = TypeVar("ValueT")


class Wanted(Config):
    """A set of examples: how many, over which lengths, counts and categories (empty: all).

    `chat_share` of them come from a chat model where the generator is `mixed`. No two lists
    are more alike than `alike` (Jaccard), with a chat model's not more than `chat_alike`.
    """

    examples: int = Field(default=3000, ge=1)
    generator: Literal["systematic", "chat", "mixed"] = "systematic"
    chat_share: float = Field(default=0.1, gt=0, lt=1)
    categories: tuple[str, ...] = ()
    lengths: Range = (8, 12)
    counts: Range = (0, 8)
    alike: float = Field(default=0.5, gt=0, le=1)
    chat_alike: float = Field(default=0.4, gt=0, le=1)
    cap: float = Field(default=0.1, gt=0, le=1, description="largest share of one category")
    rounds: int = Field(default=6, ge=1)

    @model_validator(mode="after")
    def _can_be(self) -> "Wanted":
        check_ranges(self.lengths, self.counts)
        for name in self.names:
            category = load().category(name)
            if len(category.members) < self.counts[1]:
                raise ValueError(
                    f"counts: up to {self.counts[1]}, but '{name}' has"
                    f" {len(category.members)} words"
                )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The categories, as the lists spell them; raises InputError for an unknown one."""
        if not self.categories:
            return tuple(load().categories)
        return tuple(dict.fromkeys(load().category(name).name for name in self.categories))

    @property
    def most(self) -> int:
        """Most examples of one category: `cap` of all, or an even share of fewer categories."""
        return max(int(self.cap * self.examples), -(-self.examples // len(self.names)))

    @property
    def from_chat(self) -> int:
        """How many of the examples a chat model is to make."""
        if self.generator == "mixed":
            return round(self.chat_share * self.examples)
        return self.examples if self.generator == "chat" else 0


@dataclass(frozen=True)
class Plan:
    """One example that is missing."""

    category: str
    count: int
    length: int


def missing(wanted: Wanted, kept: Sequence[Example], total: int, rng: random.Random) -> list[Plan]:
    """`total` plans after which category, count and length are as flat as they can be, and none
    tells of another.
    """
    counts, lengths = span(wanted.counts), span(wanted.lengths)
    who = fill(wanted.names, [e.category for e in kept], total, rng)
    if kept:
        ones = fill(counts, [e.num_target for e in kept], total, rng)
        pairs = list(
            zip(ones, fill(lengths, [len(e.words) for e in kept], total, rng), strict=True)
        )
    else:
        pairs = flat_pairs(counts, lengths, total, rng)
    return [Plan(one, *pair) for one, pair in zip(who, pairs, strict=True)]


def span(values: Range) -> tuple[int, ...]:
    """All whole numbers of a range, both ends included."""
    return tuple(range(values[0], values[1] + 1))


def fill(
    values: Sequence[ValueT], present: Sequence[ValueT], total: int, rng: random.Random
) -> list[ValueT]:
    """`total` values that level out how often each is there, in random order."""
    counts = Counter(dict.fromkeys(values, 0))
    counts.update(p for p in present if p in counts)
    found: list[ValueT] = []
    while len(found) < total:
        least = min(counts.values())
        lowest = [v for v in values if counts[v] == least]
        taken = rng.sample(lowest, min(len(lowest), total - len(found)))
        found += taken
        counts.update(taken)
    rng.shuffle(found)
    return found
