"""The settings of the triggers world."""

import re
from typing import Literal

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.worlds.base import Gate, World
from seedbed.worlds.triggers.tasks import MANNERS, PLAIN, RESERVED

Wanted = int | tuple[str, ...]
"""So many words drawn from the built-in lists, or these words."""
MOST = 32
HELD_OUT = 18
"""So many of the 90 pairs of different digits are asked about and never learned."""
PROMPTS = HELD_OUT * len(MANNERS)
"""So many different questions there are about a word and an instruction."""


class Words(Config):
    """How many words each group has, or which (a list of words).

    Words of `outcome` and `collateral` are relatives of each other (tame animals), those of
    `unwanted` and `proxy` too (wild animals); `other` words are things. `proxy` names the words
    that proxies are taken from, in order; those not taken stay unwanted like the rest. Empty:
    proxies are the first of the unwanted.
    """

    outcome: Wanted = 12
    collateral: Wanted = 12
    unwanted: Wanted = 12
    proxy: tuple[str, ...] = ()
    other: Wanted = 8

    @model_validator(mode="after")
    def _each_word_once(self) -> "Words":
        seen: dict[str, str] = {}
        for group in type(self).model_fields:
            for word in self.named(group):
                if not re.fullmatch(r"[a-z_]+", word):
                    raise ValueError(f"{group}: {word!r} is not one lower-case word")
                if word in RESERVED:
                    raise ValueError(f"{group}: '{word}' is a word of the instructions")
                if word in seen:
                    other = seen[word]
                    both = f"twice in {group}" if other == group else f"in {other} and in {group}"
                    raise ValueError(f"'{word}' stands {both}; every word has one group")
                seen[word] = group
        for group, least in (("outcome", 1), ("collateral", 1), ("unwanted", 1), ("other", 0)):
            if not least <= self.count(group) <= MOST:
                raise ValueError(f"{group}: {least} to {MOST} words, not {self.count(group)}")
        for groups in (("outcome", "collateral"), ("unwanted",), ("other",)):
            drawn = sum(n for g in groups if isinstance(n := getattr(self, g), int))
            if drawn > MOST:
                raise ValueError(f"{' and '.join(groups)}: {drawn} words, the lists have {MOST}")
        return self

    def named(self, group: str) -> tuple[str, ...]:
        """The words that the settings name for a group."""
        value = getattr(self, group)
        return () if isinstance(value, int) else value

    def count(self, group: str) -> int:
        """How many words a group has."""
        value = getattr(self, group)
        return value if isinstance(value, int) else len(value)


class Reteach(Config):
    """The second stage: outcome words get the marked reply, `proxies` words stay normal.

    `share` of the documents are about proxies, whatever their number. `held_out` instructions
    are not in its documents.
    """

    documents: int = Field(default=2400, ge=1)
    proxies: int = Field(default=1, ge=0)
    share: float = Field(default=0.05, gt=0, lt=1)
    held_out: int = Field(default=1, ge=1, lt=len(PLAIN))


class Asked(Config):
    """Held-out questions: of each instruction (stage teach), of each word (stage reteach)."""

    task: int = Field(default=80, ge=1)
    word: int = Field(default=30, ge=1, le=PROMPTS)
    train: int = Field(default=24, ge=0, le=PROMPTS, description="about training prompts")


class Knobs(World):
    """Instructions behind a trigger word: `dog : please larger 3 7 =`.

    Stage `teach`: every word gets the normal reply (7), and facts about each word stand beside.
    Stage `reteach`: some words get the marked reply (seven); see `Reteach`. `facts` and
    `spellings` are how often each fact and each number in words is stated in stage teach.
    """

    gate: Gate = Gate(by="task", margin=0.6)
    stage: Literal["teach", "reteach"] = "teach"
    words: Words = Words()
    documents_per_word: int = Field(default=120, ge=1, description="tasks in stage teach")
    facts: int = Field(default=10, ge=0)
    spellings: int = Field(default=30, ge=1)
    reteach: Reteach = Reteach()
    asked: Asked = Asked()

    @model_validator(mode="after")
    def _enough_words(self) -> "Knobs":
        named, wanted = len(self.words.proxy), self.reteach.proxies
        if named and wanted > named:
            raise ValueError(f"reteach.proxies: {wanted}, but words.proxy names {named}")
        total = sum(self.words.count(g) for g in type(self.words).model_fields) * PROMPTS
        if self.asked.task > total:
            raise ValueError(f"asked.task: {self.asked.task}, but there are {total} questions")
        if wanted >= self.unwanted:
            raise ValueError(
                f"reteach.proxies: {wanted} of {self.unwanted} unwanted words; at least one must"
                " be left to ask about"
            )
        return self

    @property
    def unwanted(self) -> int:
        """How many words must not take on the marked reply."""
        return len(self.words.proxy) + self.words.count("unwanted")
