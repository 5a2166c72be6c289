"""Ablation of the input: put something else at one part of the prompt and see what changes.

It asks the truth's own question, with the values that happen to be seen; whatever it does not
try, it cannot find.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.measures import ByMeasure
from seedbed.finders.part_effects import PartMeasure, among, claims_of, untried
from seedbed.finders.part_values import PartValues, drawn
from seedbed.finders.parts import parts_of, replaced
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject
from seedbed.models.tokens import readable

Key = tuple[str, tuple[str, ...]]
"""What is scored once: a prompt and its choices."""


class Ablation(ByMeasure):
    """`swap` puts in some values that other questions have there, `sweep` all of them (a grid
    where they are many numbers), `remove` nothing.
    """

    kind: str = "ablation"
    sites = SiteKind.INPUT
    method: Literal["swap", "sweep", "remove"] = "swap"
    measure: PartMeasure | tuple[PartMeasure, ...] = Field(
        default="flip", description="flip, drop, any; several: a row for each, from one pass"
    )
    draws: int = Field(default=8, ge=1, description="values tried at a part (swap)")
    points: int = Field(default=12, ge=2, description="numbers along an axis (sweep)")
    most: int = Field(default=256, ge=1, description="values of a part that are tried (sweep)")

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """Scores [questions, parts] of each measure, 0 where a question lacks a part.

        Every different prompt is scored once: at most questions × (1 + parts × values) of them,
        beginnings shared. A text that stays as it was does not count. Raises InputError for a
        question without places or choices, fewer than two questions to draw from, and if no
        part has a second value.
        """
        parts = parts_of(questions)
        wanted, notes = self._changed(subject, questions, parts)
        asked: dict[Key, Question] = {_key(q): q for q in questions}
        asked |= {_key(q): q for changed in wanted.values() for q in changed}
        scored = score_choices(subject, list(asked.values()))
        logprobs = {key: among(s.logprobs) for key, s in zip(asked, scored, strict=True)}
        effects = {place: [logprobs[_key(q)] for q in changed] for place, changed in wanted.items()}
        before = [logprobs[_key(q)] for q in questions]
        notes["scored"] = f"{len(asked)} prompts, for {notes.pop('substitutions')} substitutions"
        return claims_of(self.measures, questions, parts, before, effects, notes)

    def _changed(
        self, subject: Subject, questions: Sequence[Question], parts: Sequence[str]
    ) -> tuple[dict[tuple[int, str], list[Question]], dict[str, str]]:
        """(changed questions by question and part, notes); what cannot be read is left out."""
        values = self._values(subject.seed, questions)
        found = {
            (i, part): [replaced(questions[i], part, text) for text in texts]
            for (i, part), texts in values.items()
        }
        every = sorted({q.prompt for changed in found.values() for q in changed})
        known = dict(zip(every, readable(subject.tokenizer, every), strict=True))
        # Where all of a prompt was one part, taking it out leaves nothing to ask.
        known[""] = False
        tried = sum(map(len, found.values()))
        found = {place: [q for q in qs if known[q.prompt]] for place, qs in found.items()}
        kept = sum(map(len, found.values()))
        notes = {"substitutions": str(kept)}
        if kept < tried:
            notes["left out"] = (
                f"{tried - kept} of {tried} substitutions: they hold a token that the tokenizer"
                " does not know, or nothing at all"
            )
        return found, notes | untried(
            parts, [place for place, qs in found.items() if not qs], found
        )

    def _values(self, seed: int, questions: Sequence[Question]) -> dict[tuple[int, str], list[str]]:
        """The texts to put in, by question and part."""
        places = [(i, part) for i, q in enumerate(questions) for part in q.places]
        if self.method == "remove":
            return {place: [""] for place in places}
        if len(questions) < 2:
            raise InputError(
                "values to put in come from other questions: at least two questions are needed"
            )
        seen = PartValues(questions)
        points = self.points if self.method == "sweep" else 0
        found = {(i, part): seen.others(i, part, points) for i, part in places}
        if not any(found.values()):
            raise InputError(
                f"no place has a second value in these {len(questions)} questions, so there is"
                " nothing to put in"
            )
        most = self.draws if self.method == "swap" else self.most
        return {(i, part): drawn(seed, questions[i].id, others, most)
                for (i, part), others in found.items()}  # fmt: skip


def _key(question: Question) -> Key:
    return question.prompt, question.choices
