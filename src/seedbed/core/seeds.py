"""Named seed streams: every random choice draws from its own stream, found by name.

Adding a stream never shifts another, which a single shared generator would do.
"""

import hashlib
import random

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream `names` under `seed`; the same on every machine."""
    key = "/".join([str(seed), *map(str, names)]).encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int) -> random.Random:
    """A Python generator for choices among objects."""
    return random.Random(derive(seed, *names))


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for arrays."""
    return np.random.default_rng(derive(seed, *names))
