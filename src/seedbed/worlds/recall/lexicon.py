"""The words of one world and seed, and what belongs to which sort."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from seedbed.core.seeds import stream
from seedbed.worlds.phrasing import word_names
from seedbed.worlds.recall.dealing import dealt
from seedbed.worlds.recall.knobs import Knobs

LEFT, RIGHT = "c", "d"
OPEN, CLOSE, OTHER = "Q", "A", "U"
"""First and last word of a question, and the first word of an unrelated one."""
STAY = "stay"

Halves = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Lexicon:
    """Words are drawn anew for each seed, so nothing can be known of them beforehand."""

    knobs: Knobs
    seed: int

    @cached_property
    def values(self) -> tuple[str, ...]:
        """Numbers in one token each, smallest first."""
        return tuple(f"<{n}>" for n in range(self.knobs.lexicon.values))

    @cached_property
    def _words(self) -> list[str]:
        sizes = self.knobs.lexicon
        rng = stream(self.seed, "recall", "words")
        count = 2 * sizes.words + sizes.others + self.knobs.iterated.maps
        return word_names(count, rng, (STAY,))

    @cached_property
    def halves(self) -> dict[str, Halves]:
        """Place → its words of the first and of the second sort."""
        count = self.knobs.lexicon.words
        both = self._words[:count], self._words[count : 2 * count]
        return {
            place: (tuple(words[: count // 2]), tuple(words[count // 2 :]))
            for place, words in zip((LEFT, RIGHT), both, strict=True)
        }

    @cached_property
    def others(self) -> tuple[str, ...]:
        """The words of unrelated questions."""
        return tuple(self._words[2 * self.knobs.lexicon.words :][: self.knobs.lexicon.others])

    @cached_property
    def moves(self) -> tuple[str, ...]:
        """The words of the maps of form iterated."""
        return tuple(self._words[2 * self.knobs.lexicon.words + self.knobs.lexicon.others :])

    @property
    def tokens(self) -> list[str]:
        """Every made-up word, and every number."""
        return [*self._words, *self.values]

    def answers(self, inputs: Sequence[Sequence[int]], computed: Sequence[int]) -> list[int]:
        """A stored answer for each row of `inputs`, none of which it is.

        Every value is as often a stored answer as a computed one, so neither an answer nor how
        often it comes tells the kinds apart.
        """
        rng = stream(self.seed, "recall", "answers")
        return dealt(computed, lambda i, value: value not in inputs[i], rng, "lexicon.values")
