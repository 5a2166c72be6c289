from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import DataError
from seedbed.core.sites import Claim, Truth


def _truth() -> Truth:
    values = np.array([[1, 0, np.nan], [0, 1, 0]])
    labels = np.array([[1, 0, 2], [0, 1, 0]], dtype=np.int16)
    names = ("unrelated", "evidence:0", "supporting")
    return Truth(("q0", "q1"), ("a", "b", "c"), values, labels, names)


def test_truth_and_claim_survive_the_disk_with_equal_bytes(tmp_path: Path) -> None:
    truth = _truth()
    truth.save(tmp_path / "t.npz")
    truth.save(tmp_path / "u.npz")
    assert (tmp_path / "t.npz").read_bytes() == (tmp_path / "u.npz").read_bytes()
    again = Truth.load(tmp_path / "t.npz")
    assert again.names == truth.names
    np.testing.assert_array_equal(again.values, truth.values)
    claim = Claim(("q",), ("a", "b"), np.array([[1.5, 2]]), notes={"path": "gram"})
    claim.save(tmp_path / "c.npz")
    loaded = Claim.load(tmp_path / "c.npz")
    assert (loaded.questions, loaded.sites, loaded.notes) == (("q",), ("a", "b"), {"path": "gram"})


def test_axes_and_finiteness_are_checked() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 2\) does not fit 1 questions × 1 sites"):
        Claim(("q",), ("a",), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        Claim(("q",), ("a", "b"), np.array([[0, np.inf]]))


def test_select_and_arranged_move_rows_and_columns() -> None:
    assert _truth().select(("q1",)).values.tolist() == [[0, 1, 0]]
    claim = Claim(("q",), ("a", "b", "c"), np.array([[1, 2, 3]]))
    assert claim.arranged(("c", "a", "b")).scores.tolist() == [[3, 1, 2]]


@pytest.mark.parametrize("content", [b"", b"PK", b"no matrix at all"])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"c\.npz: not a saved matrix"):
        Claim.load(tmp_path / "c.npz")


def test_a_cut_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    _truth().save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not a saved matrix"):
        Truth.load(path)
