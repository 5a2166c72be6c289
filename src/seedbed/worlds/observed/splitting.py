"""Which items are learned from, chosen by and tested on: by seed, in every class and category.

Items that ask the same stand in one split, or a test question would have been seen in training.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.core.items import Item
from seedbed.core.rows import CHOOSE, FIT
from seedbed.core.seeds import stream

TEST: Final = "id"
MEMORY, REASONING = "memory", "reasoning"
CLASSES: Final = (MEMORY, REASONING)


class Shares(Config):
    """Shares of the items of each class that directions are fitted on and chosen by.

    The rest is tested on. Items of the categories `apart` are none of these: they are an axis of
    their own. `most`: so many items of each class in all; 0: every one.
    """

    train: float = Field(default=0.5, gt=0, lt=1)
    dev: float = Field(default=0.2, gt=0, lt=1)
    apart: tuple[str, ...] = ()
    most: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _some_are_left(self) -> "Shares":
        if self.train + self.dev >= 1:
            raise ValueError(f"train + dev is {self.train + self.dev:g}; some must be left to test")
        return self

    def by_split(self) -> dict[str, float]:
        """Split → share; they add up to 1."""
        return {FIT: self.train, CHOOSE: self.dev, TEST: 1 - self.train - self.dev}


def class_of(item: Item, threshold: float) -> str:
    """`reasoning` above the threshold, `memory` up to it, "" without a score."""
    if item.score is None:
        return ""
    return REASONING if item.score > threshold else MEMORY


def split_items(classes: Mapping[str, Sequence[Item]], shares: Shares, seed: int) -> dict[str, str]:
    """Item id → train, dev or id, over at most `shares.most` items of each class.

    Every category of a class has its share of each split to within two items; so has the class,
    unless many of its items ask the same.
    """
    wanted = shares.by_split()
    found: dict[str, str] = {}
    home: dict[str, str] = {}
    for name, items in classes.items():
        counts = dict.fromkeys(wanted, 0)
        for item in _drawn(items, name, seed, shares.most):
            total = sum(counts.values()) + 1
            # The split that lags furthest behind its share; the first of equals.
            lagging = max(wanted, key=lambda split: wanted[split] * total - counts[split])
            split = home.setdefault(item.asks, lagging)
            counts[split] += 1
            found[item.id] = split
    return found


def _drawn(items: Sequence[Item], name: str, seed: int, most: int) -> list[Item]:
    """Category after category, both in an order of the seed; `most` items, drawn evenly."""
    by_category: dict[str, list[Item]] = {}
    for item in items:
        by_category.setdefault(item.category, []).append(item)
    order = sorted(by_category)
    stream(seed, "observed", "categories", name).shuffle(order)
    for category in order:
        stream(seed, "observed", "items", name, category).shuffle(by_category[category])
    quota = _quota([len(by_category[c]) for c in order], most)
    return [i for c, n in zip(order, quota, strict=True) for i in by_category[c][:n]]


def _quota(sizes: Sequence[int], most: int) -> list[int]:
    """How many of each category, in proportion, so that they add up to `most` (0: all)."""
    total = sum(sizes)
    if not most or most >= total:
        return list(sizes)
    ends = [0, *accumulate(sizes)]
    cut = [round(most * end / total) for end in ends]
    return [high - low for low, high in pairwise(cut)]
