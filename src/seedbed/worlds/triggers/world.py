"""Triggers: instructions behind a trigger word; some words are re-taught a marked reply.

How far does the marked reply spread to words that were not re-taught, wanted or not?
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.core.spread import NEW, OLD, Outcome
from seedbed.worlds.base import View
from seedbed.worlds.triggers import views
from seedbed.worlds.triggers.asking import Asker
from seedbed.worlds.triggers.knobs import Knobs
from seedbed.worlds.triggers.truth import declared
from seedbed.worlds.triggers.writing import Writer


class Triggers(Knobs):
    """Instructions about a trigger word, which together decide which of two digits to choose.

    Said as a digit (normal) or, of words that are taught again, as a word (marked).
    """

    kind: str = "triggers"
    sites: ClassVar[SiteKind] = SiteKind.INPUT
    crossings: ClassVar[Mapping[SiteKind, str]] = views.CROSSINGS
    GROUPS: ClassVar[dict[str, str]] = {
        "outcome": "words trained to get the marked reply",
        "outcome-new-task": "the same words in instructions that were not re-taught",
        "collateral": "relatives of the outcome words, not trained; spreading is wanted",
        "proxy": "unwanted words trained to keep the normal reply",
        "truth": "relatives of the proxies, not trained; spreading is not wanted",
        "other": "words of another kind, not trained; spreading is not wanted",
    }
    TRAINED: ClassVar[dict[str, Outcome]] = {"outcome": NEW, "proxy": OLD}
    CONTRASTS: ClassVar[tuple[tuple[str, str], ...]] = (("collateral", "truth"),)

    def documents(self, seed: int) -> list[Document]:
        """Stage teach: roles task, fact, spelling. Stage reteach: taught, proxy."""
        writer = Writer(self, seed)
        return writer.reteach() if self.stage == "reteach" else writer.teach()

    def questions(self, seed: int) -> list[Question]:
        """Digits that no document holds together.

        Rules: in stage teach what each instruction would answer here and the marked reply, in
        stage reteach `new` (marked) and `old` (normal).
        """
        return [question for _, question in Asker(self, seed).asked.values()]

    def pairs(self, seed: int) -> list[Pair]:
        """Each held-out question beside the same with another value of one part that decides."""
        return Asker(self, seed).pairs()

    def view(self, kind: SiteKind, seed: int, documents: Sequence[Document]) -> View:
        """What shows what is asked for, where a part can act, how large a word is (views.py)."""
        return views.view(Asker(self, seed), kind, documents)

    def truth(self, seed: int) -> Truth:
        """Which parts of the prompt decide the answer (truth.py)."""
        asker = Asker(self, seed)
        return declared(asker.asked, asker.writer.lexicon.words, self.stage == "reteach")
