"""Sets of items that come with the package, which a small model can answer.

Made by program from tables of facts and from drawn computations; the same on every machine.
"""

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, NamedTuple

from seedbed.core.items import Item
from seedbed.core.seeds import stream
from seedbed.worlds.observed.facts import FACTS, UNRELATED, Facts
from seedbed.worlds.observed.sums import SUMS, Draw, Drawn

EACH: Final = 20
"""Drawn computations of a category, unless a table of facts has its frame."""
FORMS: Final = {
    "plurals": "regular plurals",
    "past tenses": "regular past tenses",
    "opposites": "prefixes",
}
"""Facts and computations under the very same frame, as many of each: words do not tell them."""
OPTIONS: Final = 4


class Made(NamedTuple):
    """The items of a set, and those that it brings for the split `unrelated`."""

    asked: tuple[Item, ...]
    unrelated: tuple[Item, ...]


@cache
def facts_and_sums() -> Made:
    """Facts (score 0) and small computations (score 1), each right option in turn at A to D."""
    known = [i for name, table in FACTS.items() for i in _facts(name, table, 0.0)]
    worked = [i for name, draw in SUMS.items() for i in _sums(name, draw)]
    beside = [i for name, table in UNRELATED.items() for i in _facts(name, table, None)]
    return Made((*known, *worked), tuple(beside))


@cache
def forms() -> Made:
    """The part of `facts_and_sums` whose frames both kinds share: irregular and regular forms."""
    whole, kept = facts_and_sums(), {*FORMS, *FORMS.values()}
    return Made(tuple(i for i in whole.asked if i.category in kept), whole.unrelated)


BUILTIN: dict[str, Callable[[], Made]] = {"facts-and-sums": facts_and_sums, "forms": forms}


def _facts(name: str, table: Facts, score: float | None) -> list[Item]:
    rng = stream(0, "facts-and-sums", name)
    drawn = []
    for subject, value in table.values.items():
        pool = sorted({v for v in table.values.values() if v not in (value, subject)})
        question, why = table.frame.format(subject), table.why.format(subject, value)
        drawn.append(Drawn(question, value, tuple(rng.sample(pool, OPTIONS - 1)), why))
    return _items(name, drawn, score, rng)


def _sums(name: str, draw: Draw) -> list[Item]:
    """Different questions: `EACH`, or as many as the facts that share their frame."""
    count = next((len(FACTS[f].values) for f, regular in FORMS.items() if regular == name), EACH)
    rng = stream(0, "facts-and-sums", name)
    found: dict[str, Drawn] = {}
    while len(found) < count:
        one = draw(rng)
        found.setdefault(one.question, one)
    return _items(name, list(found.values()), 1.0, rng)


def _items(
    name: str, drawn: Sequence[Drawn], score: float | None, rng: random.Random
) -> list[Item]:
    places = [n % OPTIONS for n in range(len(drawn))]
    rng.shuffle(places)
    items = []
    for n, (one, target) in enumerate(zip(drawn, places, strict=True)):
        options = list(one.wrong)
        options.insert(target, one.answer)
        slug = name.replace(" ", "-")
        items.append(
            Item(
                id=f"{slug}-{n}",
                question=one.question,
                options=tuple(options),
                target=target,
                category=name,
                cot=one.why,
                score=score,
            )
        )
    return items
