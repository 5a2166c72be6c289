import torch

from seedbed.nets.states import marks, normals

MASK = 2**64 - 1


def _mixed(x: int) -> int:
    """SplitMix64's finaliser in whole numbers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def test_marks_are_splitmix_in_whole_numbers() -> None:
    ids = torch.tensor([[5, 0, 39], [2**31, 7, 7]])
    positions = torch.tensor([[0, 1, 2], [-1, 0, 1]])
    found = marks(ids, positions)
    for row in range(2):
        for column in range(3):
            token, place = int(ids[row, column]), int(positions[row, column])
            key = token * 0xBF58476D1CE4E5B9 + (place + 1) * 0x9E3779B97F4A7C15
            wanted = _mixed(key & MASK) if place >= 0 else 0
            assert int(found[row, column]) % 2**64 == wanted


def test_numbers_are_normal_and_uncorrelated() -> None:
    sums = marks(torch.arange(500)[None] % 7, torch.arange(500)[None]).cumsum(1)
    drawn = normals(sums, 200, seed=3)[0]
    assert drawn.dtype == torch.float32
    flat = drawn.flatten()
    # Standard errors of 100,000 numbers: mean .003, variance .0045, kurtosis .015.
    assert abs(float(flat.mean())) < 0.015
    assert abs(float(flat.var()) - 1) < 0.025
    assert abs(float((flat**4).mean()) - 3) < 0.1
    for a, b in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1])):
        assert abs(float((a * b).mean())) < 0.015
    other = normals(sums, 200, seed=4)[0]
    assert abs(float((other * drawn).mean())) < 0.015


def test_a_beginning_decides_and_nothing_after_it() -> None:
    ids = torch.tensor([[1, 5, 9, 2], [1, 5, 9, 3], [5, 1, 9, 2]])
    places = torch.arange(4).expand(3, 4)
    drawn = normals(marks(ids, places).cumsum(1), 8, seed=0)
    assert torch.equal(drawn[0, :3], drawn[1, :3])
    # Order counts, not only which tokens came before.
    for a, b, place in ((0, 1, 3), (0, 2, 1), (0, 2, 3)):
        assert (drawn[a, place] - drawn[b, place]).abs().max() > 0.1
    large = normals(marks(ids, places).cumsum(1), 8, seed=2**63 - 1)
    assert bool(large.isfinite().all())
    assert not torch.equal(large, drawn)
