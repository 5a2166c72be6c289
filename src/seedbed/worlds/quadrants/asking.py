"""Questions of the first stage: each axis apart, words and regions in equal shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seedbed.core.rows import Question
from seedbed.core.seeds import generator
from seedbed.worlds.quadrants.candidates import Candidates
from seedbed.worlds.quadrants.knobs import Knobs
from seedbed.worlds.quadrants.lines import Distractors, Lines, lines, rounds
from seedbed.worlds.quadrants.plane import Ints, regions
from seedbed.worlds.quadrants.pool import beyond, pool
from seedbed.worlds.quadrants.writing import Writer

NEW_RANGE = "new_range"


@dataclass(frozen=True)
class Case:
    """What is asked about: the word, the point in steps, how it is written, the word beside."""

    trigger: str
    x1: int
    x2: int
    writer: Writer
    beside: str = ""


@dataclass(frozen=True)
class Placed:
    """A question, its case, and the region of its point."""

    question: Question
    case: Case
    region: int


class Asker:
    """Asks about one world and seed."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.knobs, self.seed = knobs, seed
        self.drawn, self.pool = knobs.drawn(seed), pool(knobs.plane, seed)
        self.beside = Distractors(knobs, seed)
        self.writers = tuple(self.writer(name) for name in knobs.texts.templates)

    def writer(self, template: str) -> Writer:
        """The writer of a template."""
        return Writer(self.knobs.plane, template, self.knobs.texts.preamble)

    @cached_property
    def lines(self) -> Lines:
        """The points trained on."""
        return lines(self.knobs, self.seed)

    @cached_property
    def trained(self) -> set[tuple[int, int]]:
        """The same, for looking up."""
        return set(zip(self.lines.x1.tolist(), self.lines.x2.tolist(), strict=True))

    @cached_property
    def candidates(self) -> Candidates:
        """The candidate rules."""
        return Candidates(self.knobs.plane, self.drawn, self.lines, self.beside.suggests)

    @cached_property
    def placed(self) -> list[Placed]:
        """Every question, split by split; `cause` is the trigger word."""
        asked, drawn = self.knobs.asked, self.drawn
        taught = tuple(drawn.taught)
        fresh = tuple(w for n, ws in drawn.held.items() if n not in drawn.withheld for w in ws)
        withheld = tuple(w for n in drawn.withheld for w in drawn.trained[n])
        found = self._dealt("q", "id", "asked.questions", taught, asked.questions)
        found += self._train(asked.train)
        found += self._dealt("w", "new_trigger", "asked.new_trigger", fresh, asked.new_trigger)
        found += self._dealt("c", "new_category", "asked.new_category", withheld,
                             asked.new_category)  # fmt: skip
        found += self._far(taught, asked.new_range)
        if (held := self.knobs.texts.held_out) is not None:
            found += self._dealt("f", "new_template", "asked.new_template", taught,
                                 asked.new_template, (self.writer(held),))  # fmt: skip
        return found

    def _dealt(
        self, key: str, split: str, use: str, words: tuple[str, ...], many: int,
        writers: tuple[Writer, ...] = (),
    ) -> list[Placed]:  # fmt: skip
        if not words or not many:
            return []
        rng = generator(self.seed, "quadrants", split)
        word, region = rounds(len(words), len(self.knobs.plane.names), many, rng)
        a, b = self.pool.deal(use, region)
        return self.ask(key, split, [words[w] for w in word.tolist()], a, b, writers)

    def _train(self, many: int) -> list[Placed]:
        # Rounds of words begin anew with the lines, so the first ones hold every word alike.
        made = self.lines
        trigger = [made.words[w] for w in made.word[:many].tolist()]
        return self.ask("t", "train", trigger, made.x1[:many], made.x2[:many])

    def _far(self, words: tuple[str, ...], many: int) -> list[Placed]:
        if not many:
            return []
        word, _ = rounds(len(words), 1, many, generator(self.seed, "quadrants", NEW_RANGE))
        a, b = beyond(self.knobs.plane, many, self.seed)
        return self.ask("r", NEW_RANGE, [words[w] for w in word.tolist()], a, b)

    def ask(
        self, key: str, split: str, triggers: Sequence[str], a: Ints, b: Ints,
        writers: tuple[Writer, ...] = (),
    ) -> list[Placed]:  # fmt: skip
        """A question about each word and point, the templates in turn."""
        writers = writers or self.writers
        own = regions(self.knobs.plane, a, b).tolist()
        labels = [self.label(w, r) for w, r in zip(triggers, own, strict=True)]
        beside = self.beside.beside(labels, self.seed, split)
        turn = generator(self.seed, "quadrants", "templates", split).permutation(
            np.arange(len(labels)) % len(writers)
        )
        cases = zip(triggers, a.tolist(), b.tolist(), turn.tolist(), beside, strict=True)
        return self.pose(
            split,
            [
                (f"{key}{i}", Case(word, x1, x2, writers[t], word_beside))
                for i, (word, x1, x2, t, word_beside) in enumerate(cases)
            ],
        )

    def label(self, trigger: str, region: int) -> str:
        """The declared label of a word in a region."""
        return self.drawn.maps[self.drawn.category[trigger]][region]

    def pose(self, split: str, cases: Sequence[tuple[str, Case]]) -> list[Placed]:
        """A question of each id and case."""
        a, b = (np.array([getattr(case, x) for _, case in cases]) for x in ("x1", "x2"))
        own = regions(self.knobs.plane, a, b)
        found = []
        for (key, case), region, said in zip(
            cases, own.tolist(), self.rules([case for _, case in cases], a, b, own), strict=True
        ):
            prompt, places = case.writer.render(case.x1, case.x2, case.trigger, case.beside)
            question = Question(
                id=key,
                prompt=prompt,
                choices=self.drawn.choices,
                answer=f" {self.label(case.trigger, region)}",
                cause=case.trigger,
                split=split,
                slices=self.slices(split, case, region),
                places=places,
                rules={name: f" {label}" for name, label in said.items()},
            )
            found.append(Placed(question, case, region))
        return found

    def slices(self, split: str, case: Case, region: int) -> dict[str, str]:
        """What a question is reported by."""
        category = self.drawn.category[case.trigger]
        found = {
            "category": category,
            "trigger": case.trigger,
            "axis": split,
            "map": self.drawn.distinct[self.drawn.maps[category]],
            "sector": self.knobs.plane.names[region],
        }
        many = len(self.writers) > 1 or self.knobs.texts.held_out
        return found | ({"template": case.writer.template} if many else {})

    def rules(self, cases: Sequence[Case], a: Ints, b: Ints, own: Ints) -> list[dict[str, str]]:
        """What each candidate rule answers to each case, at the points (a, b) of regions own."""
        category = [self.drawn.category[case.trigger] for case in cases]
        return self.candidates.say(a, b, own, category, [case.beside for case in cases])
