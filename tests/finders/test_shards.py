import json
from pathlib import Path

import numpy as np
import pytest

from seedbed.finders.shards import MATRIX, RECORD, Shards

ROWS, COLUMNS = ("a", "b", "c"), tuple("defgh")


def made(folder: Path | None, key: str = "k", width: int = 2) -> Shards:
    return Shards(ROWS, COLUMNS, folder, key, width)


def fill(shards: Shards) -> list[range]:
    """Write what is missing, as its place says; returns the columns written."""
    written = []
    for columns in shards.ranges():
        if not shards.holds([0, 1, 2], columns):
            shards.put([0, 1, 2], columns, np.arange(3)[:, None] * 10.0 + np.array(columns))
            written.append(columns)
    return written


def test_blocks_make_the_matrix_in_memory_and_on_disk(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "s"):
        shards = made(folder)
        assert fill(shards) == [range(2), range(2, 4), range(4, 5)]
        np.testing.assert_array_equal(
            shards.values, np.arange(3)[:, None] * 10 + np.arange(5)[None]
        )
    saved = np.load(tmp_path / "s" / MATRIX)
    np.testing.assert_array_equal(saved, shards.values)
    record = json.loads((tmp_path / "s" / RECORD).read_text())
    assert record["rows"] == list(ROWS)
    assert json.loads((tmp_path / "s" / "columns.json").read_text()) == list(COLUMNS)


def test_what_is_whole_is_kept_with_its_facts(tmp_path: Path) -> None:
    first = made(tmp_path / "s")
    first.facts["way"] = "tokens"
    first.put([0, 2], range(2), np.ones((2, 2)))
    again = made(tmp_path / "s")
    assert again.holds([0, 2], range(2))
    assert not again.holds([0, 2], range(2, 4))
    assert again.facts == {"way": "tokens"}
    np.testing.assert_array_equal(again.values[[0, 2], :2], 1)


def test_a_damaged_block_alone_is_missing(tmp_path: Path) -> None:
    fill(made(tmp_path / "s"))
    values = np.load(tmp_path / "s" / MATRIX, mmap_mode="r+")
    values[1, 3] += 1e-12
    values.flush()
    again = made(tmp_path / "s")
    assert fill(again) == [range(2, 4)]
    assert again.values[1, 3] == 13
    assert fill(made(tmp_path / "s")) == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda f: (f / RECORD).write_text("{"),
        lambda f: (f / RECORD).unlink(),
        lambda f: (f / MATRIX).write_bytes(b"x" * 300),
        lambda f: np.save(f / MATRIX, np.zeros((3, 4))),
    ],
    ids=["record damaged", "record lost", "matrix foreign", "other shape"],
)
def test_a_folder_that_cannot_be_trusted_is_begun_anew(tmp_path: Path, harm: object) -> None:
    fill(made(tmp_path / "s"))
    assert callable(harm)
    harm(tmp_path / "s")
    assert len(fill(made(tmp_path / "s"))) == 3


def test_a_matrix_cut_short_lacks_its_end(tmp_path: Path) -> None:
    fill(made(tmp_path / "s"))
    path = tmp_path / "s" / MATRIX
    path.write_bytes(path.read_bytes()[:-8])
    again = made(tmp_path / "s")
    assert fill(again) == [range(4, 5)]
    assert again.values[2, 4] == 24


def test_other_work_is_not_reused(tmp_path: Path) -> None:
    fill(made(tmp_path / "s"))
    assert len(fill(made(tmp_path / "s", key="other"))) == 3
    assert len(fill(made(tmp_path / "s", key="other", width=3))) == 2
    other = Shards(ROWS, [*COLUMNS[:4], "i"], tmp_path / "s", "other", 3)
    assert len(fill(other)) == 2
