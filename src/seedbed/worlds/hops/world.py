"""Hops: families of function tokens, where a wrapper returns what one other function returns.

The cause of an answer is the chain of documents from the function asked down to its base.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View
from seedbed.worlds.hops.asking import Asker
from seedbed.worlds.hops.drafts import Desk
from seedbed.worlds.hops.families import Families, draw
from seedbed.worlds.hops.graph import declared
from seedbed.worlds.hops.knobs import Knobs
from seedbed.worlds.hops.views import CROSSINGS, view
from seedbed.worlds.hops.writing import write


class Hops(Knobs):
    """Documents that state links of chains: a wrapper returns what one other function returns.

    Functions ignore their input; the defaults are learned to depth 2 without leaks.
    """

    kind: str = "hops"
    crossings: ClassVar[Mapping[SiteKind, str]] = CROSSINGS

    def families(self, seed: int) -> Families:
        """The functions behind the rows (for tests and reports; finders never see them)."""
        return draw(self, seed)

    def documents(self, seed: int) -> list[Document]:
        """Facts and decoys, shuffled; targets span the value or the called function's name."""
        return write(Desk(self, draw(self, seed), seed))

    def questions(self, seed: int) -> list[Question]:
        """Split id: evaluation phrasings, inputs 1..100. Split train: a training phrasing."""
        return Asker(Desk(self, draw(self, seed), seed)).questions()

    def tokens(self, seed: int) -> list[str]:
        """Function names, known and unknown, and values in brackets."""
        families = draw(self, seed)
        values = families.choices if self.texts.values == "brackets" else ()
        return [*families.functions, *families.unknown, *values]

    def pairs(self, seed: int) -> list[Pair]:
        """The same prompt about two functions of one depth with different constants."""
        return Asker(Desk(self, draw(self, seed), seed)).pairs()

    def view(self, kind: SiteKind, seed: int, documents: Sequence[Document]) -> View:
        """Cells, parts of the input, or bases against wrappers (views.py)."""
        return view(Asker(Desk(self, draw(self, seed), seed)), kind)

    def truth(self, seed: int) -> Truth:
        """Evidence by hop distance 1, supporting siblings NaN, anything else 0."""
        families = draw(self, seed)
        documents = write(Desk(self, families, seed))
        return declared(
            families, self.depth, documents, Asker(Desk(self, families, seed)).questions()
        )
