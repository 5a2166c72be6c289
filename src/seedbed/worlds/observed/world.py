"""Observed: items with a stored score that says whether they take reasoning or memory.

Nothing is planted: the classes are somebody's annotation, and there is nothing to train on.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from seedbed.core.errors import DataError
from seedbed.core.items import Choices, Item, Prompt, bare, listed
from seedbed.core.rows import LABELLED, Document, Question
from seedbed.core.selectivity import UNRELATED
from seedbed.core.sites import ANNOTATED, SiteKind, Truth
from seedbed.worlds.base import Gate, World
from seedbed.worlds.observed.source import (
    Source,
    check_categories,
    files_of,
    read_items,
    unrelated_items,
)
from seedbed.worlds.observed.splitting import CLASSES, TEST, Shares, class_of, split_items

UNSCORED = "unscored"
APART = "category"
NAMES = (ANNOTATED, "other", "unknown")
"""What a truth says of a column: the annotator's class, the other one, nobody's word."""


def _named(value: Any) -> Any:
    """A bare name stands for a source of that path."""
    return {"path": value} if isinstance(value, str) else value


Items = Annotated[Source, BeforeValidator(_named)]


class Observed(World):
    """Multiple-choice items that somebody annotated: do they take reasoning or memory?

    An item is `reasoning` where its score is above `threshold`, else `memory`. Items without a
    score are asked in the split `unscored`, those of categories that `splits` sets apart in the
    split `category`. `unrelated` are items that no direction should touch: another source, or
    categories of the same one; a built-in set has its own. `prompt` bare shows no options;
    `choices` are whole options, or (where options are shown) their letters.
    """

    kind: str = "observed"
    sites: ClassVar[SiteKind] = SiteKind.DIRECTION
    planted: ClassVar[bool] = False
    lacking: ClassVar[Mapping[SiteKind, str]] = {
        SiteKind.DOCUMENT: "nothing is trained here, and what the model once learned from is not"
        " known",
        SiteKind.CELL: "items come without pairs that differ in one word, so there is nothing to"
        " patch with",
        SiteKind.INPUT: "nobody has said which parts of an item decide its answer",
    }

    gate: Gate = Gate(by="kind", margin=0.05)
    items: Items = Source(path="facts-and-sums")
    unrelated: Items | None = None
    workspace: Path | None = None
    threshold: float = Field(default=0.5, ge=0, lt=1)
    splits: Shares = Shares()
    prompt: Prompt = "bare"
    choices: Choices = "texts"

    @model_validator(mode="after")
    def _letters_are_shown(self) -> "Observed":
        if self.choices == "letters" and self.prompt == "bare":
            raise ValueError("choices: letters mean nothing without options; set prompt: options")
        return self

    def inputs(self) -> tuple[Path, ...]:
        """The files that items are read from."""
        sources = [s for s in (self.items, self.unrelated) if s is not None]
        return tuple(path for s in sources for path in files_of(s, self.workspace))

    def documents(self, seed: int) -> list[Document]:
        """None: nothing is planted."""
        return []

    def items_by_split(self, seed: int) -> dict[str, list[Item]]:
        """The items of each split, in the order of their source.

        Raises DataError where a class has too few items for every split.
        """
        items, beside = self._read()
        check_categories(items, self.splits.apart, self.items.path)
        apart = [i for i in items if i.category in self.splits.apart]
        inner = [i for i in items if i.category not in self.splits.apart]
        classes = {c: [i for i in inner if self.class_of(i) == c] for c in CLASSES}
        split = split_items(classes, self.splits, seed)
        found: dict[str, list[Item]] = {}
        for item in inner:
            if self.class_of(item) == "":
                found.setdefault(UNSCORED, []).append(item)
            elif item.id in split:
                found.setdefault(split[item.id], []).append(item)
        self._check(found)
        rest = {APART: apart, UNRELATED: beside}
        return {**found, **{name: rows for name, rows in rest.items() if rows}}

    def class_of(self, item: Item) -> str:
        """The class of an item; "" without a score."""
        return class_of(item, self.threshold)

    def questions(self, seed: int) -> list[Question]:
        """Split by split; labels are the classes of `train` and `dev`."""
        by_split = self.items_by_split(seed)
        return [self.question(item, split) for split, items in by_split.items() for item in items]

    def question(self, item: Item, split: str) -> Question:
        """An item as it is asked in a split; ids of unrelated items have a name of their own."""
        kind = UNRELATED if split == UNRELATED else self.class_of(item) or UNSCORED
        letters = self.choices == "letters"
        return Question(
            id=f"{UNRELATED}-{item.id}" if split == UNRELATED else item.id,
            prompt=bare(item) if self.prompt == "bare" else listed(item),
            # Two options of the same text are one choice.
            choices=item.letters if letters else tuple(dict.fromkeys(item.options)),
            answer=item.letter if letters else item.answer,
            cause=item.id,
            split=split,
            slices={"kind": kind, "category": item.category or "none"},
            label=kind if split in LABELLED else "",
        )

    def truth(self, seed: int) -> Truth:
        """What the annotation says: questions × classes; NaN where it says nothing."""
        questions = self.questions(seed)
        kinds = np.array([q.slices["kind"] for q in questions])
        own = kinds[:, None] == np.array(CLASSES)[None, :]
        known = own.any(axis=1, keepdims=True)
        values = np.where(known, own.astype(float), np.nan)
        labels = np.where(known, np.where(own, 0, 1), 2).astype(np.int16)
        ids = tuple(q.id for q in questions)
        return Truth(ids, CLASSES, values, labels, NAMES, SiteKind.DIRECTION)

    def _read(self) -> tuple[list[Item], list[Item]]:
        """(the items to split, the unrelated ones); no item is both."""
        items = read_items(self.items, self.workspace)
        if self.unrelated is None:
            return items, unrelated_items(self.items)
        beside = read_items(self.unrelated, self.workspace)
        asked = {i.asks for i in beside}
        return [i for i in items if i.asks not in asked], beside

    def _check(self, found: dict[str, list[Item]]) -> None:
        for split in (*LABELLED, TEST):
            for name in CLASSES:
                if not any(self.class_of(i) == name for i in found.get(split, ())):
                    raise DataError(
                        self.items.path, None,
                        f"no item of class '{name}' is left for split '{split}'; the threshold"
                        f" {self.threshold:g} and {_scored(found)} make the classes",
                    )  # fmt: skip


def _scored(found: dict[str, list[Item]]) -> str:
    scores: Iterator[Sequence[Item]] = iter(found.values())
    values = [i.score for items in scores for i in items if i.score is not None]
    return f"{len(values)} scores" if values else "no score at all"
