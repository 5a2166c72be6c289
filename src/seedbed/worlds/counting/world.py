"""Counting: a list of words and a category; the answer is how many of the words belong to it.

The cause of an answer is where in the computation the words' membership is carried.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from seedbed.core.errors import DataError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View
from seedbed.worlds.counting import views
from seedbed.worlds.counting.asking import Asker
from seedbed.worlds.counting.knobs import Knobs
from seedbed.worlds.counting.states import running
from seedbed.worlds.counting.truth import declared


class Counting(Knobs):
    """Word lists and a category: the answer is how many of the words belong to it.

    The everyday form is for subjects with a word-level vocabulary.
    """

    kind: str = "counting"
    sites: ClassVar[SiteKind] = SiteKind.CELL
    crossings: ClassVar[Mapping[SiteKind, str]] = views.CROSSINGS

    def inputs(self) -> tuple[Path, ...]:
        """The file of examples, where questions come from one; raises DataError without it."""
        path = self.asked.examples
        if path is not None and not path.is_file():
            raise DataError(path, None, "no such file")
        return (path,) if path else ()

    def documents(self, seed: int) -> list[Document]:
        """Fresh lists and their answers; the target spans the answer."""
        return Asker(self, seed).documents()

    def questions(self, seed: int) -> list[Question]:
        """Split id: held-out lists, each with its pair. Split train: lists of the documents."""
        return Asker(self, seed).questions()

    def pairs(self, seed: int) -> list[Pair]:
        """Each held-out question beside the same list with one word swapped."""
        return Asker(self, seed).pairs

    def states(self, seed: int) -> dict[str, dict[str, int]]:
        """The running count at each word of every held-out question."""
        asker = Asker(self, seed)
        held_out = [q for q in asker.questions() if q.split == "id"]
        return {q.id: running(asker, q) for q in held_out}

    def view(self, kind: SiteKind, seed: int, documents: Sequence[Document]) -> View:
        """Which lists state a membership, which words are counted (views.py)."""
        return views.view(Asker(self, seed), kind, documents)

    def truth(self, seed: int) -> Truth:
        """What holds of any causal transformer, by band of blocks and place (truth.py)."""
        asker = Asker(self, seed)
        return declared(asker.questions(), asker.pairs, asker.longest)
