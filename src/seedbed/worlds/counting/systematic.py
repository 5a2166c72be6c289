"""Examples from the word lists alone: every label follows from the lists, words are used evenly."""

from collections.abc import Sequence

from seedbed.core.errors import InputError
from seedbed.core.seeds import stream
from seedbed.worlds.counting.decks import Deck
from seedbed.worlds.counting.examples import Example, Overlaps
from seedbed.worlds.counting.lists import Category, load
from seedbed.worlds.counting.wanted import Plan, Wanted

OTHERS = 0.6
"""Share of fillers that belong to no category; the rest are members of others."""
TRIES = 20


class Systematic:
    """Writes examples as planned; one set of decks over all of them, so words wear evenly."""

    def __init__(self, wanted: Wanted, seed: int) -> None:
        self.wanted, self.lists = wanted, load()
        self.rng = stream(seed, "counting", "systematic")
        listed = {w: None for c in self.lists.categories.values() for w in c.members}
        self.members = {name: self._deck(self._category(name).members) for name in wanted.names}
        self.listed = self._deck(list(listed))
        self.others = self._deck([w for w in self.lists.fields if w not in listed])

    def write(self, plans: Sequence[Plan], kept: Sequence[Example]) -> list[Example]:
        """An example for each plan, none too similar to another or to one that is kept.

        Raises InputError if the lists have too few words for that.
        """
        overlaps = Overlaps(kept)
        found = []
        for plan in plans:
            for _ in range(TRIES):
                example = self._example(plan)
                if overlaps.most(example.words) <= self.wanted.alike:
                    break
            else:
                raise InputError(
                    f"'{plan.category}': {TRIES} lists in turn were more than"
                    f" {self.wanted.alike} alike to others; ask for fewer examples or more"
                    " categories"
                )
            overlaps.add(example.words)
            found.append(example)
        return found

    def _example(self, plan: Plan) -> Example:
        category = self._category(plan.category)
        members = self.members[plan.category].deal(plan.count, lambda _: True)
        free = plan.length - plan.count
        others = sum(self.rng.random() < OTHERS for _ in range(free))
        words = members + self.others.deal(others, lambda w: self._fills(category, w))
        words += self.listed.deal(free - others, lambda w: self._fills(category, w), words)
        self.rng.shuffle(words)
        return Example(
            category=plan.category,
            words=tuple(words),
            num_target=plan.count,
            members=tuple(w for w in words if w in category.known),
        )

    def _fills(self, category: Category, word: str) -> bool:
        return self.lists.verdict(category, word) is False

    def _category(self, name: str) -> Category:
        return self.lists.categories[name]

    def _deck(self, words: Sequence[str]) -> Deck:
        return Deck(words, self.rng)
