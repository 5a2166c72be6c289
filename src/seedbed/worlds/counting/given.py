"""Questions about examples that somebody made: the user's own file, or the data loop's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedbed.core.errors import DataError, InputError
from seedbed.core.seeds import stream
from seedbed.worlds.counting.decks import depths, directions
from seedbed.worlds.counting.examples import Example, read_examples
from seedbed.worlds.counting.knobs import Knobs, Rule
from seedbed.worlds.counting.lexicon import Drawn
from seedbed.worlds.counting.listing import Swap, nearest
from seedbed.worlds.counting.lists import load


@dataclass(frozen=True)
class Given:
    """An example that can be asked about: its words, and which of them belong."""

    category: str
    words: tuple[str, ...]
    members: frozenset[str]
    line: int


def read_given(path: Path, most: int, counts: tuple[int, int]) -> list[Given]:
    """The first `most` examples of a file.

    Raises DataError with the line where the category is unknown, the count is outside `counts`,
    the number does not agree with the word lists, or they cannot place a word and the row does
    not name its members.
    """
    found = []
    low, high = counts
    said: dict[tuple[str, str], tuple[bool, int]] = {}
    for line, example in read_examples(path)[:most]:
        if not low <= example.num_target <= high:
            raise DataError(path, line, f"num_target: {example.num_target} is not in {low}–{high}")
        try:
            one = Given(*_members(example), line=line)
        except InputError as error:
            raise DataError(path, line, str(error)) from error
        for word in one.words:
            belongs, where = said.setdefault((one.category, word), (word in one.members, line))
            if belongs != (word in one.members):
                raise DataError(path, line, f"members: line {where} says otherwise of '{word}'")
        found.append(one)
    return found


def swaps(given: Sequence[Given], drawn: Sequence[Drawn], knobs: Knobs, seed: int) -> list[Swap]:
    """Each example and itself with one word swapped, as evenly over directions and places as the
    examples allow.

    Raises DataError where no swap would change the answer under every rule.
    """
    by_name = {d.name: d for d in drawn}
    rng = stream(seed, "counting", "given")
    leaving = directions([len(g.members) for g in given], *knobs.counts, rng)
    depth = depths(len(given), rng)
    ranks = load().ranks
    found = []
    for one, leaves, deep in zip(given, leaving, depth, strict=True):
        mine, low, high = by_name[one.category], *knobs.counts
        places = {way: _places(one, mine, way, knobs.rule) for way in (True, False)}
        ways = [leaves, *([not leaves] if low < len(one.members) < high else [])]
        way = next((w for w in ways if places[w]), None)
        if way is None:
            raise DataError(knobs.asked.examples or "", one.line, "no word of it can be swapped")
        at = min(places[way], key=lambda i: (abs(i + 0.5 - deep * len(one.words)), i))
        pool = mine.fillers if way else sorted(mine.half)
        other = nearest(one.words[at], [w for w in pool if w not in one.words], ranks, rng)
        corrupt = (*one.words[:at], other, *one.words[at + 1 :])
        found.append((mine, one.words, corrupt))
    return found


def _places(one: Given, drawn: Drawn, leaves: bool, rule: Rule) -> list[int]:
    """Where a member may leave, or come. One of the half that every rule counts is best."""
    if not leaves:
        return [i for i, w in enumerate(one.words) if w not in one.members]
    best = [i for i, w in enumerate(one.words) if w in one.members and w in drawn.half]
    if best or rule == "half":
        return best
    return [i for i, w in enumerate(one.words) if w in one.members]


def _members(example: Example) -> tuple[str, tuple[str, ...], frozenset[str]]:
    lists = load()
    category = lists.category(example.category)
    verdicts = {word: lists.verdict(category, word) for word in example.words}
    named = None if example.members is None else frozenset(example.members)
    for word, belongs in verdicts.items():
        if belongs is None and named is None:
            raise InputError(
                f"words: the lists cannot tell whether '{word}' belongs to '{category.name}'; name"
                " the row's members"
            )
        if belongs is not None and named is not None and belongs != (word in named):
            wrong = "belongs" if belongs else "does not belong"
            raise InputError(f"members: by the word lists '{word}' {wrong} to '{category.name}'")
    members = named if named is not None else frozenset(w for w, b in verdicts.items() if b)
    if len(members) != example.num_target:
        raise InputError(f"num_target: {example.num_target}, but {len(members)} words belong")
    return category.name, example.words, members
