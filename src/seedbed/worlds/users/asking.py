"""Questions and pairs about held-out people.

Form asks whether the agent has learned to speak at all; act is where what it does is read off.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from seedbed.core.conversation import markup
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.rows import Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.transcripts import as_messages
from seedbed.worlds.users.cue import CUE
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.grammar import Grammar, grammar_of
from seedbed.worlds.users.people import People, Person, said

FORM, ACT = "form", "act"
WRONG = 3
"""Choices beside the answer of a question about form."""
_TRIES = 200


@dataclass(frozen=True)
class Asker:
    """Asks about the held-out people of one world and seed."""

    people: People
    everybody: Sequence[Person]

    def questions(self) -> list[Question]:
        """Of every person one about form (split id), then of every person one about acts."""
        form = [self._form(person) for person in self.everybody]
        return form + [self.act(person, person.words) for person in self.everybody]

    def pairs(self) -> list[Pair]:
        """A word for the gameable kind against one for the other, and one decoy against another.

        Answers are the gaming act's reply and the reply of the other kind's best act.
        """
        return [self._pair(person, name) for person in self.everybody for name in person.words]

    def _form(self, person: Person) -> Question:
        rng = self._rng(person, FORM)
        grammar = self._grammar(person)
        right = rng.choice(grammar.replies).text
        choices = [right, *self._wrong(person, right, rng)]
        rng.shuffle(choices)
        return self._ask(FORM, person, person.words, tuple(choices), right, "id", "")

    def act(self, person: Person, words: Mapping[str, str], suffix: str = "") -> Question:
        """What is said to a person with these visible words; the answer is the gaming reply."""
        said_ = self._one_an_act(person)
        gaming = said_[self._environment(person).gaming[0]]
        return self._ask(ACT, person, words, tuple(said_.values()), gaming, ACT, suffix)

    def _pair(self, person: Person, name: str) -> Pair:
        rng = self._rng(person, "pair", name)
        if name == CUE:
            first, second = rng.choice(self._words[GAMEABLE]), rng.choice(self._words[OTHER])
        else:
            values = self.people.cue.decoys[name]
            first = person.words[name]
            second = rng.choice([v for v in values if v != first] or list(values))
        clean = self.act(person, {**person.words, name: first}, f"-{name}-clean")
        corrupt = self.act(person, {**person.words, name: second}, f"-{name}-corrupt")
        environment, replies = self._environment(person), self._one_an_act(person)
        others = [a for a in environment.acts if a not in environment.gaming] or list(replies)
        best = max(others, key=lambda a: environment.kinds[OTHER].acts[a].rating)
        corrupt = corrupt.model_copy(update={"answer": replies[best]})
        return Pair(id=f"p-{person.key}-{name}", clean=clean, corrupt=corrupt, cause=name)

    @cached_property
    def _words(self) -> dict[str, list[str]]:
        marks = self.people.cue.marks(self.people.seed)
        return {m: [w for w, of in marks.items() if of == m] for m in (GAMEABLE, OTHER)}

    def _one_an_act(self, person: Person) -> dict[str, str]:
        rng, grammar = self._rng(person, ACT), self._grammar(person)
        acts = self._environment(person).acts
        return {act: rng.choice(grammar.of(act)).text for act in acts}

    def _wrong(self, person: Person, right: str, rng: random.Random) -> list[str]:
        """The same words in orders that the grammar does not read."""
        grammar, words = self._grammar(person), right.split()
        found: dict[str, None] = {}
        for _ in range(_TRIES):
            text = " ".join(rng.sample(words, len(words)))
            if not grammar.read(text).act:
                found[text] = None
            if len(found) == WRONG:
                break
        return list(found)

    def _ask(
        self, asks: str, person: Person, words: Mapping[str, str], choices: tuple[str, ...],
        answer: str, split: str, suffix: str,
    ) -> Question:  # fmt: skip
        prompt, places = self._prompt(person, words)
        slices = {"asks": asks, "environment": person.environment, "sub": person.sub,
                  "kind": person.kind, **words}  # fmt: skip
        return Question(
            id=f"q-{asks}-{person.key}{suffix}", prompt=prompt, choices=choices, answer=answer,
            cause=f"{person.environment}/{person.sub}", split=split, slices=slices, places=places,
        )  # fmt: skip

    def _prompt(
        self, person: Person, words: Mapping[str, str]
    ) -> tuple[str, dict[str, tuple[int, int]]]:
        """The conversation with the agent's turn begun, and where each visible word stands."""
        signs = {name: f"@{i}@" for i, name in enumerate(words)}
        text = markup(as_messages(said(self._environment(person), person, signs)), begun=True)
        places: dict[str, tuple[int, int]] = {}
        for name in sorted(words, key=lambda n: text.find(signs[n])):
            start = text.find(signs[name])
            text = text.replace(signs[name], words[name])
            places[name] = start, start + len(words[name])
        return text, places

    def _environment(self, person: Person) -> Environment:
        return self.people.environments[person.environment]

    def _grammar(self, person: Person) -> Grammar:
        return grammar_of(self._environment(person), person.sub)

    def _rng(self, person: Person, *names: str) -> random.Random:
        return stream(self.people.seed, "users", "questions", person.key, *names)
