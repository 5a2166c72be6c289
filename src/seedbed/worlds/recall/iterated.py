"""Form iterated: names with a stored value beside names that ask to apply stored maps in turn.

`Q name name stay stay start map map`: each map moves the state on, so as many steps are needed as
there are maps. Each is where a shorter question ends: its answer is what the next map acts on.
"""

import random
from functools import cached_property

from seedbed.core.seeds import stream
from seedbed.worlds.recall.lexicon import STAY
from seedbed.worlds.recall.naming import Inputs, NamedForm


class IteratedForm(NamedForm):
    """Maps are random permutations of a few states; stays fill up what is left before the start."""

    closed = False

    @property
    def places(self) -> tuple[str, ...]:
        """The name, then each place by how many words come behind it; the last map has none."""
        return ("c", "d", *(f"back{i}" for i in range(self.knobs.iterated.steps, 0, -1)))

    @property
    def choices(self) -> tuple[str, ...]:
        """The states."""
        return self.lexicon.values[: self.knobs.iterated.states]

    @cached_property
    def maps(self) -> list[list[int]]:
        """What each map makes of each state; none leaves all as they are, and no two are alike.

        Every state can become every other: one that no map moves would need no steps.
        """
        rng, states = stream(self.seed, "recall", "maps"), range(self.knobs.iterated.states)
        while True:
            found: list[list[int]] = []
            while len(found) < self.knobs.iterated.maps:
                drawn = rng.sample(states, len(states))
                if drawn != list(states) and drawn not in found:
                    found.append(drawn)
            reached = {0}
            for _ in states:
                reached |= {drawn[state] for drawn in found for state in reached}
            if len(reached) == len(states):
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
        stays = [STAY] * (sizes.steps - depth)
        words = (*stays, self.number(start), *(self.lexicon.moves[n] for n in numbers))
        return Inputs(words, state, {"depth": str(depth)})
