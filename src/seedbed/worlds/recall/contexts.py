"""Pairs of words whose sorts decide the kind by exclusive or, dealt out in balanced sets.

In every set each word stands equally often in contexts of either kind, so that no single word
tells anything about the kind.
"""

from dataclasses import dataclass

from seedbed.core.seeds import stream
from seedbed.worlds.recall.knobs import COMPUTED, KINDS, STORED, Knobs
from seedbed.worlds.recall.lexicon import LEFT, RIGHT, Lexicon

Context = tuple[str, str]


@dataclass(frozen=True)
class Twins:
    """A stored and a computed context that differ in the word at one place."""

    stored: Context
    computed: Context
    place: str

    def of(self, kind: str) -> Context:
        """The context of a kind."""
        return self.stored if kind == STORED else self.computed


class Contexts:
    """The contexts of one world and seed, in sets: train, dev, id and held-out (`contexts`).

    Words i and j of two sorts form a context of diagonal (j − i) mod n; sets are whole diagonals.
    """

    def __init__(self, knobs: Knobs, lexicon: Lexicon, seed: int) -> None:
        self.lexicon, self.seed = lexicon, seed
        self.many = knobs.lexicon.words // 2
        order = list(range(self.many))
        stream(seed, "recall", "diagonals").shuffle(order)
        held = max(1, round(knobs.held_out * self.many))
        part = max(1, (self.many - held) // 4)
        self.diagonals = {
            "contexts": order[:held],
            "id": order[held : held + part],
            "dev": order[held + part : held + 2 * part],
            "train": order[held + 2 * part :],
        }

    def kind(self, context: Context) -> str:
        """Which kind a context is of: stored where its two words are of different sorts."""
        left, right = (
            word in self.lexicon.halves[place][1]
            for word, place in zip(context, (LEFT, RIGHT), strict=True)
        )
        return STORED if left != right else COMPUTED

    def twins(self, split: str) -> list[Twins]:
        """All twins of a set, in a drawn order; every context is in two of them.

        Of each two that follow one another, one has its words where the other has them in the
        other kind, so that words are balanced in any even number of twins too.
        """
        left, right = self.lexicon.halves[LEFT], self.lexicon.halves[RIGHT]
        found = []
        for shift in self.diagonals[split]:
            for i in range(self.many):
                j = (i + shift) % self.many
                c, d = (left[0][i], left[1][i]), (right[0][j], right[1][j])
                found.append([Twins((c[k], d[1 - k]), (c[k], d[k]), RIGHT) for k in (0, 1)])
                found.append([Twins((c[1 - k], d[k]), (c[k], d[k]), LEFT) for k in (0, 1)])
        stream(self.seed, "recall", "twins", split).shuffle(found)
        return [twins for two in found for twins in two]

    def learned(self) -> dict[str, list[Context]]:
        """Kind → the contexts that documents may use."""
        found: dict[str, list[Context]] = {kind: [] for kind in KINDS}
        for split in ("train", "dev", "id"):
            for context in sorted({c for t in self.twins(split) for c in (t.stored, t.computed)}):
                found[self.kind(context)].append(context)
        return found
