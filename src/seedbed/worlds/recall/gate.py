"""Form gate: every stored pair has two answers; the two context words decide which is asked for."""

import random
from functools import cached_property

from seedbed.core.seeds import stream
from seedbed.worlds.recall.contexts import Context, Contexts, Twins
from seedbed.worlds.recall.forms import TRIES, Form, Item, too_many
from seedbed.worlds.recall.knobs import COMPUTED, KINDS, STORED, Knobs

Values = tuple[int, int]


class GateForm(Form):
    """Stored pairs under contexts of either kind; fresh pairs under computed contexts alone."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        super().__init__(knobs, seed)
        self.contexts = Contexts(knobs, self.lexicon, seed)

    @cached_property
    def pairs(self) -> tuple[list[Values], list[Values]]:
        """(the stored pairs, the fresh ones), each in a drawn order."""
        count = self.knobs.lexicon.values
        every = [(a, b) for a in range(count) for b in range(count) if a != b]
        stream(self.seed, "recall", "pairs").shuffle(every)
        return every[: self.knobs.stored], every[self.knobs.stored :]

    @cached_property
    def table(self) -> dict[Values, int]:
        """Stored pair → its stored answer, neither of the two values."""
        stored = self.pairs[0]
        answers = self.lexicon.answers(stored, [self.compute(*p) for p in stored])
        return dict(zip(stored, answers, strict=True))

    @cached_property
    def learned(self) -> dict[str, list[Context]]:
        """Kind → the contexts of documents."""
        return self.contexts.learned()

    def asked(self) -> dict[str, list[Item]]:
        """Splits train, dev and id have contexts of their own; axes `contexts` and `fresh`."""
        sizes = self.knobs.asked
        found = {
            split: self._twins(split, getattr(sizes, split)) for split in ("train", "dev", "id")
        }
        if sizes.ood:
            found["contexts"] = self._twins("contexts", sizes.ood)
            found["fresh"] = self._fresh(sizes.ood)
        return found

    def draw(self, kind: str, rng: random.Random, progress: float) -> Item:
        """A stored pair in a context of the kind."""
        return self._item(rng.choice(self.learned[kind]), rng.choice(self.pairs[0]), kind)

    def _twins(self, split: str, count: int) -> list[Item]:
        twins, stored = self.contexts.twins(split), list(self.pairs[0])
        stream(self.seed, "recall", "asked", split).shuffle(stored)
        found: list[Item] = []
        seen: set[tuple[Context, Values]] = set()
        turn = 0
        for k in range(count // 2):
            both = twins[k % len(twins)]
            for tried in range(turn, turn + len(stored)):
                pair = stored[tried % len(stored)]
                if not any((both.of(kind), pair) in seen for kind in KINDS):
                    break
            else:
                raise too_many("ood" if split == "contexts" else split, count)
            turn = tried + 1
            seen |= {(both.of(kind), pair) for kind in KINDS}
            found += [self._item(both.of(kind), pair, kind, both) for kind in KINDS]
        return found

    def _fresh(self, count: int) -> list[Item]:
        rng = stream(self.seed, "recall", "asked", "fresh")
        pairs, contexts = self.pairs[1], self.learned[COMPUTED]
        found: dict[tuple[str, ...], Item] = {}
        for tried in range(TRIES * count):
            item = self._item(rng.choice(contexts), pairs[tried % len(pairs)], COMPUTED)
            found.setdefault(item.content, item)
            if len(found) == count:
                return list(found.values())
        raise too_many("ood", count)

    def _item(self, context: Context, pair: Values, kind: str, twins: Twins | None = None) -> Item:
        said = {COMPUTED: self.number(self.compute(*pair))}
        if pair in self.table:
            said[STORED] = self.number(self.table[pair])
        return Item(
            content=(*context, *(self.number(v) for v in pair)),
            kind=kind,
            said=said,
            cause=" ".join(context),
            slices={"pair": "stored" if pair in self.table else "fresh"},
            differs=twins.place if twins else "",
        )
