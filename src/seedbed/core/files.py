r"""Writing that leaves either the whole file or nothing, and reading that names the line.

All text is UTF-8 with "\\n"; JSON is canonical (sorted keys), so equal data gives equal bytes.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from seedbed.core.errors import DataError, DiskError

RowT = TypeVar("RowT", bound=BaseModel)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")


_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success, else remove it.

    Raises DiskError if the system cannot write (full disk, no permission).
    """
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        # safetensors writes files that nobody else may read, also in shared folders.
        temporary.chmod(0o666 & ~_UMASK)
        temporary.replace(path)
    except OSError as error:
        raise DiskError(f"{path}: cannot write: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; it replaces `path` on success."""
    temporary = _beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        raise DiskError(f"{path}: cannot write: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 (hex) of the names and contents of files, in the order given; "" of none."""
    found = hashlib.sha256()
    some = False
    for path in paths:
        some = True
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        found.update(f"{path.name} {content}\n".encode())
    return found.hexdigest() if some else ""


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as canonical JSON, atomically. NaN is refused: use None."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; raises DataError naming the line that does not parse."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(path, error.lineno, f"not JSON: {error.msg}") from error


def read_text(path: Path) -> str:
    """Read a UTF-8 file; raises DataError if it is missing, a folder or not UTF-8."""
    if not path.exists():
        raise DataError(path, None, f"no such file{_nearest(path)}")
    if path.is_dir():
        raise DataError(path, None, "is a folder, a file is needed")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(path, None, f"not UTF-8 text (byte {error.start})") from error


def _nearest(path: Path) -> str:
    from difflib import get_close_matches

    if not path.parent.is_dir():
        return f" (there is no folder {path.parent} either)"
    near = get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""


def write_rows(path: Path, rows: Iterable[BaseModel | dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as f:
        for row in rows:
            value = row if isinstance(row, dict) else row.model_dump(mode="json")
            f.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each non-blank line of a JSONL file.

    Raises DataError for a line that is not a JSON object, and for a file without any.
    """
    found = False
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(path, number, f"not JSON: {error.msg}") from error
        if not isinstance(value, dict):
            raise DataError(path, number, f"a JSON object is needed, found {type(value).__name__}")
        found = True
        yield number, value
    if not found:
        raise DataError(path, None, "is empty; at least one row is needed")


def read_rows(
    path: Path,
    row: type[RowT],
    adapt: Callable[[int, dict[str, Any]], dict[str, Any]] | None = None,
) -> list[RowT]:
    """Read a JSONL file into `row` objects with unique ids.

    `adapt(line, object)` may rename foreign keys first. Raises DataError with the line.
    """
    from seedbed.core.config import first_problem

    rows: list[RowT] = []
    lines: dict[str, int] = {}
    for number, value in read_objects(path):
        try:
            item = row.model_validate(adapt(number, value) if adapt else value)
        except ValidationError as error:
            raise DataError(path, number, first_problem(error, row)) from error
        key = getattr(item, "id", None)
        if isinstance(key, str) and key in lines:
            raise DataError(path, number, f"id {key!r} stands on line {lines[key]} already")
        if isinstance(key, str):
            lines[key] = number
        rows.append(item)
    return rows
