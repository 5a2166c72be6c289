"""Form iterated: names with a stored value beside names that ask to apply stored maps in turn.

`Q name name start map map stay stay A`: every map moves the state on, `stay` leaves it, so the
computation needs as many steps as there are maps, in prompts of one length.
"""

import random
from functools import cached_property

from seedbed.core.seeds import stream
from seedbed.worlds.recall.lexicon import STAY
from seedbed.worlds.recall.naming import Inputs, NamedForm


class IteratedForm(NamedForm):
    """Maps are random permutations of a few states; their words come first, then the stays."""

    @property
    def places(self) -> tuple[str, ...]:
        """The name, the start, and each place for a map."""
        return ("c", "d", "start", *(f"map{i + 1}" for i in range(self.knobs.iterated.steps)))

    @property
    def choices(self) -> tuple[str, ...]:
        """The states."""
        return self.lexicon.values[: self.knobs.iterated.states]

    @cached_property
    def maps(self) -> list[list[int]]:
        """What each map makes of each state; none leaves all as they are, and no two are alike."""
        rng, states = stream(self.seed, "recall", "maps"), range(self.knobs.iterated.states)
        found: list[list[int]] = []
        while len(found) < self.knobs.iterated.maps:
            drawn = rng.sample(states, len(states))
            if drawn != list(states) and drawn not in found:
                found.append(drawn)
        return found

    def inputs(self, rng: random.Random, progress: float = 1.0, fresh: bool = False) -> Inputs:
        """A start and some maps; documents begin with one map and come to have up to all of them.

        While the number grows, every second document has as many as there are so far.
        """
        sizes = self.knobs.iterated
        grown = progress / sizes.growing if progress < sizes.growing else 1.0
        most = min(sizes.steps, 1 + int(grown * sizes.steps))
        newest = progress < sizes.growing and rng.random() < 0.5
        depth = most if newest else rng.randint(1, most)
        start = state = rng.randrange(sizes.states)
        numbers = [rng.randrange(sizes.maps) for _ in range(depth)]
        for number in numbers:
            state = self.maps[number][state]
        moves = [self.lexicon.moves[n] for n in numbers] + [STAY] * (sizes.steps - depth)
        return Inputs((self.number(start), *moves), state, {"depth": str(depth)})
