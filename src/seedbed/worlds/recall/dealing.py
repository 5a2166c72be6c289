"""Dealing values out anew so that each comes as often as before: what comes often tells nothing."""

import random
from collections.abc import Callable, Sequence

from seedbed.core.errors import ConfigError

TRIES = 400


def dealt(
    values: Sequence[int], fits: Callable[[int, int], bool], rng: random.Random, key: str
) -> list[int]:
    """A permutation of `values` in which place i holds only values v with `fits(i, v)`.

    Starts from a random one and mends misfits by swaps. Raises ConfigError, which names `key`,
    if it finds none.
    """
    for _ in range(TRIES):
        found = list(values)
        rng.shuffle(found)
        for i, value in enumerate(found):
            if fits(i, value):
                continue
            able = [j for j, other in enumerate(found) if fits(i, other) and fits(j, value)]
            if not able:
                break
            j = rng.choice(able)
            found[i], found[j] = found[j], value
        else:
            return found
    raise ConfigError(f"{key}: no way to deal the values out anew; more values leave more room")
