"""The word lists: categories with their members, and the fields that a word's meanings touch.

A filler is undisputed for a category if none of its meanings touches a field that the category
owns or leaves in doubt; fields are WordNet's lexicographer files and finer ones of our own.
"""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path

from seedbed.core.errors import InputError
from seedbed.core.files import read_text

DATA = Path(__file__).parent / "data"
STEM = 5
UNKNOWN = "unknown"
"""The field of a word that the dictionary does not have: it may mean anything."""


@dataclass(frozen=True)
class Category:
    """A category: its `members`, most plain first, the fields it owns and those of doubt.

    `disputed` words are neither members nor fillers.
    """

    name: str
    own: frozenset[str]
    doubt: frozenset[str]
    members: tuple[str, ...]
    disputed: frozenset[str]

    @cached_property
    def known(self) -> frozenset[str]:
        """The members, for looking up."""
        return frozenset(self.members)

    @cached_property
    def stems(self) -> frozenset[str]:
        """How members begin: a word that begins alike may be one in another form."""
        return frozenset(w[:STEM] for w in self.members if len(w) >= STEM)

    @cached_property
    def near(self) -> frozenset[str]:
        """Fields whose words are no fillers of this category."""
        return self.own | self.doubt | {UNKNOWN}

    @property
    def token(self) -> str:
        """The name as one word."""
        return self.name.replace(" ", "_")

    def akin(self, other: "Category") -> bool:
        """Whether one owns a field that the other owns or leaves in doubt: no fillers there."""
        return bool(self.own & other.near or other.own & self.near)


@dataclass(frozen=True)
class Lists:
    """All categories by name, and every word's fields, the most frequent word first."""

    categories: dict[str, Category]
    fields: dict[str, frozenset[str]]

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Place of each word in the order of frequency, from 0."""
        return {word: i for i, word in enumerate(self.fields)}

    def category(self, name: str) -> Category:
        """The category of a name, `_` for a space; raises InputError with the near miss."""
        found = self.categories.get(name.replace("_", " "))
        if found is None:
            near = get_close_matches(name, self.categories, n=1, cutoff=0.5)
            some = ", ".join(list(self.categories)[:8])
            known = f"there are {len(self.categories)}, such as {some}"
            hint = f"did you mean '{near[0]}'?" if near else known
            raise InputError(f"unknown category '{name}'; {hint}")
        return found

    def verdict(self, category: Category, word: str) -> bool | None:
        """Whether a word belongs to a category; None if the lists cannot decide."""
        if word in category.known:
            return True
        fields = self.fields.get(word)
        if fields is None or fields & category.near or word in category.disputed:
            return None
        return None if word[:STEM] in category.stems else False

    def count(self, category: Category, words: Collection[str]) -> int | None:
        """How many of `words` belong to a category; None if one of them is undecided."""
        verdicts = [self.verdict(category, word) for word in words]
        return None if None in verdicts else sum(v is True for v in verdicts)


@cache
def load() -> Lists:
    """The lists that come with the package."""
    categories = {}
    for line in read_text(DATA / "categories.txt").splitlines():
        name, own, doubt, members, disputed = line.split("|")
        categories[name] = Category(
            name,
            frozenset(own.split()),
            frozenset(doubt.split()),
            tuple(members.split()),
            frozenset(disputed.split()),
        )
    fields = {}
    for line in read_text(DATA / "words.txt").splitlines():
        word, *found = line.split()
        fields[word] = frozenset(found)
    return Lists(categories, fields)
