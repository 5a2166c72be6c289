"""Gumbel noise by address: a number depends on its seed, step and column, and on nothing else.

NumPy's Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is set
to a key and a counter, so that no stream needs a generator of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = 4  # numbers a counter gives


def gumbel(seeds: Sequence[int], first: int, steps: int, width: int) -> NDArray[np.float64]:
    """Standard Gumbel noise [seeds, steps, width] of the steps from `first` on.

    The key is the seed (its lower 64 bits), the counter of column v at step s is
    s · ⌈width / 4⌉ + v // 4. The uniform number behind each is (53 bits + ½) / 2⁵³: none is 0 or 1.
    """
    blocks = -(-width // _WORD)
    raw = np.empty((len(seeds), steps, blocks * _WORD), dtype=np.uint64)
    bits = np.random.Philox(key=0)
    counter, key = np.zeros(_WORD, dtype=np.uint64), np.zeros(2, dtype=np.uint64)
    state: Any = bits.state
    # An empty buffer: the next number asked for comes from the counter that is set.
    state |= {"state": {"counter": counter, "key": key}, "buffer_pos": _WORD}
    counter[0] = first * blocks
    for row, seed in enumerate(seeds):
        key[0] = seed & 0xFFFFFFFFFFFFFFFF
        bits.state = state
        raw[row] = bits.random_raw(steps * blocks * _WORD).reshape(steps, -1)
    uniform = (raw[:, :, :width] >> np.uint64(11)).astype(np.float64)
    uniform += 0.5
    uniform *= 2.0**-53
    np.log(uniform, out=uniform)
    np.negative(uniform, out=uniform)
    np.log(uniform, out=uniform)
    found: NDArray[np.float64] = np.negative(uniform, out=uniform)
    return found
