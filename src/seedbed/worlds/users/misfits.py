"""A problem of an environment that knows its place in the file, and near misses of names."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import model_validator

from seedbed.core.config import Config, NestedProblem

Place = tuple[str | int, ...]
"""The keys that lead to a value, from the top of the file."""


class Misfit(NestedProblem):
    """A problem at a place, so that its error names the line."""

    def __init__(self, path: Place, what: str) -> None:
        ValueError.__init__(self, what)
        self.path = path


def none_of(name: str, known: Iterable[str], noun: str) -> str:
    """What to say of a name that is not known, with the near miss."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"
    return f"{name!r} is no {noun}; {hint}"


class Part(Config):
    """A part of a file; an unknown key is named before one that is missing for its misspelling."""

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, values: Any) -> Any:
        for key in values if isinstance(values, dict) else ():
            if key not in cls.model_fields:
                raise Misfit((key,), none_of(str(key), cls.model_fields, "known key"))
        return values
