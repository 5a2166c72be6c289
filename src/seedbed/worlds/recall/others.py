"""Unrelated questions: copy the second of some words, behind another first word."""

import random

from seedbed.core.seeds import stream
from seedbed.core.selectivity import UNRELATED
from seedbed.worlds.recall.forms import TRIES, Form, Item, too_many


def asked(form: Form) -> list[Item]:
    """Questions laid out like all others; every word is copied in turn."""
    rng = stream(form.seed, "recall", "asked", UNRELATED)
    words, found = form.lexicon.others, dict[tuple[str, ...], Item]()
    count = form.knobs.asked.unrelated
    for _ in range(TRIES * count):
        item = _item(form, rng, words[len(found) % len(words)])
        found.setdefault(item.content, item)
        if len(found) == count:
            return list(found.values())
    raise too_many(UNRELATED, count)


def draw(form: Form, rng: random.Random) -> Item:
    """An item for a document, which may be one that is asked about."""
    return _item(form, rng, rng.choice(form.lexicon.others))


def _item(form: Form, rng: random.Random, copied: str) -> Item:
    count = len(form.places) + (not form.closed)
    words = [rng.choice(form.lexicon.others) for _ in range(count)]
    words[1] = copied
    return Item(tuple(words), UNRELATED, {UNRELATED: copied}, cause=copied)
