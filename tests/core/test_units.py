from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import DataError
from seedbed.core.units import Units, load_units, save_units


def test_tables_survive_the_file_and_give_the_same_bytes(tmp_path: Path) -> None:
    units = Units(("a", "b"), ("x", "y"), ("one", "two"), np.array([[1, np.nan], [3, 4]]))
    save_units(tmp_path / "t.npz", {"first": units, "second": units.among(["two"])})
    found = load_units(tmp_path / "t.npz")
    assert list(found) == ["first", "second"]
    assert found["first"].columns == units.columns
    assert np.array_equal(found["first"].values, units.values, equal_nan=True)
    assert found["second"].column("two").tolist()[1] == 4
    save_units(tmp_path / "u.npz", found)
    assert (tmp_path / "u.npz").read_bytes() == (tmp_path / "t.npz").read_bytes()


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Units(("a",), ("x",), ("one",), np.zeros((2, 1)))


@pytest.mark.parametrize("content", [None, b"", b"text"])
def test_another_file_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"t\.npz"):
        load_units(path)
