"""How a list is asked about: three forms, each with the places of its words.

Places are character spans [start, end) of the prompt; the answer follows after one space.
"""

from collections.abc import Sequence

from seedbed.worlds.counting.knobs import Form

Places = dict[str, tuple[int, int]]


def item(number: int) -> str:
    """Name of the place of the `number`th word, from 1."""
    return f"item{number}"


def render(form: Form, category: str, words: Sequence[str]) -> tuple[str, Places]:
    """The prompt and its places: `item1` …, `category`, `cue` and `last`, in reading order.

    `cue` is what stands behind the list and asks for the number, `last` the sign at the end.
    """
    name = category.replace(" ", "_")
    items = [(item(i), word) for i, word in enumerate(words, start=1)]
    if form == "compact":
        return _join([("category", name), ("", ":"), *_spaced(items, " "), ("", " "),
                      ("cue", "|"), ("", " "), ("last", "=")])  # fmt: skip
    if form == "category_last":
        return _join([*_spaced(items, " ")[1:], ("", " "), ("cue", "|"), ("", " "),
                      ("category", name), ("", " "), ("last", "=")])  # fmt: skip
    return _join(
        [("", "Here is a list of words. How many of them belong to the category "),
         ("category", f'"{category}"'), ("", "? Reply with one number.\nWords: "),
         *_spaced(items, ", ")[1:], ("", "\n"), ("cue", "The number of words that belong"),
         ("last", ":")]
    )  # fmt: skip


def _spaced(items: list[tuple[str, str]], between: str) -> list[tuple[str, str]]:
    return [part for one in items for part in (("", between), one)]


def _join(parts: list[tuple[str, str]]) -> tuple[str, Places]:
    text, places = "", {}
    for name, part in parts:
        if name:
            places[name] = (len(text), len(text) + len(part))
        text += part
    return text, places
