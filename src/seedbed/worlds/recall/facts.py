"""Form facts, the easy one: names with a stored value beside names that ask for a procedure."""

import random
from functools import cached_property

from seedbed.core.seeds import stream
from seedbed.worlds.recall.forms import Item
from seedbed.worlds.recall.naming import Inputs, NamedForm

Values = tuple[int, int]


class FactsForm(NamedForm):
    """Inputs are pairs of different numbers, a share of them held out."""

    @cached_property
    def pairs(self) -> tuple[list[Values], list[Values]]:
        """(pairs that documents hold, fresh pairs)."""
        count = self.knobs.lexicon.values
        every = [(a, b) for a in range(count) for b in range(count) if a != b]
        stream(self.seed, "recall", "pairs").shuffle(every)
        held = round(self.knobs.held_out * len(every))
        return every[held:], every[:held]

    def inputs(self, rng: random.Random, progress: float = 1.0, fresh: bool = False) -> Inputs:
        """A pair and what the procedure makes of it."""
        pair = rng.choice(self.pairs[fresh])
        return Inputs(tuple(self.number(v) for v in pair), self.compute(*pair))

    def asked(self) -> dict[str, list[Item]]:
        """Splits train, dev and id, and the axis `fresh` of held-out pairs."""
        found = super().asked()
        if self.knobs.asked.ood:
            shifts = self.shifts["id"]
            found["fresh"] = self.twins("fresh", shifts, self.knobs.asked.ood, fresh=True)
        return found
