"""One example of counting as people keep it: a category, words, how many of them belong, and how
it was made. The keys are those of the original pipeline, so that its files are read as they are.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from seedbed.core.config import first_problem
from seedbed.core.errors import DataError
from seedbed.core.files import read_json, read_objects
from seedbed.core.rows import Row

Method = Literal["systematic", "llm"]


class Example(Row):
    """A list of words and how many of them belong to the category.

    `members` are those that do, once somebody has checked: word lists or a chat model.
    """

    category: str = Field(min_length=1)
    words: tuple[str, ...] = Field(min_length=1)
    num_target: int = Field(ge=0)
    generation_method: Method = "systematic"
    notes: str = ""
    members: tuple[str, ...] | None = None

    @field_validator("words")
    @classmethod
    def _words_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if not word.isalpha() or not word.isascii() or word != word.lower():
                raise ValueError(f"{word!r} is not one lower-case word of letters")
        if twice := [w for w in value if value.count(w) > 1]:
            raise ValueError(f"the word '{twice[0]}' stands twice")
        return value

    @model_validator(mode="after")
    def _members_are_counted(self) -> "Example":
        if self.num_target > len(self.words):
            raise ValueError(f"num_target: {self.num_target} of {len(self.words)} words")
        if self.members is not None:
            if strange := set(self.members) - set(self.words):
                raise ValueError(f"members: '{min(strange)}' is not among the words")
            if len(set(self.members)) != self.num_target:
                raise ValueError(f"members: {len(self.members)}, but num_target {self.num_target}")
        return self

    def record(self) -> dict[str, Any]:
        """As it is written: without `members` where nobody checked."""
        return self.model_dump(mode="json", exclude_none=True)


def read_examples(path: Path) -> list[tuple[int, Example]]:
    """Examples of a JSONL file with their lines, or of a JSON list with their places from 1.

    Raises DataError with the line (or place) for a row that is none, and for a file of none.
    """
    rows = _listed(path) if path.suffix == ".json" else read_objects(path)
    found = []
    for number, value in rows:
        try:
            found.append((number, Example.model_validate(value)))
        except ValidationError as error:
            raise DataError(path, number, first_problem(error, Example)) from error
    return found


def _listed(path: Path) -> Iterable[tuple[int, Any]]:
    values = read_json(path)
    if not isinstance(values, list) or not values:
        raise DataError(path, None, "a JSON list of examples is needed")
    return enumerate(values, start=1)


class Overlaps:
    """The examples kept so far by their words, to find the most similar one without all pairs."""

    def __init__(self, examples: Sequence[Example] = ()) -> None:
        self.sizes: list[int] = []
        self.holding: dict[str, list[int]] = {}
        for example in examples:
            self.add(example.words)

    def add(self, words: Sequence[str]) -> None:
        """Keep a list of words."""
        for word in words:
            self.holding.setdefault(word, []).append(len(self.sizes))
        self.sizes.append(len(words))

    def most(self, words: Sequence[str]) -> float:
        """Highest Jaccard similarity (shared words / all words of both) to a kept list; 0..1."""
        shared: dict[int, int] = {}
        for word in words:
            for i in self.holding.get(word, ()):
                shared[i] = shared.get(i, 0) + 1
        return max((n / (len(words) + self.sizes[i] - n) for i, n in shared.items()), default=0.0)


def as_lines(examples: Iterable[Example]) -> str:
    """The text of an examples.jsonl."""
    return "".join(json.dumps(e.record(), ensure_ascii=False) + "\n" for e in examples)
