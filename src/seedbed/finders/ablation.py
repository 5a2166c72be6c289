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
from seedbed.finders.measures import Measured
from seedbed.finders.part_effects import PartMeasure, among, claims_of
from seedbed.finders.parts import drawn, parts_of, replaced, swept, text_at, values_at
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject
from seedbed.models.tokens import readable

Key = tuple[str, tuple[str, ...]]
"""What is scored once: a prompt and its choices."""


class Ablation(Measured):
    """`swap` puts in values that other questions have there, `sweep` all of them (a grid where
    they are many numbers), `remove` nothing.
    """

    kind: str = "ablation"
    sites = SiteKind.INPUT
    method: Literal["swap", "sweep", "remove"] = "swap"
    measure: PartMeasure | tuple[PartMeasure, ...] = Field(
        default="flip", description="flip, drop, any; several: a row for each, from one pass"
    )
    draws: int = Field(default=8, ge=1, description="values tried at a part (swap)")
    points: int = Field(default=12, ge=2, description="numbers along an axis (sweep)")

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
        found: dict[tuple[int, str], list[Question]] = {}
        seen = {part: values_at(questions, part) for part in parts}
        if self.method != "remove":
            _refuse_single(questions, seen)
        for i, question in enumerate(questions):
            for part in question.places:
                changed = [
                    replaced(question, part, value)
                    for value in self._values(subject, question, part, seen[part])
                ]
                found[i, part] = [q for q in changed if q.prompt]
        every = sorted({q.prompt for changed in found.values() for q in changed})
        known = dict(zip(every, readable(subject.tokenizer, every), strict=True))
        tried = sum(map(len, found.values()))
        found = {place: [q for q in qs if known[q.prompt]] for place, qs in found.items()}
        kept = sum(map(len, found.values()))
        notes = {"substitutions": str(kept)}
        if kept < tried:
            notes["left out"] = (
                f"{tried - kept} of {tried} substitutions hold a token that the tokenizer does"
                " not know"
            )
        tried_at = {part for (_, part), qs in found.items() if qs}
        if fixed := [part for part in parts if part not in tried_at]:
            notes["untried"] = f"nothing else to put at {', '.join(fixed)}, which score 0"
        return found, notes

    def _values(
        self, subject: Subject, question: Question, part: str, seen: Sequence[str]
    ) -> list[str]:
        own = text_at(question, part)
        if self.method == "remove":
            return [""]
        if self.method == "sweep":
            return swept(own, seen, self.points)
        others = [value for value in seen if value != own]
        return drawn(subject.seed, question.id, others, self.draws)


def _key(question: Question) -> Key:
    return question.prompt, question.choices


def _refuse_single(questions: Sequence[Question], seen: dict[str, list[str]]) -> None:
    if len(questions) < 2:
        raise InputError(
            "values to put in come from other questions: at least two questions are needed"
        )
    if all(len(values) < 2 for values in seen.values()):
        raise InputError(
            f"no place has a second value in these {len(questions)} questions, so there is"
            " nothing to put in"
        )
