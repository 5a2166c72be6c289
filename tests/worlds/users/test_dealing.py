"""Shares as whole counts."""

import random
from collections import Counter

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.worlds.users.dealing import evenly, kinds, spread, whole


def test_largest_remainders() -> None:
    assert whole({"a": 0.5, "b": 0.3, "c": 0.2}, 7) == {"a": 4, "b": 2, "c": 1}
    for n in range(1, 60):
        found = whole({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, n)
        assert sum(found.values()) == n
        assert max(found.values()) - min(found.values()) <= 1


def test_kinds_get_whole_people() -> None:
    assert kinds(0.02, 640, ("a", "b")) == {"a": 13, "b": 627}
    assert kinds(1.0, 5, ("a", "b")) == {"a": 5, "b": 0}
    with pytest.raises(ConfigError, match="take at least 10 people, or a share of 0"):
        kinds(0.9, 9, ("a", "b"))
    assert kinds(0.9, 10, ("a", "b")) == {"a": 9, "b": 1}


def test_shares_are_met_by_one_and_exact_on_average() -> None:
    shares = {"a": 0.17, "b": 0.33, "c": 0.0, "d": 0.5}
    counts = [Counter(evenly(shares, 10, random.Random(seed))) for seed in range(3000)]
    for key, share in shares.items():
        each = [c[key] for c in counts]
        assert max(abs(n - 10 * share) for n in each) < 1
        assert np.mean(each) == pytest.approx(10 * share, abs=0.05)
    assert all(c.total() == 10 for c in counts)


def test_spread_is_even_give_or_take_one() -> None:
    found = Counter(spread("abc", 10, random.Random(0)))
    assert sorted(found.values()) == [3, 3, 4]
