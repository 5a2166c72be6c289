"""Names of two words: some have a stored value, as many others ask for a computation.

Which kind a name is of has to be learned name by name; no word of it tells.
"""

import random
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from math import gcd

from seedbed.core.seeds import stream
from seedbed.worlds.recall.forms import TRIES, Form, Item, too_many
from seedbed.worlds.recall.knobs import COMPUTED, KINDS, STORED, Knobs
from seedbed.worlds.recall.lexicon import LEFT, RIGHT

Name = tuple[str, str]


@dataclass(frozen=True)
class Inputs:
    """What follows a name, and what the computation makes of it."""

    words: tuple[str, ...]
    result: int
    slices: dict[str, str] = field(default_factory=dict)


class NamedForm(Form):
    """`stored` names with a value and as many that ask for the computation.

    Words i and j make a name of diagonal (j − i) mod n, and whole diagonals are of one kind, so
    that each word stands equally often in names of either kind, in every split.
    """

    def __init__(self, knobs: Knobs, seed: int) -> None:
        super().__init__(knobs, seed)
        rng = stream(seed, "recall", "names")
        halves = self.lexicon.halves
        self.left = rng.sample([w for half in halves[LEFT] for w in half], knobs.lexicon.words)
        self.right = rng.sample([w for half in halves[RIGHT] for w in half], knobs.lexicon.words)
        many = knobs.stored // knobs.lexicon.words
        shifts = rng.sample(range(knobs.lexicon.words), 2 * many)
        both = list(zip(shifts[:many], shifts[many:], strict=True))
        part = many // 4
        self.shifts = {"train": both[2 * part :], "dev": both[:part], "id": both[part : 2 * part]}

    @abstractmethod
    def inputs(self, rng: random.Random, progress: float = 1.0, fresh: bool = False) -> Inputs:
        """Inputs for a document `progress` of the way through all of them, or for a question.

        `fresh`: inputs that no document has.
        """

    @cached_property
    def names(self) -> dict[str, list[Name]]:
        """Kind → its names."""
        return {
            kind: [
                self._name(i, both[k])
                for shifts in self.shifts.values()
                for both in shifts
                for i in range(len(self.left))
            ]
            for k, kind in enumerate(KINDS)
        }

    @cached_property
    def table(self) -> dict[Name, int]:
        """Stored name → its value; values come as often as the computation's results."""
        rng = stream(self.seed, "recall", "answers")
        return {name: self.inputs(rng).result for name in self.names[STORED]}

    def asked(self) -> dict[str, list[Item]]:
        """Splits train, dev and id, each with names of its own."""
        sizes = self.knobs.asked
        return {split: self.twins(split, self.shifts[split], getattr(sizes, split))
                for split in self.shifts}  # fmt: skip

    def draw(self, kind: str, rng: random.Random, progress: float) -> Item:
        """A name of the kind with any inputs but the fresh ones."""
        name = rng.choice(self.names[kind])
        while True:
            given = self.inputs(rng, progress)
            if kind == COMPUTED or given.result != self.table[name]:
                return self._item(name, kind, given)

    def twins(
        self, split: str, shifts: list[tuple[int, int]], count: int, fresh: bool = False
    ) -> list[Item]:
        """`count` items, a stored and a computed name in turn, one word apart, of equal inputs."""
        rng = stream(self.seed, "recall", "asked", split)
        every = self._turns(shifts, rng)
        found: dict[tuple[str, ...], Item] = {}
        for k in range(count // 2):
            both, place, i = every[k % len(every)]
            # Names of the same first word, or of the same second one.
            names = [self._name(i if place == RIGHT else i - shift, shift) for shift in both]
            for _ in range(TRIES):
                given = self.inputs(rng, fresh=fresh)
                items = [self._item(n, k, given, place) for n, k in zip(names, KINDS, strict=True)]
                known = any(item.content in found for item in items)
                if given.result != self.table[names[0]] and not known:
                    break
            else:
                raise too_many("ood" if fresh else split, count)
            found |= {item.content: item for item in items}
        return list(found.values())

    def _turns(
        self, shifts: list[tuple[int, int]], rng: random.Random
    ) -> list[tuple[tuple[int, int], str, int]]:
        """Which twins come in turn: (their diagonals, the place where they differ, the word kept).

        The word that one twin has in its stored name the next has in its computed one, so that
        words are balanced in any number of twins, but for the first and the last.
        """
        many, found = len(self.left), []
        chains = [(both, place) for both in shifts for place in (LEFT, RIGHT)]
        for both, place in rng.sample(chains, len(chains)):
            step = (both[0] - both[1]) * (1 if place == RIGHT else -1)
            round_, offset = many // gcd(many, step), rng.randrange(many)
            found += [(both, place, (offset + k * step + k // round_) % many) for k in range(many)]
        return found

    def _name(self, left: int, shift: int) -> Name:
        many = len(self.left)
        return self.left[left % many], self.right[(left + shift) % many]

    def _item(self, name: Name, kind: str, given: Inputs, differs: str = "") -> Item:
        said = {COMPUTED: self.number(given.result)}
        if kind == STORED:
            said[STORED] = self.number(self.table[name])
        content = (*name, *given.words)
        return Item(content, kind, said, " ".join(name), given.slices, differs)
