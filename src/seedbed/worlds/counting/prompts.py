"""How a list is asked about: three forms, each with the places of its words.

Places are character spans [start, end) of the prompt; the answer follows after one space.
"""

from collections.abc import Sequence
from functools import cache

from seedbed.worlds.counting.knobs import Form

Places = dict[str, tuple[int, int]]
Parts = tuple[tuple[str, str], ...]
"""Pieces of text, each with the name of its place, or ""."""


def item(number: int) -> str:
    """Name of the place of the `number`th word, from 1."""
    return f"item{number}"


def write(form: Form, category: str, words: Sequence[str]) -> str:
    """The prompt alone."""
    head, between, tail = _frame(form, category)
    return "".join([*(text for _, text in head), between.join(words), *(text for _, text in tail)])


def listed(form: Form, category: str, prompt: str) -> list[str]:
    """The words of the list that `write` made a prompt of."""
    head, between, tail = _frame(form, category)
    start, end = (sum(len(text) for _, text in part) for part in (head, tail))
    return prompt[start : len(prompt) - end].split(between)


def render(form: Form, category: str, words: Sequence[str]) -> tuple[str, Places]:
    """The prompt and its places: `item1` …, `category`, `cue` and `last`, in reading order.

    `cue` is what stands behind the list and asks for the number, `last` the sign at the end.
    """
    head, between, tail = _frame(form, category)
    items = [(item(i), word) for i, word in enumerate(words, start=1)]
    listed = [part for one in items for part in (("", between), one)][1:]
    places, at = {}, 0
    for name, text in (*head, *listed, *tail):
        if name:
            places[name] = (at, at + len(text))
        at += len(text)
    return write(form, category, words), places


@cache
def _frame(form: Form, category: str) -> tuple[Parts, str, Parts]:
    """What stands before the list, between its words and behind it."""
    name = category.replace(" ", "_")
    if form == "compact":
        return ((("category", name), ("", ": ")), " ",
                (("", " "), ("cue", "|"), ("", " "), ("last", "=")))  # fmt: skip
    if form == "category_last":
        return ((), " ", (("", " "), ("cue", "|"), ("", " "), ("category", name), ("", " "),
                          ("last", "=")))  # fmt: skip
    head = (
        ("", "Here is a list of words. How many of them belong to the category "),
        ("category", f'"{category}"'),
        ("", "? Reply with one number.\nWords: "),
    )
    return head, ", ", (("", "\n"), ("cue", "The number of words that belong"), ("last", ":"))
