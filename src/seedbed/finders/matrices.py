"""Score matrices in the files that other tools write, read as claims of their own axes.

A .npy with lists of ids; JSONL and CSV in long form (a row a cell) or wide form (a row a
question); a claim's .npz; and rankings, a file a question.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.errors import DataError
from seedbed.core.files import read_objects, read_text
from seedbed.core.foreign import ID
from seedbed.core.sites import Claim
from seedbed.core.tables import Entry, claim_of_cells, read_claim

QUESTION = ("question", "question_id", "query", "query_id")
DOCUMENT = ("document", "site", "doc_id", "document_id", "uid", "id")
SCORE = ("score", "influence", "influence_score", "value")


def read_matrix(
    path: Path,
    questions: Sequence[str] | None = None,
    documents: Sequence[str] | None = None,
    absent: float | None = None,
) -> Claim:
    """Any form but rankings, by the name's ending; ids of rows and columns are for .npy only.

    `absent` is the score of cells that a long or wide file does not list. Raises DataError in
    one line for an unknown ending, a wrong shape, a cell missing, twice, or not finite.
    """
    ending = path.suffix.lower()
    if ending == ".npy":
        return _read_array(path, questions, documents)
    if ending == ".npz":
        return read_claim(path)
    if ending == ".csv":
        return claim_of_cells(path, _csv_cells(path), absent)
    if ending == ".jsonl":
        return claim_of_cells(path, _json_cells(path), absent)
    raise DataError(path, None, "scores are read from .npy, .npz, .jsonl and .csv files")


def read_rankings(paths: dict[str, Path], absent: float | None = None) -> Claim:
    """One file a question: JSONL rows with an id and a score (or a key ending in influence_score).

    influence-benchmarking-hops writes them as `*_ranked.jsonl`.
    """
    first = next(iter(paths.values()))
    claims = [claim_of_cells(path, _ranking_cells(q, path)) for q, path in paths.items()]
    cells = (
        (None, claim.questions[0], site, float(score))
        for claim in claims
        for site, score in zip(claim.sites, claim.scores[0], strict=True)
    )
    return claim_of_cells(first.parent, cells, absent)


def read_ids(path: Path) -> tuple[str, ...]:
    """Ids in order: a line each, a JSON list, or the rows of a JSONL file (any name of an id).

    Raises DataError for a row without an id, an id that stands twice, or an empty list.
    """
    if path.suffix.lower() == ".jsonl":
        found = [(line, _identity(path, line, row)) for line, row in read_objects(path)]
    elif path.suffix.lower() == ".json":
        try:
            values = json.loads(read_text(path))
        except json.JSONDecodeError as error:
            raise DataError(path, error.lineno, f"not JSON: {error.msg}") from error
        if not isinstance(values, list) or any(isinstance(v, dict | list) for v in values):
            raise DataError(path, None, "a JSON list of ids is needed")
        found = [(i, str(value)) for i, value in enumerate(values, start=1)]
    else:
        lines = enumerate(read_text(path).splitlines(), start=1)
        found = [(line, text.strip()) for line, text in lines if text.strip()]
    seen: dict[str, int] = {}
    for line, key in found:
        if key in seen:
            raise DataError(path, line, f"id {key!r} stands on line {seen[key]} already")
        seen[key] = line
    if not seen:
        raise DataError(path, None, "holds no ids")
    return tuple(seen)


def _read_array(
    path: Path, questions: Sequence[str] | None, documents: Sequence[str] | None
) -> Claim:
    if not path.is_file():
        read_text(path)  # says what is wrong with the name
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(path, None, f"not a NumPy array: {error}") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiu":
        shape = getattr(values, "shape", None)
        raise DataError(path, None, f"numbers [questions, documents] are needed, found {shape}")
    if questions is None or documents is None:
        raise DataError(
            path, None,
            "a .npy has no ids: give files with them as `questions` and `documents`, or set"
            " `in_order: true` if its rows and columns stand as the study's do",
        )  # fmt: skip
    wanted = (len(questions), len(documents))
    if values.shape != wanted:
        turned = "; it looks transposed" if values.shape == wanted[::-1] else ""
        raise DataError(
            path, None,
            f"shape {values.shape}, but there are {wanted[0]} questions × {wanted[1]}"
            f" documents{turned}",
        )  # fmt: skip
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        q, d = bad[0]
        raise DataError(
            path, None,
            f"{len(bad)} scores are not finite, the first for question {questions[q]!r} and"
            f" document {documents[d]!r}",
        )  # fmt: skip
    return Claim(tuple(questions), tuple(documents), values.astype(np.float64))


def _json_cells(path: Path) -> Iterator[Entry]:
    for line, row in read_objects(path):
        question = _take(path, line, row, QUESTION, "question")
        scores = row.get("scores")
        if isinstance(scores, dict):
            for document, score in scores.items():
                yield line, question, document, score
        elif isinstance(scores, list):
            names = row.get("documents")
            if not isinstance(names, list) or len(names) != len(scores):
                raise DataError(path, line, f"documents: a list of {len(scores)} ids is needed")
            for document, score in zip(names, scores, strict=True):
                yield line, question, str(document), score
        else:
            document = _take(path, line, row, DOCUMENT, "document")
            yield line, question, document, _score(path, line, row)


def _ranking_cells(question: str, path: Path) -> Iterator[Entry]:
    for line, row in read_objects(path):
        nested = row.get("metadata")
        flat = {**nested, **row} if isinstance(nested, dict) else row
        yield line, question, _identity(path, line, flat), _score(path, line, flat)


def _csv_cells(path: Path) -> Iterator[Entry]:
    reader = csv.reader(io.StringIO(read_text(path).removeprefix("\ufeff")))
    rows = ((reader.line_num, row) for row in reader if any(text.strip() for text in row))
    _, head = next(rows, (0, []))
    if len(head) < 2:
        raise DataError(path, None, "a first line with at least two column names is needed")
    names = [name.strip() for name in head]
    places = [next((names.index(n) for n in some if n in names), -1)
              for some in (QUESTION, DOCUMENT, SCORE)]  # fmt: skip
    for line, row in rows:
        if len(row) != len(names):
            raise DataError(path, line, f"{len(row)} fields, but the first line has {len(names)}")
        if min(places) >= 0:
            question, document, score = (row[at].strip() for at in places)
            yield line, question, document, _number(path, line, score)
        else:
            for document, score in zip(names[1:], row[1:], strict=True):
                if score.strip():
                    yield line, row[0].strip(), document, _number(path, line, score)


def _number(path: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(path, line, f"score: a number is needed, it is {text!r}") from error


def _score(path: Path, line: int, row: dict[str, Any]) -> Any:
    keys = [key for key in row if key in SCORE or key.endswith("_influence_score")]
    if len(keys) != 1:
        found = ", ".join(keys) if keys else "none"
        raise DataError(path, line, f"one key 'score' or '*_influence_score' needed, found {found}")
    return row[keys[0]]


def _take(path: Path, line: int, row: dict[str, Any], names: Sequence[str], what: str) -> str:
    for name in names:
        if name in row:
            return str(row[name])
    raise DataError(path, line, f"has no {what}; one of the keys {', '.join(names)} is needed")


def _identity(path: Path, line: int, row: dict[str, Any]) -> str:
    return _take(path, line, row, ID, "id")
