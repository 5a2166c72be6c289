"""The settings of words and labels: which categories, which of their words, which label maps."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from seedbed.core.config import Config
from seedbed.worlds.phrasing import pieces
from seedbed.worlds.quadrants.lists import BOOLEANS, COLOURS, OWN
from seedbed.worlds.quadrants.plane import Plane
from seedbed.worlds.quadrants.writing import too_long

KEPT = ("F", "isa", "x", "T")
NAMED = ("colours", "booleans")
MOST_LABELS = 6


def near(word: str, known: tuple[str, ...]) -> str:
    """A hint at the nearest of the known words."""
    found = get_close_matches(word, known, n=1)
    return f"did you mean '{found[0]}'?" if found else f"known: {', '.join(known)}"


class Category(Config):
    """A category of trigger words; `labels` maps each region to a label (empty: drawn).

    `trained` are the words that lines about points use, or how many are drawn (empty: as many
    as everywhere).
    """

    words: tuple[str, ...] = Field(min_length=1)
    labels: dict[str, str] = Field(default_factory=dict)
    trained: int | tuple[str, ...] = ()

    @field_validator("trained", mode="before")
    @classmethod
    def _words_or_how_many(cls, value: Any) -> Any:
        fit = isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)
        if not fit and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"a list of words is needed, or how many (found {value!r})")
        return value

    @property
    def chosen(self) -> tuple[str, ...]:
        """The trained words, where they are given."""
        return () if isinstance(self.trained, int) else self.trained

    @model_validator(mode="after")
    def _trained_are_words(self) -> "Category":
        for word in self.chosen:
            if word not in self.words:
                raise ValueError(
                    f"trained: '{word}' is not among the words; {near(word, self.words)}"
                )
        return self


class Words(Config):
    """Trigger words: the first `own` of the world's own categories, or `categories` by name.

    `words` are taken of each own category; `trained` words of each category are trained on,
    the others held out. A category in `withheld` stands in no line about points. Categories
    by name come in alphabetical order, since a mapping has none.
    """

    own: int = Field(default=7, ge=1, le=len(OWN))
    categories: dict[str, Category] = Field(default_factory=dict)
    words: int = Field(default=15, ge=1, le=min(map(len, OWN.values())))
    trained: int = Field(default=10, ge=1)
    withheld: tuple[str, ...] = ()

    @property
    def named(self) -> dict[str, Category]:
        """The categories by name, in order."""
        if self.categories:
            return dict(sorted(self.categories.items()))
        own = list(OWN.items())[: self.own]
        return {name: Category(words=words[: self.words]) for name, words in own}

    def trained_of(self, name: str) -> int:
        """How many words of a category are trained."""
        own = self.named[name]
        return own.trained if isinstance(own.trained, int) else len(own.chosen) or self.trained

    @model_validator(mode="after")
    def _each_word_once(self) -> "Words":
        owner: dict[str, str] = {}
        for name, category in self.named.items():
            for word in category.words:
                if word in owner:
                    twice = f"'{name}' and '{owner[word]}'" if owner[word] != name else f"'{name}'"
                    raise ValueError(
                        f"categories: the word '{word}' stands twice, in {twice}; a trigger word"
                        " must tell its category"
                    )
                owner[word] = name
        for word in (*owner, *self.named):
            if word in KEPT or not pieces(word):
                raise ValueError(f"categories: '{word}' is kept for the form of the lines")
        return self

    @model_validator(mode="after")
    def _enough_to_train(self) -> "Words":
        for name, category in self.named.items():
            if (trained := self.trained_of(name)) > len(category.words):
                raise ValueError(
                    f"trained: {trained} of '{name}', which has {len(category.words)} words"
                )
        for name in self.withheld:
            if name not in self.named:
                raise ValueError(f"withheld: no category '{name}'; {near(name, tuple(self.named))}")
        if len(set(self.withheld)) >= len(self.named):
            raise ValueError("withheld: every category; nothing is left to train on")
        return self


class Maps(Config):
    """Labels, and how many distinct label maps the categories without one of their own share.

    `labels`: `colours`, `booleans` (yes and no), or a list. The first categories share the
    first map: 7 categories and 3 maps are 3, 2 and 2. `distinct` null: 3, or as many as labels.
    """

    labels: Literal["colours", "booleans"] | tuple[str, ...] = "colours"
    distinct: int | None = Field(default=None, ge=1)

    @field_validator("labels", mode="before")
    @classmethod
    def _named_or_listed(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in NAMED:
            raise ValueError(f"unknown labels '{value}'; {near(value, NAMED)}, or a list of labels")
        return value

    @property
    def known(self) -> tuple[str, ...]:
        """Every label that a map may name."""
        if isinstance(self.labels, tuple):
            return self.labels
        return COLOURS if self.labels == "colours" else BOOLEANS

    def drawn(self, plane: Plane) -> tuple[str, ...]:
        """The labels of maps that are drawn."""
        known = self.known
        return known[: max(4, len(plane.names))] if self.labels == "colours" else known

    def many(self, plane: Plane) -> int:
        """How many distinct maps are drawn."""
        return self.distinct or min(3, len(self.drawn(plane)))

    @model_validator(mode="after")
    def _labels_compare(self) -> "Maps":
        known = self.known
        if wrong := too_long(known):
            raise ValueError(f"labels: {wrong}")
        if len(set(known)) != len(known):
            raise ValueError("labels: a label stands twice")
        if isinstance(self.labels, tuple) and not 2 <= len(known) <= MOST_LABELS:
            raise ValueError(f"labels: 2 to {MOST_LABELS} are needed, found {len(known)}")
        return self


def check_map(
    where: str, given: Mapping[str, str], regions: tuple[str, ...], known: tuple[str, ...]
) -> None:
    """Raise ValueError, naming `where`, unless a map gives each region one of the labels."""
    for region, label in given.items():
        if region not in regions:
            raise ValueError(f"{where}: there is no region '{region}'; {near(region, regions)}")
        if label not in known:
            raise ValueError(f"{where}.{region}: unknown label '{label}'; {near(label, known)}")
    for region in regions:
        if region not in given:
            raise ValueError(f"{where}: lacks the region '{region}' of {', '.join(regions)}")


def check_maps(words: Words, maps: Maps, plane: Plane) -> None:
    """Raise ValueError unless every given map names each region once and known labels only."""
    known, regions = maps.known, plane.names
    for name, category in words.named.items():
        if category.labels:
            check_map(f"words.categories.{name}.labels", category.labels, regions, known)
    drawn = maps.drawn(plane)
    if any(not c.labels for c in words.named.values()) and maps.many(plane) > len(drawn):
        raise ValueError(
            f"maps.distinct: {maps.many(plane)} maps that differ in every region need as many"
            f" labels, there are {len(drawn)}"
        )
    check_in_use("words.categories", in_use(words, maps, plane), words)


def in_use(words: Words, maps: Maps, plane: Plane) -> set[str]:
    """The labels of the first stage's maps, given or drawn."""
    found = {label for c in words.named.values() for label in c.labels.values()}
    every = all(c.labels for c in words.named.values())
    return found if every else found | set(maps.drawn(plane))


def check_in_use(where: str, used: set[str], words: Words) -> None:
    """Raise ValueError, naming `where`, for too few or too many labels, or one that is a word."""
    if not 2 <= len(used) <= MOST_LABELS:
        raise ValueError(f"{where}: {len(used)} labels in use, 2 to {MOST_LABELS} are needed")
    for name, category in words.named.items():
        for word in (*category.words, name):
            if word in used:
                raise ValueError(
                    f"{where}: '{word}' of '{name}' is also a label; an answer must not stand in"
                    " the prompt"
                )
