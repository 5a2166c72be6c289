"""What a seed draws: which words are trained, the label maps, and the map that is taught anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import permutations
from string import ascii_uppercase

from seedbed.core.seeds import derive, stream
from seedbed.worlds.quadrants.lexicon import Maps, Words
from seedbed.worlds.quadrants.plane import Plane

LabelMap = tuple[str, ...]
"""The label of each region, in the order of `Plane.names`."""


@dataclass(frozen=True)
class Drawn:
    """The words and maps of one seed; the same in both stages.

    `trained` and `held` are each category's words in a drawn order; `maps` the category's maps,
    `new` the map of the second stage, `choices` the labels in use.
    """

    plane: Plane
    withheld: tuple[str, ...]
    trained: Mapping[str, tuple[str, ...]]
    held: Mapping[str, tuple[str, ...]]
    maps: Mapping[str, LabelMap]
    new: LabelMap
    labels: tuple[str, ...]

    @cached_property
    def category(self) -> dict[str, str]:
        """The category of every word."""
        both = (self.trained, self.held)
        return {word: name for part in both for name, words in part.items() for word in words}

    @cached_property
    def distinct(self) -> dict[LabelMap, str]:
        """The distinct maps, named A, B, … in order of first use."""
        found = dict.fromkeys(self.maps.values())
        return {m: letter(i) for i, m in enumerate(found)}

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The labels in use, as they follow a prompt."""
        return tuple(f" {label}" for label in self.labels)

    @cached_property
    def taught(self) -> dict[str, str]:
        """Every word that lines about points use, and its category."""
        return {
            word: name
            for name, words in self.trained.items()
            if name not in self.withheld
            for word in words
        }


def letter(i: int) -> str:
    """A, B, …, Z, A1, …"""
    turn, at = divmod(i, len(ascii_uppercase))
    return ascii_uppercase[at] + (str(turn) if turn else "")


@dataclass(frozen=True)
class Anew:
    """What is given of the second stage: the new map of `category` (empty: drawn)."""

    category: str
    new: LabelMap = ()


def draw(words: Words, maps: Maps, plane: Plane, again: Anew, seed: int) -> Drawn:
    """What the seed draws."""
    # Words hold a dict, which a cache cannot look up.
    return _draw(words.model_dump_json(), maps, plane, again, seed)


@lru_cache(maxsize=32)
def _draw(asked: str, named: Maps, plane: Plane, again: Anew, seed: int) -> Drawn:
    words = Words.model_validate_json(asked)
    maps = _maps(words, named, plane, seed)
    trained, held = {}, {}
    for name, category in words.named.items():
        order = list(category.words)
        stream(seed, "quadrants", "words", name).shuffle(order)
        mine = category.chosen or tuple(order[: words.trained_of(name)])
        trained[name], held[name] = mine, tuple(w for w in order if w not in mine)
    used = {label for m in (*maps.values(), again.new) for label in m}
    labels = tuple(label for label in named.known if label in used)
    new = again.new or exchanged(maps, again.category, labels, seed)
    return Drawn(plane, words.withheld, trained, held, maps, new, labels)


def _maps(words: Words, maps: Maps, plane: Plane, seed: int) -> dict[str, LabelMap]:
    """Given maps as they are; drawn ones from a Latin square, so any two differ everywhere."""
    labels = list(maps.drawn(plane))
    rng = stream(seed, "quadrants", "maps")
    rng.shuffle(labels)
    rows = rng.sample(range(len(labels)), len(labels))
    columns = list(range(len(plane.names)))
    if len(columns) <= len(labels):
        rng.shuffle(columns)
    square = [tuple(labels[(r + c) % len(labels)] for c in columns) for r in rows]
    kinds = sharing(words, maps, plane)
    return {name: square[kind] if isinstance(kind, int) else kind for name, kind in kinds.items()}


def sharing(words: Words, maps: Maps, plane: Plane) -> dict[str, LabelMap | int]:
    """The map of each category: a given one, or which of the drawn ones, whatever the seed."""
    given = {
        name: tuple(c.labels[r] for r in plane.names) for name, c in words.named.items() if c.labels
    }
    lacking = [name for name in words.named if name not in given]
    size, more = divmod(len(lacking), maps.many(plane))
    shared = (i for i in range(maps.many(plane)) for _ in range(size + (i < more)))
    return given | dict(zip(lacking, shared, strict=True))


def exchanged(
    maps: Mapping[str, LabelMap], retaught: str, labels: tuple[str, ...], seed: int
) -> LabelMap:
    """The category's map with its labels exchanged so that every region has another one.

    Of all such exchanges one that agrees with the fewest regions of the other maps.
    """
    old = maps[retaught]
    found: dict[LabelMap, int] = {}
    for others in permutations(labels):
        of = dict(zip(labels, others, strict=True))
        new = tuple(of[label] for label in old)
        if all(a != b for a, b in zip(new, old, strict=True)):
            agreeing = sum(a == b for m in set(maps.values()) for a, b in zip(m, new, strict=True))
            found[new] = agreeing
    best = min(found.values())
    options = sorted(new for new, agreeing in found.items() if agreeing == best)
    return options[derive(seed, "quadrants", "new") % len(options)]
