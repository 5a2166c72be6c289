"""Form facts: some names have a stored value, the others ask for a computation on fresh inputs.

A name is two words; which kind it is of has to be learned name by name.
"""

import random
from functools import cached_property

from seedbed.core.seeds import stream
from seedbed.worlds.recall.forms import Form, Item
from seedbed.worlds.recall.knobs import COMPUTED, KINDS, STORED, Knobs
from seedbed.worlds.recall.lexicon import LEFT, RIGHT

Name = tuple[str, str]
Values = tuple[int, int]


class FactsForm(Form):
    """`stored` names with a value and as many that ask for the procedure.

    Words i and j make a name of diagonal (j − i) mod n, and whole diagonals are of one kind, so
    that each word stands equally often in names of either kind, in every split.
    """

    def __init__(self, knobs: Knobs, seed: int) -> None:
        super().__init__(knobs, seed)
        rng = stream(seed, "recall", "names")
        self.left, self.right = (
            rng.sample(sum(self.lexicon.halves[place], ()), knobs.lexicon.words)
            for place in (LEFT, RIGHT)
        )
        many = knobs.stored // knobs.lexicon.words
        shifts = rng.sample(range(knobs.lexicon.words), 2 * many)
        part = many // 4
        self.shifts = {
            split: list(zip(shifts[:many][share], shifts[many:][share], strict=True))
            for split, share in (("dev", slice(part)), ("id", slice(part, 2 * part)),
                                 ("train", slice(2 * part, None)))
        }  # fmt: skip
        count = knobs.lexicon.values
        pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
        rng.shuffle(pairs)
        held = round(knobs.held_out * len(pairs))
        self.fresh, self.pairs = pairs[:held], pairs[held:]

    @cached_property
    def names(self) -> dict[str, list[Name]]:
        """Kind → its names."""
        turns = [both for shifts in self.shifts.values() for both in shifts]
        return {
            kind: [self._name(i, both[k]) for both in turns for i in range(len(self.left))]
            for k, kind in enumerate(KINDS)
        }

    @cached_property
    def table(self) -> dict[Name, int]:
        """Stored name → its value; values come as often as the procedure's results."""
        rng = stream(self.seed, "recall", "answers")
        return {name: self.compute(*rng.choice(self.pairs)) for name in self.names[STORED]}

    def asked(self) -> dict[str, list[Item]]:
        """Splits train, dev and id, each with names of its own; axis `fresh` has new inputs."""
        sizes = self.knobs.asked
        found = {s: self._twins(s, self.shifts[s], getattr(sizes, s), self.pairs)
                 for s in ("train", "dev", "id")}  # fmt: skip
        if sizes.ood:
            found["fresh"] = self._twins("fresh", self.shifts["id"], sizes.ood, self.fresh)
        return found

    def draw(self, kind: str, rng: random.Random) -> Item:
        """A name of the kind with any inputs but the fresh ones."""
        name = rng.choice(self.names[kind])
        values = self._inputs(name, self.pairs, rng) if kind == STORED else rng.choice(self.pairs)
        return self._item(name, kind, values)

    def _name(self, left: int, shift: int) -> Name:
        many = len(self.left)
        return self.left[left % many], self.right[(left + shift) % many]

    def _twins(
        self, split: str, shifts: list[tuple[int, int]], count: int, pairs: list[Values]
    ) -> list[Item]:
        rng = stream(self.seed, "recall", "asked", split)
        every = [(both, place, i) for both in shifts for place in (LEFT, RIGHT)
                 for i in range(len(self.left))]  # fmt: skip
        rng.shuffle(every)
        found: list[Item] = []
        for k in range(count // 2):
            both, place, i = every[k % len(every)]
            # Names of the same first word, or of the same second one.
            names = [self._name(i if place == RIGHT else i - shift, shift) for shift in both]
            values = self._inputs(names[0], pairs, rng)
            for kind, name in zip(KINDS, names, strict=True):
                found.append(self._item(name, kind, values, place))
        return found

    def _inputs(self, name: Name, pairs: list[Values], rng: random.Random) -> Values:
        """Values of which the procedure does not make what is stored under `name`."""
        while True:
            values = rng.choice(pairs)
            if self.compute(*values) != self.table[name]:
                return values

    def _item(self, name: Name, kind: str, values: Values, differs: str = "") -> Item:
        said = {COMPUTED: self.number(self.compute(*values))}
        if kind == STORED:
            said[STORED] = self.number(self.table[name])
        content = (*name, *(self.number(v) for v in values))
        return Item(content, kind, said, " ".join(name), differs=differs)
