"""Making lists: category, count and length flat and apart from one another, words dealt evenly."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest

from seedbed.core.seeds import stream
from seedbed.worlds.counting.decks import Deck, flat, flat_pairs
from seedbed.worlds.counting.knobs import Range
from seedbed.worlds.counting.lexicon import Drawn
from seedbed.worlds.counting.lists import load

NEAREST = 4
"""A swapped word is drawn from so many that are nearest in length and frequency."""


Swap = tuple[Drawn, tuple[str, ...], tuple[str, ...]]
"""A category, a list, and the list with one word swapped."""


@dataclass(frozen=True)
class Plan:
    """What a list is to be."""

    drawn: Drawn
    count: int
    length: int


def plans(
    drawn: Sequence[Drawn], lengths: Range, counts: Range, total: int, rng: random.Random
) -> list[Plan]:
    """`total` plans: each of the three flat by itself, and none telling of another."""
    ones, others = range(counts[0], counts[1] + 1), range(lengths[0], lengths[1] + 1)
    pairs = flat_pairs(ones, others, total, rng)
    who = flat(drawn, total, rng)
    return [Plan(one, *pair) for one, pair in zip(who, pairs, strict=True)]


class Dealer:
    """Deals the words of lists from one deck of members and one of fillers a category."""

    def __init__(self, drawn: Sequence[Drawn], seed: int, purpose: str) -> None:
        self.rng = stream(seed, "counting", purpose)
        self.members = {d.name: Deck(d.members, self.rng) for d in drawn}
        self.fillers = {d.name: Deck(d.fillers, self.rng) for d in drawn}

    def words(self, plan: Plan) -> tuple[str, ...]:
        """A list as planned, in random order."""
        found = self._deal(plan.drawn, plan.count, plan.length - plan.count, ())
        self.rng.shuffle(found)
        return tuple(found)

    def swapped(self, plan: Plan, at: int, leaves: bool) -> Swap:
        """A list as planned and one that differs at place `at` (from 0), where a member leaves
        (or comes) and a filler of about its length and frequency stands in the other.

        The member is of the half that every rule counts.
        """
        drawn = plan.drawn
        member = self.members[drawn.name].deal(1, drawn.plain.__contains__)[0]
        filler = nearest(member, drawn.fillers, load().ranks, self.rng)
        members, fillers = plan.count - leaves, plan.length - plan.count - (not leaves)
        rest = self._deal(drawn, members, fillers, (member, filler))
        self.rng.shuffle(rest)
        with_member = (*rest[:at], member, *rest[at:])
        with_filler = (*rest[:at], filler, *rest[at:])
        both = (with_member, with_filler) if leaves else (with_filler, with_member)
        return (drawn, *both)

    def _deal(self, drawn: Drawn, members: int, fillers: int, avoid: Sequence[str]) -> list[str]:
        found = self.members[drawn.name].deal(members, _any, avoid)
        return found + self.fillers[drawn.name].deal(fillers, _any, avoid)


def nearest(word: str, pool: Sequence[str], ranks: dict[str, int], rng: random.Random) -> str:
    """One of the NEAREST words of `pool` that a tokenizer should treat most like `word`."""
    return rng.choice(nsmallest(NEAREST, pool, key=lambda w: distance(word, w, ranks)))


def pieces(word: str, ranks: dict[str, int]) -> float:
    """How many tokens a pretrained tokenizer should make of a word, by its rank and letters.

    Fitted by least squares to SmolLM2's vocabulary over all members (R² = 0.48): the thousand
    most frequent words are one token each, later ones more the rarer and longer they are.
    """
    rank = ranks.get(word, len(ranks))
    return 1 + max(0.0, math.log2(rank + 10) - 10) * (0.22 + 0.024 * len(word))


def distance(one: str, other: str, ranks: dict[str, int]) -> float:
    """How unlike two words are to a tokenizer: in tokens to be expected, then in letters."""
    tokens = abs(pieces(one, ranks) - pieces(other, ranks))
    return 4 * tokens + 0.5 * abs(len(one) - len(other))


def _any(_: str) -> bool:
    return True
