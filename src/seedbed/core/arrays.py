"""Arrays and a JSON description in one .npz, whose bytes depend on the values only."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from seedbed.core.errors import DataError
from seedbed.core.files import atomic_file


def save_arrays(path: Path, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `meta`, which JSON must hold, beside named arrays; `meta` is no array's name."""
    text = np.array(json.dumps(meta))
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, meta=text, **arrays)  # type: ignore[arg-type]  # numpy's stub takes **arrays as allow_pickle


@contextmanager
def saved_arrays(path: Path, what: str) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """(meta, arrays, read when asked for) of what `save_arrays` wrote.

    Raises DataError, which names the file, if it is not there or is no such file: no `what`.
    Unfit values that are found inside the block count as that too.
    """
    if not path.exists():
        raise DataError(path, None, "no such file")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            yield json.loads(str(file["meta"])), file
    except (KeyError, ValueError, OSError, EOFError, BadZipFile) as error:
        raise DataError(path, None, f"not {what}: {error}") from error
