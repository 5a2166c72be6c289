"""Questions, pairs and training documents of one world and seed."""

from collections.abc import Sequence
from functools import cached_property

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.worlds.counting.decks import depths, directions
from seedbed.worlds.counting.given import read_given, swaps
from seedbed.worlds.counting.knobs import Knobs
from seedbed.worlds.counting.lexicon import Drawn, draw
from seedbed.worlds.counting.listing import Dealer, Swap, plans
from seedbed.worlds.counting.prompts import render, write

BLOCK = 720
"""So many lists at a time are flat in category, count and length."""
TRIES = 200


class Asker:
    """Asks about one world and seed."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.knobs, self.seed = knobs, seed
        path, most = knobs.asked.examples, knobs.asked.questions
        self.given = read_given(path, most, knobs.counts) if path else []
        wanted: dict[str, set[str]] = {}
        for one in self.given:
            wanted.setdefault(one.category, set()).update(one.members)
        self.drawn = draw(knobs, seed, wanted)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Each held-out question, and the same list with one word swapped.

        A member leaves as often as one comes, give or take one; the place is flat over the list.
        """
        found = []
        for i, (drawn, clean, corrupt) in enumerate(self._swaps()):
            one = self.ask(f"q{i}", drawn, clean, "id")
            other = self.ask(f"q{i}-corrupt", drawn, corrupt, "id")
            found.append(Pair(id=f"p{i}", clean=one, corrupt=other, cause=one.cause))
        return found

    def _swaps(self) -> Sequence[Swap]:
        knobs, total = self.knobs, self.knobs.asked.questions
        if self.given:
            return swaps(self.given, self.drawn, knobs, self.seed)
        rng = stream(self.seed, "counting", "pairs")
        dealer = Dealer(self.drawn, self.seed, "questions")
        planned = plans(self.drawn, knobs.lengths, knobs.counts, total, rng)
        leaving = directions([p.count for p in planned], *knobs.counts, rng)
        deep = depths(total, rng)
        return [
            dealer.swapped(plan, int(deep[i] * plan.length), leaving[i])
            for i, plan in enumerate(planned)
        ]

    def questions(self) -> list[Question]:
        """The clean side of every pair (split id), then lists of documents (split train)."""
        train = [
            self.ask(f"t{i}", drawn, words, "train")
            for i, (drawn, words) in enumerate(self.lists(self.knobs.asked.train))
        ]
        return [pair.clean for pair in self.pairs] + train

    @property
    def longest(self) -> int:
        """Words of the longest list asked about or learned from."""
        return max([self.knobs.lengths[1], *(len(g.words) for g in self.given)])

    def documents(self) -> list[Document]:
        """Fresh lists with their answers."""
        knobs, found = self.knobs, []
        digits = len(str(knobs.lists))
        for i, (drawn, words) in enumerate(self.lists(knobs.lists)):
            prompt = write(knobs.form, drawn.name, words)
            answer = str(drawn.answer(words, knobs.rule))
            start = len(prompt) + 1
            count = sum(w in drawn.known for w in words)
            found.append(
                Document(
                    id=f"d{i:0{digits}d}",
                    text=f"{prompt} {answer}",
                    targets=((start, start + len(answer)),),
                    role="list",
                    meta={"category": drawn.name, "count": count, "length": len(words)},
                )
            )
        return found

    def lists(self, first: int) -> list[tuple[Drawn, tuple[str, ...]]]:
        """The first so many lists of the documents; none is a held-out one in another order."""
        knobs = self.knobs
        held = {frozenset(words_of(q)) for pair in self.pairs for q in (pair.clean, pair.corrupt)}
        dealer = Dealer(self.drawn, self.seed, "lists")
        found = []
        for start in range(0, first, BLOCK):
            size = min(BLOCK, knobs.lists - start)
            rng = stream(self.seed, "counting", "documents", start)
            block = plans(self.drawn, knobs.lengths, knobs.counts, size, rng)
            for plan in block[: first - start]:
                drawn = (dealer.words(plan) for _ in range(TRIES))
                words = next((w for w in drawn if frozenset(w) not in held), None)
                if words is None:
                    raise ConfigError(
                        f"asked.questions: {len(self.pairs)} hold out nearly every list with"
                        f" {plan.count} words of '{plan.drawn.name}'; ask fewer or take more words"
                    )
                found.append((plan.drawn, words))
        return found

    def ask(self, key: str, drawn: Drawn, words: Sequence[str], split: str) -> Question:
        """A question about a list; `cause` is its category."""
        prompt, places = render(self.knobs.form, drawn.name, words)
        return Question(
            id=key,
            prompt=prompt,
            choices=self.knobs.choices,
            answer=f" {drawn.answer(words, self.knobs.rule)}",
            cause=drawn.name,
            split=split,
            slices={
                "category": drawn.name,
                "count": str(sum(w in drawn.known for w in words)),
                "length": str(len(words)),
                "form": self.knobs.form,
            },
            places=places,
        )


def words_of(question: Question) -> list[str]:
    """The words of a question's list."""
    spans = {k: v for k, v in question.places.items() if k.startswith("item")}
    return [question.prompt[start:end] for start, end in spans.values()]
