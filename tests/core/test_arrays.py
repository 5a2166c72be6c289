from pathlib import Path

import numpy as np
import pytest

from seedbed.core.arrays import save_arrays, saved_arrays
from seedbed.core.errors import DataError


def test_what_was_saved_comes_back_and_gives_the_same_bytes(tmp_path: Path) -> None:
    values = {"a/b": np.arange(6.0).reshape(2, 3), "c": np.array([True, False])}
    for name in ("one.npz", "two.npz"):
        save_arrays(tmp_path / name, {"names": ["x"], "kind": "k"}, values)
    with saved_arrays(tmp_path / "one.npz", "a test") as (meta, arrays):
        assert meta == {"names": ["x"], "kind": "k"}
        assert all(np.array_equal(arrays[k], v) for k, v in values.items())
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"text", b"PK\x03\x04 cut short"])
def test_another_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "one.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"one\.npz"), saved_arrays(path, "a test"):
        raise AssertionError("nothing can be read")


def test_an_array_that_is_not_there_is_an_error_of_the_file(tmp_path: Path) -> None:
    save_arrays(tmp_path / "one.npz", {}, {})
    with (
        pytest.raises(DataError, match=r"one\.npz.*not a test"),
        saved_arrays(tmp_path / "one.npz", "a test") as (_, arrays),
    ):
        _ = arrays["values"]
