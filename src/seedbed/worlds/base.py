"""The contract of a world: rows made from a seed, the truth about them, and the gate.

A world is a frozen configuration; every method is a pure function of it and the seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from seedbed.core.config import Config
from seedbed.core.kinds import Kinded, Kinds
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.core.spread import Outcome


class Gate(Config):
    """Learned first: which questions a subject must answer before any finder runs.

    Questions are grouped by the slice `by`. A group passes if the lower end of the 95 %
    interval of its accuracy is at least its chance level + `margin`. A group that fails is
    left out, and the study stops if it is `required` (empty: every group is). Finders are asked
    about the questions of the split `asked`, which passes as it is where it is another than `id`.
    """

    by: str = "depth"
    margin: float = Field(default=0.3, ge=0, lt=1)
    required: tuple[str, ...] = ()
    asked: str = "id"


@dataclass(frozen=True)
class View:
    """A world's rows arranged for finders of another kind of site than its own, and their truth.

    `questions` are those that are asked (split `gate.asked`, with the slice `gate.by`) and, for
    directions, the labelled examples of the splits train and dev; `truth` has a row for each of
    them and the sites that a world of that kind would have. Documents are the world's own.
    """

    questions: Sequence[Question]
    pairs: Sequence[Pair]
    truth: Truth


class World(Kinded):
    """Base of worlds; subclasses add their knobs as fields and a default `kind`.

    A world that can be taught again has a field `stage`; then `GROUPS` says a line on each value
    of its questions' slice `group`, `TRAINED` what the groups that are taught are taught, and
    `CONTRASTS` which two groups are worth comparing. `planted` is false where nothing is: such a
    world has no documents, and its truth is what somebody annotated. `crossings` says a line on
    what the declared truth about each further kind of site is (see `view`), `lacking` why there
    is none about the others.
    """

    gate: Gate = Gate()
    sites: ClassVar[SiteKind] = SiteKind.DOCUMENT
    planted: ClassVar[bool] = True
    crossings: ClassVar[Mapping[SiteKind, str]] = {}
    lacking: ClassVar[Mapping[SiteKind, str]] = {}
    GROUPS: ClassVar[dict[str, str]] = {}
    TRAINED: ClassVar[dict[str, Outcome]] = {}
    CONTRASTS: ClassVar[tuple[tuple[str, str], ...]] = ()

    @property
    def negative(self) -> str:
        """Why nothing should be found here, of a declared negative; "" where something may."""
        return ""

    def documents(self, seed: int) -> list[Document]:
        """Training texts with the facts they carry and their role, in training order."""
        raise NotImplementedError

    def questions(self, seed: int) -> list[Question]:
        """Held-out questions with choices, answer, cause, split and slices."""
        raise NotImplementedError

    def tokens(self, seed: int) -> list[str]:
        """Made-up words that a pretrained tokenizer should get as one new token each."""
        return []

    def vocabulary(self, seed: int) -> list[str]:
        """Further texts that a from-scratch vocabulary must hold; never trained on.

        Such as what an environment may say that stands in no document.
        """
        return []

    def inputs(self) -> tuple[Path, ...]:
        """Files that rows are made from; their contents are part of what a stage is stored under.

        Empty where everything follows from the fields and the seed.
        """
        return ()

    def pairs(self, seed: int) -> list[Pair]:
        """Clean and corrupt questions that differ in one cause; empty if there are none."""
        return []

    def states(self, seed: int) -> dict[str, dict[str, int]]:
        """Question id → place → what an algorithm that reads along the prompt would hold there.

        Such as the running count at each item of a list; for probes and interchange patches.
        """
        return {}

    def check_labels(self, lengths: Mapping[str, int]) -> None:
        """Raise ConfigError where choices of these numbers of tokens do not compare.

        Asked of the subject's tokenizer before training; most worlds take any choices.
        """

    def grid(self, seed: int) -> list[Question]:
        """Questions over a grid of the input, to be drawn and never scored; empty if none is flat.

        Slices name the `panel` and the coordinates `x1` and `x2`; every panel has the same grid.
        """
        return []

    def view(self, kind: SiteKind, seed: int, documents: Sequence[Document]) -> View:
        """Rows and declared truth about another kind of site, one of `crossings`.

        `documents` are what the subject learned from: `documents(seed)`, or what it chose from
        its users' conversations.
        """
        raise NotImplementedError

    def truth(self, seed: int) -> Truth:
        """The declared truth: `questions(seed)` × sites, in their orders."""
        raise NotImplementedError


WORLDS: Kinds[World] = Kinds("world", "seedbed.worlds", World)
