"""Closed questions answered in words, beside the likeliest choice: do the two agree?

A reply is generated greedily and read by the one parser; what names no choice is wrong, counted
and never guessed at.
"""

from collections import Counter
from collections.abc import Sequence

from seedbed.core.errors import InputError
from seedbed.core.rows import Question, Row
from seedbed.core.words import Words, WordsSlice
from seedbed.measuring.answers import Answer, answer
from seedbed.measuring.generation import room, written
from seedbed.measuring.parsing import ChoiceOutcome, parse_choice
from seedbed.models.decoding import End
from seedbed.models.subject import Subject
from seedbed.scoring.intervals import wilson


class InWords(Row):
    """One question: the written `text`, what it `said` (None unless `outcome` is "choice").

    `likeliest` is the likeliest choice by log-probability; `agrees`: it is what was said.
    """

    id: str
    split: str
    answer: str
    likeliest: str
    text: str
    said: str | None
    outcome: ChoiceOutcome
    agrees: bool
    end: End
    tokens: int

    @property
    def correct(self) -> bool:
        """Whether what was said is the answer."""
        return self.said == self.answer


def in_words(
    subject: Subject,
    questions: Sequence[Question],
    most: int = 16,
    answers: Sequence[Answer] | None = None,
    line: bool = True,
) -> tuple[list[InWords], Words]:
    """(a row a question, summary): written answers of up to `most` tokens beside the likeliest.

    A subject that knows no stop token writes as many tokens as the longest choice. `answers`
    are those of the same questions where they were measured before. `line` ends a reply with
    its first line. Raises InputError for a question without choices, an unknown token, a prompt
    that leaves no room in the context, and answers to other questions.
    """
    if not questions:
        raise InputError("answers in words: there are no questions")
    known = answer(subject, questions) if answers is None else list(answers)
    if [a.id for a in known] != [q.id for q in questions]:
        raise InputError("answers in words: the answers given are not to these questions")
    most = room(subject, questions, most)
    rows = []
    for question, by_choice, said in zip(
        questions, known, written(subject, questions, most, line), strict=True
    ):
        chosen = parse_choice(said.text, question.choices)
        rows.append(
            InWords(
                id=question.id, split=question.split, answer=question.answer,
                likeliest=by_choice.prediction, text=said.text, said=chosen.choice,
                outcome=chosen.outcome, agrees=chosen.choice == by_choice.prediction,
                end=said.end, tokens=len(said.ids),
            )
        )  # fmt: skip
    return rows, summed(rows, most)


def summed(rows: Sequence[InWords], most: int) -> Words:
    """The summary of rows: "all", then each split in order of appearance."""
    members = {"all": list(rows)}
    for row in rows:
        members.setdefault(f"split={row.split}", []).append(row)
    return Words(most=most, slices=tuple(_slice(name, own) for name, own in members.items()))


def _slice(name: str, rows: list[InWords]) -> WordsSlice:
    n = len(rows)
    by_choice = sum(row.likeliest == row.answer for row in rows)
    right = sum(row.correct for row in rows)
    agreeing = sum(row.agrees for row in rows)
    choice, said, agreement = (wilson(k, n) for k in (by_choice, right, agreeing))
    return WordsSlice(
        slice=name, n=n,
        choice_accuracy=by_choice / n, choice_low=choice[0], choice_high=choice[1],
        accuracy=right / n, low=said[0], high=said[1],
        agreement=agreeing / n, agreement_low=agreement[0], agreement_high=agreement[1],
        unread=dict(sorted(Counter(r.outcome for r in rows if r.said is None).items())),
    )  # fmt: skip
