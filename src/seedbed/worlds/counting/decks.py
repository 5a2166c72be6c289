"""Dealing words and numbers evenly: no word comes again before all others have come."""

import random
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")
OtherT = TypeVar("OtherT")


class Deck:
    """Words in random order, dealt from the top; a new shuffled deck goes below when it runs out.

    A word that does not fit a deal keeps its place, so its use catches up later.
    """

    def __init__(self, words: Sequence[str], rng: random.Random) -> None:
        self.words, self.rng = tuple(words), rng
        self.cards: list[str] = []

    def deal(
        self, count: int, fits: Callable[[str], bool], avoid: Collection[str] = ()
    ) -> list[str]:
        """`count` different words that fit and are not in `avoid`.

        Raises ValueError if the deck has not as many.
        """
        found = self._pass(count, fits, avoid)
        if len(found) < count:
            self.cards += self.rng.sample(self.words, len(self.words))
            found += self._pass(count - len(found), fits, {*avoid, *found})
        if len(found) < count:
            raise ValueError(f"{len(found)} words fit, {count} are needed")
        return found

    def _pass(self, count: int, fits: Callable[[str], bool], avoid: Collection[str]) -> list[str]:
        found: list[str] = []
        i = 0
        while i < len(self.cards) and len(found) < count:
            word = self.cards[i]
            if word not in avoid and word not in found and fits(word):
                found.append(self.cards.pop(i))
            else:
                i += 1
        return found


def flat(values: Sequence[ItemT], count: int, rng: random.Random) -> list[ItemT]:
    """`count` values in random order, each as often as any other, give or take one."""
    rounds = -(-count // len(values))
    found = [v for _ in range(rounds) for v in rng.sample(list(values), len(values))][:count]
    rng.shuffle(found)
    return found


def flat_pairs(
    ones: Sequence[ItemT], others: Sequence[OtherT], count: int, rng: random.Random
) -> list[tuple[ItemT, OtherT]]:
    """`count` pairs in random order: every pair as often as any other, and what is left over
    flat in each of the two, so that neither tells of the other.
    """
    cells = [(one, other) for one in ones for other in others]
    rounds, left = divmod(count, len(cells))
    found = cells * rounds
    found += zip(flat(ones, left, rng), flat(others, left, rng), strict=True)
    rng.shuffle(found)
    return found


def directions(counts: Sequence[int], low: int, high: int, rng: random.Random) -> list[bool]:
    """Whether a member leaves, for each count: never at the lowest, always at the highest.

    Where both can be, as many leave as makes the whole half and half.
    """
    free = [i for i, count in enumerate(counts) if low < count < high]
    must = sum(count == high for count in counts)
    leave = min(len(free), max(0, len(counts) // 2 - must))
    chosen = set(rng.sample(free, leave))
    return [count == high or i in chosen for i, count in enumerate(counts)]


def depths(total: int, rng: random.Random) -> list[float]:
    """`total` numbers between 0 and 1, evenly spread, in random order."""
    return [(i + 0.5) / total for i in rng.sample(range(total), total)]
