import os
from pathlib import Path

import pytest

from seedbed.core.errors import DataError, DiskError
from seedbed.core.files import (
    atomic_file,
    atomic_folder,
    read_json,
    read_rows,
    write_json,
    write_rows,
)
from seedbed.core.rows import Document


def _fail_inside(error: Exception, path: Path, folder: bool = False) -> None:
    with (atomic_folder if folder else atomic_file)(path) as temporary:
        (temporary / "x" if folder else temporary).write_text("half")
        raise error


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"new": float("nan")})
    with pytest.raises(RuntimeError):
        _fail_inside(RuntimeError(), path)
    assert read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _fail_inside(RuntimeError(), tmp_path / "out", folder=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", [False, True])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, folder: bool) -> None:
    full = OSError(28, "No space left on device")
    with pytest.raises(DiskError, match="rows: cannot write: No space left on device"):
        _fail_inside(full, tmp_path / "rows", folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="/dev/null cannot hold a file on POSIX")
def test_a_place_that_cannot_hold_files() -> None:
    with pytest.raises(DiskError, match="cannot write"):
        _fail_inside(RuntimeError(), Path("/dev/null/x"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ('{"id": "a", "text": "x"}\n{"id": "b"}\n', ":2: text: is missing"),
        ('{"id": "a", "text": "x"}\n\n{"id": "a", "text": "y"}\n', ":3: id 'a' stands on line 1"),
        ('{"id": "a", "text": ""}\n', ":1: text: "),
        ('{"id": "a", "text": "x"}\n{"id": \n', ":2: not JSON"),
        ("[1]\n", ":1: a JSON object is needed"),
        ('{"id": "a", "text": "x", "wieght": 1}\n', "did you mean 'weight'"),
        ('{"id": "a", "text": "x", "targets": [[0, 9]]}\n', "outside the text"),
        ('{"id": "a", "text": "x", "weight": -1}\n', ":1: weight"),
    ],
)
def test_bad_rows_name_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_rows(path, Document)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_not_text_and_folder(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_rows(path, Document)
    with pytest.raises(DataError, match="is a folder"):
        read_rows(tmp_path, Document)


def test_rows_survive_odd_text(tmp_path: Path) -> None:
    rows = [Document(id=str(i), text=t) for i, t in enumerate(["a\u2028b", '<A>\n\t"', "é𝕏"])]
    write_rows(tmp_path / "r.jsonl", rows)
    assert read_rows(tmp_path / "r.jsonl", Document) == rows


def test_files_are_as_readable_as_the_user_wants_them(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("x")
        temporary.chmod(0o600)
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode
