from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import DataError
from seedbed.core.outcomes import Outcomes


def outcomes() -> Outcomes:
    kept = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype=bool)
    values = np.arange(3 * 2 * 2, dtype=np.float64).reshape(3, 2, 2)
    return Outcomes(
        ("none", "subset", "single"), ("", "000", "a"), ("q0", "q1"), ("a", "b", "c"), kept, values
    )


def test_saved_and_read_back_the_same(tmp_path: Path) -> None:
    given, path = outcomes(), tmp_path / "outcomes.npz"
    given.save(path)
    first = path.read_bytes()
    read = Outcomes.load(path)
    assert (read.kinds, read.names, read.questions) == (given.kinds, given.names, given.questions)
    assert np.array_equal(read.kept, given.kept)
    assert np.array_equal(read.outputs, given.outputs)
    read.save(path)
    assert path.read_bytes() == first


def test_kinds_and_questions_are_selected_by_name() -> None:
    one = outcomes().of("subset").select(["q1"])
    assert (one.names, one.questions, one.outputs.tolist()) == (("000",), ("q1",), [[[5.0], [7.0]]])
    assert one.kept.tolist() == [[True, False, True]]


def test_shapes_that_do_not_fit_are_refused() -> None:
    good = outcomes()
    with pytest.raises(ValueError, match="are not"):
        Outcomes(good.kinds, good.names, ("q0",), good.sites, good.kept, good.outputs)


@pytest.mark.parametrize("damage", ["gone", "cut", "foreign"])
def test_unfit_files_are_named(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.npz"
    outcomes().save(path)
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        with path.open("wb") as file:
            np.savez(file, other=np.zeros(2))
    with pytest.raises(DataError, match=r"outcomes\.npz"):
        Outcomes.load(path)
