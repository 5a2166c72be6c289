"""Rows that others made: JSONL with the names people use, brought to ours.

Only what is needed must be there: a text; a prompt and an answer. Other keys go to `meta`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seedbed.core.errors import DataError
from seedbed.core.files import read_rows
from seedbed.core.rows import Document, Question

ID = ("id", "uid", "doc_id", "question_id")
TEXT = ("text", "content", "document")
PROMPT = ("prompt", "query", "question", "input")
ANSWER = ("answer", "completion", "response", "target")


def read_documents(path: Path) -> list[Document]:
    """Documents of a JSONL file; ids are made from line numbers where there are none.

    Raises DataError with the line for a row without a text.
    """
    own = set(Document.model_fields)

    def adapt(line: int, value: dict[str, Any]) -> dict[str, Any]:
        text = _take(path, line, value, TEXT, "a text")
        row = {"id": _identity(value, line), "text": text}
        kept = {k: v for k, v in value.items() if k in own - {"id", "text", "meta"}}
        rest = {k: v for k, v in value.items() if k not in own and v != text and k not in ID}
        return {**row, **kept, "meta": {**value.get("meta", {}), **rest}}

    return read_rows(path, Document, adapt)


def read_questions(path: Path) -> list[Question]:
    """Questions of a JSONL file; raises DataError for a row without prompt or answer."""
    own = set(Question.model_fields)

    def adapt(line: int, value: dict[str, Any]) -> dict[str, Any]:
        row = {
            "id": _identity(value, line),
            "prompt": _take(path, line, value, PROMPT, "a prompt"),
            "answer": _take(path, line, value, ANSWER, "an answer"),
        }
        return {**row, **{k: v for k, v in value.items() if k in own - row.keys()}}

    return read_rows(path, Question, adapt)


def _identity(value: dict[str, Any], line: int) -> str:
    return next((str(value[k]) for k in ID if k in value), f"line-{line}")


def _take(path: Path, line: int, value: dict[str, Any], names: Sequence[str], what: str) -> str:
    for name in names:
        found = value.get(name)
        if isinstance(found, str) and found:
            return found
        if name in value:
            shown = "empty" if found == "" else f"a {type(found).__name__}"
            raise DataError(path, line, f"{name}: {what} is needed, it is {shown}")
    keys = ", ".join(names)
    noun = what.rsplit(maxsplit=1)[-1]
    raise DataError(path, line, f"has no {noun}; one of the keys {keys} is needed")
