"""Form exceptions: stored triples against a computation, with no gate; a declared negative.

The first context word never matters: it lets a stored triple be asked about in a prompt that no
document holds.
"""

import random
from functools import cached_property
from itertools import product

from seedbed.core.seeds import stream
from seedbed.worlds.recall.dealing import dealt
from seedbed.worlds.recall.forms import Form, Item
from seedbed.worlds.recall.knobs import COMPUTED, STORED
from seedbed.worlds.recall.lexicon import LEFT

Triple = tuple[int, int, int]
SPLITS = ("train", "dev", "id")


class ExceptionsForm(Form):
    """Stored triples have an answer of their own, any other triple its largest (smallest) value."""

    negative = (
        "a stored triple is found by look-up alone: nothing has to say beforehand which kind a"
        " question is of"
    )

    @cached_property
    def stored(self) -> list[Triple]:
        """The stored triples, in a drawn order; those of each split follow one another."""
        values = range(self.knobs.lexicon.values)
        every = [(a, b, c) for a, b, c in product(values, values, values)]
        return stream(self.seed, "recall", "triples").sample(every, self.knobs.stored)

    @cached_property
    def table(self) -> dict[Triple, int]:
        """Stored triple → its answer, none of the three values."""
        answers = self.lexicon.answers(self.stored, [self._compute(t) for t in self.stored])
        return dict(zip(self.stored, answers, strict=True))

    @cached_property
    def fillers(self) -> tuple[str, ...]:
        """Words of the first place, which never matter."""
        first, second = self.lexicon.halves[LEFT]
        return first + second

    def asked(self) -> dict[str, list[Item]]:
        """Splits train, dev and id, each with stored triples of its own, each with its twin.

        A twin has another value at one place, so that it is not stored; over a split, each value
        stands as often at each place among the twins as among the stored triples.
        """
        part = len(self.stored) // 4
        shares = {"train": self.stored[2 * part :], "dev": self.stored[:part],
                  "id": self.stored[part : 2 * part]}  # fmt: skip
        return {
            split: self._split(split, share, getattr(self.knobs.asked, split))
            for split, share in shares.items()
        }

    def draw(self, kind: str, rng: random.Random, progress: float) -> Item:
        """A stored triple, or any other."""
        filler = rng.choice(self.fillers)
        if kind == STORED:
            return self._item(filler, rng.choice(self.stored))
        values = range(self.knobs.lexicon.values)
        while True:
            triple = (rng.choice(values), rng.choice(values), rng.choice(values))
            if triple not in self.table:
                return self._item(filler, triple)

    def _split(self, split: str, share: list[Triple], count: int) -> list[Item]:
        rng = stream(self.seed, "recall", "asked", split)
        words = rng.sample(self.fillers, len(self.fillers))
        triples = [share[k % len(share)] for k in range(count // 2)]
        fillers = [words[(k // len(share) + k) % len(words)] for k in range(count // 2)]
        others = list(triples)
        # The twins of every third triple have another value at the same place.
        for place in range(3):
            own = range(place, len(triples), 3)

            def fits(i: int, value: int, own: range = own, place: int = place) -> bool:
                new = _changed(triples[own[i]], place, value)
                stored = self.table[triples[own[i]]]
                return new not in self.table and self._compute(new) != stored

            dealt_out = dealt([triples[k][place] for k in own], fits, rng, "stored")
            for k, value in zip(own, dealt_out, strict=True):
                others[k] = _changed(triples[k], place, value)
        found = []
        for k, (filler, triple, other) in enumerate(zip(fillers, triples, others, strict=True)):
            differs = self.places[1 + k % 3]
            cause = " ".join(self.number(v) for v in triple)
            found += [self._item(filler, t, cause, differs) for t in (triple, other)]
        return found

    def _compute(self, triple: Triple) -> int:
        return self.compute(self.compute(*triple[:2]), triple[2])

    def _item(self, filler: str, triple: Triple, cause: str = "", differs: str = "") -> Item:
        said = {COMPUTED: self.number(self._compute(triple))}
        if triple in self.table:
            said[STORED] = self.number(self.table[triple])
        kind = STORED if triple in self.table else COMPUTED
        words = (filler, *(self.number(v) for v in triple))
        return Item(words, kind, said, cause, differs=differs)


def _changed(triple: Triple, place: int, value: int) -> Triple:
    a, b, c = (value if i == place else old for i, old in enumerate(triple))
    return a, b, c
