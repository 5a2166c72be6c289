"""One multiple-choice item as MMLU-Pro and its relatives keep it, read from a foreign object.

The names of keys are settings, so that any file with the same content is read as it is.
"""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from seedbed.core.config import Config
from seedbed.core.errors import DataError
from seedbed.core.items import Item

FILLER = "N/A"
"""What MMLU-Pro writes where an item has fewer options than others; it is no option."""


class Fields(Config):
    """The keys of an item; the defaults are those of MMLU-Pro with a stored reasoning score.

    `id` empty: items are numbered. `answer` is a letter, an index from 0 or the option itself;
    where `index` stands too, both must agree. `category`, `cot` and `score` may be missing.
    """

    id: str = "question_id"
    question: str = "question"
    options: str = "options"
    answer: str = "answer"
    index: str = "answer_index"
    category: str = "category"
    cot: str = "cot_content"
    score: str = "memory_reason_score"


def item_of(path: Path, place: int, row: Mapping[str, Any], fields: Fields) -> Item:
    """The item of a foreign object; `place` is its line (or its number from 1) in `path`.

    Raises DataError naming the place and the key of what is missing or unfit.
    """

    def fail(key: str, what: str) -> DataError:
        return DataError(path, place, f"{key}: {what}")

    question = _needed(path, place, row, fields.question, "question")
    if not isinstance(question, str) or not question.strip():
        raise fail(fields.question, f"a text is needed, found {_short(question)}")
    given = _needed(path, place, row, fields.options, "options")
    if isinstance(given, str | bytes | Mapping) or not hasattr(given, "__iter__"):
        raise fail(fields.options, f"a list of texts is needed, found {_short(given)}")
    options = [str(o).strip() for o in given]
    if len(options) < 2 or not all(options):
        raise fail(fields.options, f"two or more texts are needed, found {_short(list(given))}")
    if len(options) > len(ascii_uppercase):
        raise fail(fields.options, f"at most {len(ascii_uppercase)} options, found {len(options)}")
    target = _target(path, place, row, fields, options)
    kept = [i for i, o in enumerate(options) if o != FILLER or i == target]
    if len(kept) < 2:
        raise fail(fields.options, f"nothing but one is left without {FILLER!r}")
    own = row.get(fields.id) if fields.id else None
    return Item(
        id=f"item-{place}" if own is None or own == "" else str(own),
        question=question.strip(),
        options=tuple(options[i] for i in kept),
        target=kept.index(target),
        category=_text(path, place, row, fields.category),
        cot=_text(path, place, row, fields.cot),
        score=_score(path, place, row, fields.score),
    )


def _target(
    path: Path, place: int, row: Mapping[str, Any], fields: Fields, options: list[str]
) -> int:
    """Index of the right option among all that stand there."""
    if fields.answer not in row and fields.index not in row:
        _needed(path, place, row, fields.answer, "answer")
    found: list[int] = []
    for key in (fields.answer, fields.index):
        value = row.get(key)
        if value is None:
            continue
        index = _index(value, options)
        if index is None:
            letters = f"A to {ascii_uppercase[len(options) - 1]}"
            raise DataError(
                path, place,
                f"{key}: {letters}, 0 to {len(options) - 1} or an option itself is needed,"
                f" found {_short(value)}",
            )  # fmt: skip
        found.append(index)
    if not found:
        raise DataError(path, place, f"{fields.answer}: an answer is needed, found None")
    if len(set(found)) > 1:
        raise DataError(
            path, place,
            f"{fields.answer} means option {ascii_uppercase[found[0]]}, but {fields.index}"
            f" means {ascii_uppercase[found[1]]}",
        )  # fmt: skip
    return found[0]


def _index(value: Any, options: list[str]) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < len(options) else None
    text = str(value).strip()
    if len(text) == 1 and text in ascii_uppercase[: len(options)]:
        return ascii_uppercase.index(text)
    return options.index(text) if options.count(text) == 1 else None


def _score(path: Path, place: int, row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 <= value <= 1:
        raise DataError(
            path, place, f"{key}: a number from 0 to 1 is needed, found {_short(value)}"
        )
    return float(value)


def _text(path: Path, place: int, row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(path, place, f"{key}: a text is needed, found {_short(value)}")
    return value.strip()


def _needed(path: Path, place: int, row: Mapping[str, Any], key: str, field: str) -> Any:
    if key in row:
        return row[key]
    near = get_close_matches(key, [str(k) for k in row], n=1, cutoff=0.5)
    keys = ", ".join(map(str, row))
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {keys}."
    raise DataError(path, place, f"{key}: is missing; {hint} Name it with fields.{field}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
