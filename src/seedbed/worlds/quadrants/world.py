"""Quadrants: a point in the plane and a trigger word; the label follows the point's region.

What decides is a rule over both numbers, and which rule is the trigger's category's.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.core.spread import Outcome
from seedbed.worlds.base import View
from seedbed.worlds.quadrants import again, lines, panels, views
from seedbed.worlds.quadrants.again import Again
from seedbed.worlds.quadrants.asking import Asker
from seedbed.worlds.quadrants.deciding import declared
from seedbed.worlds.quadrants.knobs import Knobs
from seedbed.worlds.quadrants.pairing import pairs


class Quadrants(Knobs):
    """Points and a word: which region takes which label depends on the word's category.

    Lines such as `F[+1.64,-0.55]dog= red`; stage `reteach` gives the second stage's rows.
    """

    kind: str = "quadrants"
    sites: ClassVar[SiteKind] = SiteKind.INPUT
    crossings: ClassVar[Mapping[SiteKind, str]] = views.CROSSINGS
    GROUPS: ClassVar[dict[str, str]] = again.GROUPS
    TRAINED: ClassVar[dict[str, Outcome]] = again.TRAINED
    CONTRASTS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("proxy", "relative"),
        ("relative", "same-map"),
    )

    def asker(self, seed: int) -> Asker:
        """Who asks in this stage."""
        return Again(self, seed) if self.stage == "reteach" else Asker(self, seed)

    def documents(self, seed: int) -> list[Document]:
        """Lines about points and words, or those of the second stage; the target is the label."""
        if self.stage == "reteach":
            return Again(self, seed).documents()
        return lines.documents(self, seed)

    def questions(self, seed: int) -> list[Question]:
        """Splits id, train and each axis apart; in the second stage groups, all of split id."""
        return [one.question for one in self.asker(seed).placed]

    def pairs(self, seed: int) -> list[Pair]:
        """Each held-out question beside one that differs in one part; none in stage reteach."""
        return pairs(Asker(self, seed)) if self.stage == "teach" else []

    def states(self, seed: int) -> dict[str, dict[str, int]]:
        """For each held-out question: the region once both numbers are read, the category."""
        asker = self.asker(seed)
        order = list(asker.drawn.maps)
        return {
            one.question.id: {
                "x2": one.region,
                "trigger": order.index(asker.drawn.category[one.case.trigger]),
            }
            for one in asker.placed
            if one.question.split == "id"
        }

    def grid(self, seed: int) -> list[Question]:
        """Decision maps of a few words (panels.py)."""
        return panels.grid(self.asker(seed))

    def view(self, kind: SiteKind, seed: int, documents: Sequence[Document]) -> View:
        """Which lines state the label, where a change can act, which map a word has (views.py)."""
        return views.view(self.asker(seed), kind, documents)

    def truth(self, seed: int) -> Truth:
        """Which parts of the prompt can change the declared label (deciding.py)."""
        return declared(self.asker(seed))
