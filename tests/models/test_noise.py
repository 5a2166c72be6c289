"""Noise by address: NumPy's own stream, the same wherever a row stands, Gumbel in law."""

import numpy as np
from scipy import stats

from seedbed.models.noise import gumbel


def test_it_is_numpy_s_philox_under_the_seed_as_key() -> None:
    key = 2**63 + 12345
    words = np.random.Philox(key=key).random_raw(3 * 8).reshape(3, 8)[:, :6]
    # A fresh bit generator steps its counter before the first word.
    found = gumbel([key], 1, 3, 8)[0, :, :6]
    uniform = ((words >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    shifted = np.random.Philox(key=key, counter=[1, 0, 0, 0]).random_raw(3 * 8).reshape(3, 8)
    later = ((shifted[:, :6] >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    assert np.array_equal(gumbel([key], 0, 3, 8)[0, :, :6], -np.log(-np.log(uniform)))
    assert np.array_equal(gumbel([key], 0, 3, 8)[0, 0, 4:], -np.log(-np.log(later))[0, :4])
    assert not np.array_equal(found, gumbel([key], 0, 3, 8)[0, :, :6])


def test_a_number_depends_on_its_seed_step_and_column_only() -> None:
    all_of_it = gumbel([3, 9, 2**62 + 1], 0, 5, 7)
    for row, seed in enumerate((3, 9, 2**62 + 1)):
        for step in range(5):
            assert np.array_equal(gumbel([seed], step, 1, 7)[0, 0], all_of_it[row, step])
    assert len(np.unique(all_of_it)) == all_of_it.size


def test_the_law_is_gumbel_s_and_neighbours_are_unrelated() -> None:
    found = gumbel(range(200), 0, 4, 50)
    assert stats.kstest(found.ravel(), "gumbel_r").pvalue > 1e-3
    assert stats.kstest(found.ravel() + 0.05, "gumbel_r").pvalue < 1e-6
    for a, b in ((found[:-1], found[1:]), (found[:, :-1], found[:, 1:])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03
