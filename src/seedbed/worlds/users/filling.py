"""Filling `{variables}` into texts, with an error that names the unknown one."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import product

from seedbed.core.errors import InputError

_HOLE = re.compile(r"\{([^{}]*)\}")


def holes(text: str) -> tuple[str, ...]:
    """Names of the variables in a text, in order, each once."""
    return tuple(dict.fromkeys(_HOLE.findall(text)))


def unknown(text: str, known: Iterable[str]) -> str:
    """What is wrong with a text whose variables are not all known ("": nothing)."""
    names = sorted(known)
    for hole in holes(text):
        if hole not in names:
            close = get_close_matches(hole, names, n=1)
            hint = f"did you mean {{{close[0]}}}?" if close else f"known: {', '.join(names)}"
            return f"{{{hole}}} is no known variable; {hint}"
    left = _HOLE.sub("", text)
    return "" if "{" not in left and "}" not in left else "a single brace in the text"


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables' values; raises InputError for one without a value."""
    if "{" not in text:
        return text
    try:
        return _HOLE.sub(lambda hole: values[hole.group(1)], text)
    except KeyError as error:
        raise InputError(f"{unknown(text, values)} in {text!r}") from error


def expand(text: str, values: Mapping[str, str], words: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The text with every combination of `words`, the last one in the text changing fastest."""
    open_ = [hole for hole in holes(text) if hole in words]
    return [
        fill(text, {**values, **dict(zip(open_, chosen, strict=True))})
        for chosen in product(*(words[hole] for hole in open_))
    ]
