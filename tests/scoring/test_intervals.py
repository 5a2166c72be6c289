import numpy as np
import pytest

from seedbed.scoring.intervals import Bootstrap, wilson


def test_wilson_against_published_values() -> None:
    # Newcombe (1998), Statistics in Medicine 17: 81/263 and 0/20, Wilson without correction.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert np.isnan(wilson(0, 0)).all()


def test_constant_values_have_no_width() -> None:
    interval = Bootstrap([["a", "a", "b"], ["a", "b", "c"]]).interval([np.ones(3), np.ones(3)])
    assert (interval.value, interval.low, interval.high) == (1, 1, 1)


def test_questions_of_one_cause_are_not_counted_twice() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(8)
    narrow = Bootstrap([[str(i) for i in range(8)]]).interval([values])
    copied = Bootstrap([[str(i % 8) for i in range(80)]]).interval([np.tile(values, 10)])
    assert copied.low == pytest.approx(narrow.low)
    assert copied.high == pytest.approx(narrow.high)


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    bootstrap = Bootstrap([[str(i) for i in range(40)]], resamples=500)
    for _ in range(200):
        interval = bootstrap.interval([rng.normal(size=40)])
        covered += interval.low <= 0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_seeds_widen_the_interval() -> None:
    clusters = [[str(i) for i in range(200)]] * 3
    rng = np.random.default_rng(2)
    noise = [rng.normal(scale=0.1, size=200) for _ in range(3)]
    same = Bootstrap(clusters).interval(noise)
    apart = Bootstrap(clusters).interval([n + s for s, n in enumerate(noise)])
    assert apart.high - apart.low > 5 * (same.high - same.low)


def test_undefined_questions_are_left_out() -> None:
    bootstrap = Bootstrap([["a", "b", "c"], ["a", "b", "c"]])
    nan = np.full(3, np.nan)
    assert np.isnan(bootstrap.interval([nan, nan]).value)
    assert bootstrap.interval([np.array([1, np.nan, 1]), nan]).value == 1
