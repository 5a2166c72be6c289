"""Random initial states that depend on a seed and the tokens alone, not on the batch around them.

A token's state is drawn from the tokens up to it, so that padding, order and company change
nothing, and what was cached for a beginning stands for every sequence that begins so.
"""

import math

import torch
from torch import Tensor

# Odd constants of SplitMix64 (Steele, Lea and Flood 2014), as signed 64-bit numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64
_BITS = 24


def marks(ids: Tensor, positions: Tensor) -> Tensor:
    """A 64-bit number for each token at its position [rows, length]; 0 at padding (negative).

    Their sums along a row tell beginnings apart.
    """
    found = _mixed(ids.long() * _FIRST + (positions.long() + 1) * _GOLDEN)
    return found.masked_fill(positions < 0, 0)


def normals(sums: Tensor, width: int, seed: int) -> Tensor:
    """Standard normal numbers [rows, length, width], float32, of sums of marks [rows, length].

    By the Box-Muller transform of two uniform numbers with 24 bits each.
    """
    # A seed of 63 bits stays within what a tensor holds.
    start = _mixed(sums + _mixed(torch.tensor(seed % 2**63, device=sums.device)))
    steps = torch.arange(1, width + 1, device=sums.device) * _GOLDEN
    bits = _mixed(start.unsqueeze(-1) + steps)
    one = (_shifted(bits, 64 - _BITS).float() + 0.5) / 2**_BITS
    two = (bits & (2**_BITS - 1)).float() / 2**_BITS
    found: Tensor = torch.sqrt(-2 * torch.log(one)) * torch.cos(2 * math.pi * two)
    return found


def _mixed(x: Tensor) -> Tensor:
    """SplitMix64's finaliser; int64 arithmetic wraps around as 64-bit arithmetic must."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, by: int) -> Tensor:
    # Torch shifts signed numbers, which would drag the sign along.
    found: Tensor = (x >> by) & (2 ** (64 - by) - 1)
    return found
