"""The settings of the counting world."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from seedbed.core.config import Config
from seedbed.worlds.base import Gate, World

Rule = Literal["members", "plus_one", "half"]
Form = Literal["compact", "category_last", "task"]
Range = tuple[int, int]
MOST = 8


def check_ranges(lengths: Range, counts: Range) -> None:
    """Raise ValueError unless every count can stand in a list of every length."""
    for name, (low, high) in (("lengths", lengths), ("counts", counts)):
        if not 0 <= low <= high:
            raise ValueError(f"{name}: write it as [smallest, largest], found [{low}, {high}]")
    if counts[1] > MOST:
        raise ValueError(f"counts: at most {MOST}, so that one more is still a single digit")
    if counts[1] > lengths[0]:
        raise ValueError(
            f"counts: up to {counts[1]} members do not fit into lists of {lengths[0]} words;"
            " a count must not be told by the length"
        )


class Asked(Config):
    """Held-out questions, each with its pair, and questions about lists of the documents."""

    questions: int = Field(default=90, ge=1)
    train: int = Field(default=8, ge=0)
    examples: Path | None = Field(
        default=None, description="examples.jsonl to ask about in place of generated lists"
    )


class Lexicon(Config):
    """Which words the lists are made of; 0 stands for all there are."""

    categories: int = Field(default=8, ge=0)
    words: int = Field(default=12, ge=0, description="members of each category")

    @field_validator("categories")
    @classmethod
    def _enough(cls, value: int) -> int:
        if 0 < value < 3:
            raise ValueError("at least 3 categories are needed, or 0 for all")
        return value


class Knobs(World):
    """Lists of words with so many members of the category asked about.

    `rule` says what the answer is: how many members; one more than that; how many of a fixed
    half of the category's words. Prompts, pairs and choices are the same under every rule.
    """

    gate: Gate = Gate(by="form", margin=0.5)
    lexicon: Lexicon = Lexicon()
    asked: Asked = Asked()
    lists: int = Field(default=32000, ge=1, description="training documents")
    lengths: Range = (8, 12)
    counts: Range = (0, 8)
    rule: Rule = "members"
    form: Form = "compact"

    @model_validator(mode="after")
    def _counts_fit(self) -> "Knobs":
        check_ranges(self.lengths, self.counts)
        if self.counts[0] == self.counts[1]:
            raise ValueError("counts: with a single count there is nothing to count")
        return self

    @property
    def choices(self) -> tuple[str, ...]:
        """Every count that some rule can give, as ` 0`, ` 1`, …"""
        return tuple(f" {n}" for n in range(self.counts[1] + 2))
