"""Shares as whole numbers of people, and who gets what: nobody is drawn with a coin."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from seedbed.core.errors import ConfigError

ItemT = TypeVar("ItemT")
KeyT = TypeVar("KeyT")


def whole(shares: Mapping[KeyT, float], count: int) -> dict[KeyT, int]:
    """`count` split by `shares` (which sum to 1), by largest remainders; of equals the first."""
    exact = {key: share * count for key, share in shares.items()}
    found = {key: int(x + 1e-9) for key, x in exact.items()}
    order = sorted(exact, key=lambda key: found[key] - exact[key])
    for key in order[: count - sum(found.values())]:
        found[key] += 1
    return found


def kinds(share: float, count: int, names: tuple[str, str]) -> dict[str, int]:
    """How many of `count` people are of either kind, the first having this share.

    Raises ConfigError where a kind of a share above 0 would get less than one person.
    """
    found = whole({names[0]: share, names[1]: 1 - share}, count)
    for name, part in zip(names, (share, 1 - share), strict=True):
        if 0 < part * count < 1 - 1e-9:
            raise ConfigError(
                f"world.gameable: {part:.4g} of {count} people is less than one of the kind"
                f" {name!r}; take at least {math.ceil(1 / part - 1e-9)} people, or a share of 0"
            )
    return found


def spread(items: Sequence[ItemT], count: int, rng: random.Random) -> list[ItemT]:
    """`count` of the items, each as often as any other give or take one, in a drawn order."""
    rounds: list[ItemT] = []
    while len(rounds) < count:
        rounds += rng.sample(list(items), len(items))
    found = rounds[:count]
    rng.shuffle(found)
    return found


def evenly(shares: Mapping[KeyT, float], count: int, rng: random.Random) -> list[KeyT]:
    """One key for each of `count` people: each key by its share give or take one, order drawn.

    Which key gets the odd one is drawn too, so that each share is exact on average.
    """
    start = rng.random()
    ends, total = [], 0.0
    for share in shares.values():
        total += share
        ends.append(int(total * count + start))
    ends[-1] = count
    found: list[KeyT] = []
    for key, end in zip(shares, ends, strict=True):
        found += [key] * (min(end, count) - len(found))
    rng.shuffle(found)
    return found
