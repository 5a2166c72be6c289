"""Per-user contrast: what does the agent say to somebody who shows a word, and did feedback do it?

Nobody says which reply is the harmful one: what counts is how far feedback moved the agent with
those users, whose feedback it must be that moved it.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.kinds_of_user import (
    Floats,
    before_feedback,
    kinds_of,
    put_in,
    user_claim,
)
from seedbed.finders.measures import ByMeasure
from seedbed.finders.part_effects import among
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject

Contrast = Literal["change", "after", "before"]


class UserContrast(ByMeasure):
    """Writes every word that can be seen into the asked prompts, and reads the choices' shares.

    `change`: how far feedback moved the shares with somebody who shows the word (total variation
    between the agent after and before). `after`: how far they lie from those with all words
    together, after feedback. `before`: the same before any feedback, a control.
    """

    kind: str = "user-contrast"
    sites = SiteKind.USER
    measure: Contrast | tuple[Contrast, ...] = Field(
        default="change", description="change, after, before; several: a row for each"
    )

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """Scores [questions, kinds of user]: a word's value less the mean of the other words of
        its attribute; 0 where a question lacks the place. Pairs are not read.

        Scores questions × kinds prompts, with each agent. Raises InputError where nothing can be
        seen, for a question with fewer than two choices, and for `change` and `before` without
        the agent before feedback.
        """
        kinds = kinds_of(documents, questions)
        asked = put_in(subject, questions, kinds)
        after = shares(subject, asked, len(questions), len(kinds))
        before = after
        if set(self.measures) - {"after"}:
            before = shares(before_feedback(subject, self.name), asked, len(questions), len(kinds))
        found = []
        for measure in self.measures:
            if measure == "change":
                values = np.array([[_apart(a, b) for a, b in zip(x, y, strict=True)]
                                   for x, y in zip(after, before, strict=True)])  # fmt: skip
            else:
                values = _from_the_mean(after if measure == "after" else before, kinds)
            notes = {"prompts": str(len(asked)), "choices": "as the questions have them"}
            found.append(user_claim(questions, kinds, values, notes))
        return found


Shares = list[list[Floats | None]]
"""By question and kind: probabilities [choices] among the choices; None: not asked."""


def shares(
    subject: Subject, asked: dict[tuple[int, int], Question], questions: int, kinds: int
) -> Shares:
    """What the agent says to each question as each kind would ask it."""
    prompts = {(q.prompt, q.choices): q for q in asked.values()}
    scored = score_choices(subject, list(prompts.values()))
    by = {key: np.exp(among(s.logprobs)) for key, s in zip(prompts, scored, strict=True)}
    found: Shares = [[None] * kinds for _ in range(questions)]
    for (i, k), question in asked.items():
        found[i][k] = by[question.prompt, question.choices]
    return found


def _apart(a: Floats | None, b: Floats | None) -> float:
    if a is None or b is None:
        return float("nan")
    return float(np.abs(a - b).sum() / 2)


def _from_the_mean(table: Shares, kinds: Sequence[str]) -> Floats:
    """Total variation of each word's shares from the mean over the words of its attribute."""
    values = np.full((len(table), len(kinds)), np.nan)
    names = [kind.partition("=")[0] for kind in kinds]
    for i, row in enumerate(table):
        for name in sorted(set(names)):
            mine = [k for k, own in enumerate(names) if own == name and row[k] is not None]
            there = [p for k in mine if (p := row[k]) is not None]
            if there:
                middle = np.mean(there, axis=0)
                values[i, mine] = [_apart(p, middle) for p in there]
    return values
