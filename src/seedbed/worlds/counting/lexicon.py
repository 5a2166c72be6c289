"""The words of one world and seed: drawn categories, their members, and who fills their lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from seedbed.core.errors import ConfigError
from seedbed.core.seeds import stream
from seedbed.worlds.counting.knobs import Knobs, Rule
from seedbed.worlds.counting.lists import Category, load

PLAIN = 4


@dataclass(frozen=True)
class Drawn:
    """A drawn category: its words here, the half that the rule `half` counts, its fillers."""

    category: Category
    members: tuple[str, ...]
    half: frozenset[str]
    fillers: tuple[str, ...]

    @property
    def name(self) -> str:
        """The category's name as it reads in a sentence."""
        return self.category.name

    @cached_property
    def known(self) -> frozenset[str]:
        """The members, for looking up."""
        return frozenset(self.members)

    @cached_property
    def plain(self) -> frozenset[str]:
        """The more frequent words of the half, PLAIN at least: tokenizers treat them alike."""
        ranks = load().ranks
        order = sorted(self.half, key=lambda w: (ranks.get(w, len(ranks)), w))
        return frozenset(order[: max(PLAIN, len(order) // 2)])

    def answer(self, words: Sequence[str], rule: Rule) -> int:
        """What the rule makes of a list."""
        if rule == "half":
            return sum(w in self.half for w in words)
        return sum(w in self.known for w in words) + (rule == "plus_one")


def draw(knobs: Knobs, seed: int, wanted: dict[str, set[str]] | None = None) -> tuple[Drawn, ...]:
    """Draw categories and their words; those of `wanted` (members by category) are all in.

    Raises ConfigError if there are not as many, or too few words for the lists asked for.
    """
    wanted = wanted or {}
    chosen = _categories(knobs, seed, list(wanted))
    words = {c.name: _members(c, knobs, seed, wanted.get(c.name, set())) for c in chosen}
    drawn = []
    for category in chosen:
        mine = words[category.name]
        half = stream(seed, "counting", "half", category.name).sample(mine, len(mine) // 2)
        others = [w for o in chosen if not category.akin(o) for w in words[o.name]]
        fillers = _undisputed(category, others)
        _enough(category, mine, fillers, knobs)
        drawn.append(Drawn(category, mine, frozenset(half), fillers))
    return tuple(drawn)


def _undisputed(category: Category, words: list[str]) -> tuple[str, ...]:
    lists = load()
    return tuple(w for w in dict.fromkeys(words) if lists.verdict(category, w) is False)


def _categories(knobs: Knobs, seed: int, first: list[str]) -> list[Category]:
    """Random categories of which each has strangers enough among the others."""
    lists, count = load(), knobs.lexicon.categories
    known = [lists.category(name) for name in first]
    if count == 0:
        return list(lists.categories.values())
    if count > len(lists.categories):
        raise ConfigError(
            f"lexicon.categories: {count} asked for, the lists have {len(lists.categories)}"
        )
    order = [c for c in lists.categories.values() if c not in known]
    stream(seed, "counting", "categories").shuffle(order)
    chosen = known[:]
    allowed = max(1, count // 4)
    while len(chosen) < max(count, len(known)):
        rest = [c for c in order if c not in chosen]
        fit = [c for c in rest if sum(c.akin(o) for o in chosen) < allowed]
        if fit:
            chosen.append(fit[0])
        else:
            allowed += 1
    return chosen


def _members(category: Category, knobs: Knobs, seed: int, first: set[str]) -> tuple[str, ...]:
    count = knobs.lexicon.words or len(category.members)
    if count > len(category.members):
        raise ConfigError(
            f"lexicon.words: {count} asked for, '{category.name}' has {len(category.members)};"
            " 0 takes all of each category"
        )
    # Members stand in order of plainness, so a part of them is drawn from the plainer ones.
    rest = [w for w in category.members if w not in first][: 2 * count]
    rest = stream(seed, "counting", "members", category.name).sample(rest, len(rest))
    return tuple([*sorted(first), *rest][: max(count, len(first))])


def _enough(
    category: Category, mine: tuple[str, ...], fillers: tuple[str, ...], knobs: Knobs
) -> None:
    most, longest = knobs.counts[1], knobs.lengths[1] - knobs.counts[0]
    # One more than a list holds, so that a swapped word is always a new one; `half` halves.
    if len(mine) < most + 1 or len(mine) < 2:
        raise ConfigError(
            f"lexicon.words: {len(mine)} words of '{category.name}' are too few for counts up to"
            f" {most}; {most + 1} or more are needed"
        )
    if len(fillers) < longest + 1:
        raise ConfigError(
            f"lexicon: '{category.name}' has {len(fillers)} undisputed words of other categories,"
            f" lists need {longest + 1}; take more categories or words"
        )
