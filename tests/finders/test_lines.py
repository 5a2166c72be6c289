"""Which lines are tried, and how long a step along each is."""

import numpy as np
import pytest

from seedbed.core.directions import Directions
from seedbed.finders.lines import evenly, lines_of


def _directions(seed: int, spread: float) -> Directions:
    sites = ("resid_pre.0@a", "resid_pre.1@a", "resid_pre.1@b", "resid_post.1@a")
    vectors = np.random.default_rng(seed).normal(size=(4, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = np.ones(4)
    return Directions(sites, vectors, 0 * one, spread * one, 7 * one, "stored", "computed")


def test_all_directions_of_a_site_are_pushed_by_the_same_length() -> None:
    given = {"long": _directions(0, 3.0), "short": _directions(1, 0.5)}
    for unit, length in (("spread", 3.0), ("norm", 7.0), ("one", 1.0)):
        found = lines_of(given, 2, unit, (), 0)  # type: ignore[arg-type] # a name of three
        assert {line.unit for line in found.lines} == {length}
        assert found.directions == ("long", "short", "random-0", "random-1")
    lengths = found.vectors.norm(dim=1).numpy()
    np.testing.assert_allclose(lengths, 1, atol=1e-6)
    draws = [found.vectors[x.vector] for x in found.lines if x.direction.startswith("random")]
    assert len({tuple(v.tolist()) for v in draws}) == len(draws) == 8


def test_places_and_depths_keep_some() -> None:
    given = {"x": _directions(0, 1.0)}
    names = [c.name for c in lines_of(given, 0, "one", ("a",), 0).cells]
    assert names == ["resid_pre.0@a", "resid_pre.1@a", "resid_post.1@a"]
    names = [c.name for c in lines_of(given, 0, "one", (), 0, 2).cells]
    assert names == ["resid_pre.0@a", "resid_post.1@a"]


@pytest.mark.parametrize("count", [2, 5, 16])
def test_evenly_keeps_the_ends_and_equal_gaps(count: int) -> None:
    found = evenly(range(40), count)
    assert (len(found), found[0], found[-1]) == (count, 0, 39)
    gaps = np.diff(found)
    assert gaps.max() - gaps.min() <= 1
    assert evenly(range(4), 4) == evenly(range(4), 0) == [0, 1, 2, 3]
