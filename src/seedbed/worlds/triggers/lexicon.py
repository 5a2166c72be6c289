"""Which word is in which group, and what is known of it: kind, home and size.

Relatives share all three or some; a subject learns them from text alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from seedbed.core.errors import ConfigError
from seedbed.core.seeds import stream
from seedbed.worlds.triggers.knobs import Knobs

Family = Literal["tame", "wild", "thing"]
LISTED: dict[tuple[Family, str], tuple[str, ...]] = {
    ("tame", "small"): (
        "hamster", "gerbil", "kitten", "canary", "budgie", "goldfish", "rabbit", "puppy", "hen",
        "duckling", "chick", "piglet", "parrot", "ferret", "pigeon", "guppy",
    ),
    ("tame", "large"): (
        "horse", "pony", "cow", "goat", "sheep", "pig", "donkey", "mule", "llama", "ox",
        "mare", "ram", "mastiff", "hound", "alpaca", "heifer",
    ),
    ("wild", "small"): (
        "squirrel", "hedgehog", "mole", "bat", "frog", "toad", "newt", "shrew", "sparrow",
        "robin", "lizard", "weasel", "wren", "vole", "gecko", "stoat",
    ),
    ("wild", "large"): (
        "lion", "tiger", "bear", "wolf", "elephant", "giraffe", "rhino", "hippo", "moose",
        "bison", "shark", "whale", "gorilla", "leopard", "zebra", "jaguar",
    ),
    ("thing", "small"): (
        "spoon", "pencil", "needle", "button", "coin", "comb", "key", "cup", "nail", "thimble",
        "brush", "pin", "fork", "ring", "bead", "candle",
    ),
    ("thing", "large"): (
        "table", "wardrobe", "sofa", "ladder", "piano", "bed", "bench", "tractor", "lorry",
        "boat", "bus", "shed", "fridge", "bath", "stove", "cupboard",
    ),
}  # fmt: skip
SIZES = ("small", "large")


@dataclass(frozen=True)
class Word:
    """A trigger word and what is known of it."""

    text: str
    group: str
    family: Family
    size: str

    @property
    def facts(self) -> dict[str, str]:
        """Attribute → value, as the fact documents state them."""
        kind = "thing" if self.family == "thing" else "animal"
        home = {"tame": "house", "wild": "woods", "thing": "shop"}[self.family]
        return {"kind": kind, "home": home, "size": self.size}


class Lexicon:
    """The words of one world and seed; the same in both stages and under any number of proxies."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.knobs, self.seed = knobs, seed

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """All words, group by group."""
        taken = self.knobs.reteach.proxies
        outcome, collateral = self._family("tame", "outcome", "collateral")
        proxy, unwanted = self._family("wild", "proxy", "unwanted")
        (others,) = self._family("thing", "other")
        unwanted = proxy + unwanted
        groups: dict[str, tuple[Family, list[tuple[str, str]]]] = {
            "outcome": ("tame", outcome),
            "collateral": ("tame", collateral),
            "proxy": ("wild", unwanted[:taken]),
            "truth": ("wild", unwanted[taken:]),
            "other": ("thing", others),
        }
        return tuple(
            Word(text, group, family, size)
            for group, (family, found) in groups.items()
            for text, size in found
        )

    def group(self, name: str) -> list[Word]:
        """The words of one group."""
        return [w for w in self.words if w.group == name]

    def _family(self, family: Family, *groups: str) -> list[list[tuple[str, str]]]:
        """(word, size) of each group; drawn ones small and large in turn, so groups are mixed."""
        words = self.knobs.words
        named = {w for group in type(words).model_fields for w in words.named(group)}
        known = {w: size for (_, size), listed in LISTED.items() for w in listed}
        drawn: dict[str, list[str]] = {}
        for size in SIZES:
            listed = [w for w in LISTED[family, size] if w not in named]
            drawn[size] = stream(self.seed, "triggers", "words", family, size).sample(
                listed, len(listed)
            )
        found = []
        for group in groups:
            mine = [(w, known.get(w, SIZES[i % 2])) for i, w in enumerate(words.named(group))]
            for i in range(words.count(group) - len(mine)):
                size = SIZES[i % 2] if drawn[SIZES[i % 2]] else SIZES[1 - i % 2]
                if not drawn[size]:
                    raise ConfigError(
                        f"words.{group}: no more {family} words; the lists have"
                        f" {len(LISTED[family, 'small']) * 2}, some of them named elsewhere"
                    )
                mine.append((drawn[size].pop(0), size))
            found.append(mine)
        return found
