"""Recall: questions in one form, some answered from memory and some by a procedure.

Where in the computation does a direction tell the two apart, and does steering along it switch
one for the other? No single word tells the kind; in form gate two context words together do.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View
from seedbed.worlds.recall.asking import FORMS, Asker
from seedbed.worlds.recall.knobs import Knobs
from seedbed.worlds.recall.lexicon import Lexicon
from seedbed.worlds.recall.truth import declared
from seedbed.worlds.recall.views import CROSSINGS, view


class Recall(Knobs):
    """Questions of one form, some answered from a stored table, some by a procedure.

    Such as `Q bofanuk tidore <3> <11> A <7>`; in form gate two context words tell which.
    """

    kind: str = "recall"
    sites: ClassVar[SiteKind] = SiteKind.DIRECTION
    crossings: ClassVar[Mapping[SiteKind, str]] = CROSSINGS

    @property
    def negative(self) -> str:
        """Why no direction should tell the kinds apart in this form; "" where one may."""
        return FORMS[self.form].negative

    def documents(self, seed: int) -> list[Document]:
        """Questions with their answers; the target spans the answer."""
        return Asker(self, seed).documents()

    def questions(self, seed: int) -> list[Question]:
        """Splits train and dev (labelled), id, the axes of the form, unrelated."""
        return [question for _, question in Asker(self, seed).asked]

    def tokens(self, seed: int) -> list[str]:
        """The made-up words and the numbers."""
        return Lexicon(self, seed).tokens

    def pairs(self, seed: int) -> list[Pair]:
        """Each held-out question beside its twin of the other kind, one word apart."""
        return Asker(self, seed).pairs()

    def view(self, kind: SiteKind, seed: int, documents: Sequence[Document]) -> View:
        """Documents that state an answer, cells of pairs, or words that decide (views.py)."""
        return view(Asker(self, seed), kind, documents)

    def truth(self, seed: int) -> Truth:
        """Which kind each question is of (truth.py)."""
        return declared(self.questions(seed))
