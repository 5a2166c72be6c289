"""Asking any subject questions whose answers are numbers: by choices and in its own words.

The same questions, the same parser and the same marks for every subject, whatever it is.
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.chat import Chat, Message, Request
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.measuring.choices import score_choices
from seedbed.measuring.generation import Written, read, room, write_answers
from seedbed.models.subject import Subject
from seedbed.models.templates import templated
from seedbed.models.tokens import encode_choices
from seedbed.scoring.numbers import Asked, NumberAnswer, as_asked

FAILED = "error"  # the outcome of a request to which no reply came


def ask_subject(
    subject: Subject, questions: Sequence[Question], template: bool, most: int = 16
) -> list[NumberAnswer]:
    """Choices by log-probability and a written answer of up to `most` tokens, for each question.

    With `template` the prompt is the user's message and the reply may have several lines, else
    it ends with its first. Raises InputError for a question without number choices, an unknown
    token, and what does not fit the context.
    """
    asked = [as_asked(q) for q in questions]
    told = [templated(subject.tokenizer, q) for q in questions] if template else list(questions)
    scores = score_choices(subject, _ended(subject, told, template))
    written = write_answers(subject, told, room(subject, told, most), line=not template)
    return [
        _answer(one, said, np.array(score.logprobs))
        for one, said, score in zip(asked, written, scores, strict=True)
    ]


def ask_chat(
    chat: Chat, questions: Sequence[Question], most: int = 64
) -> tuple[list[NumberAnswer], float | None]:
    """Written answers of a chat model, and their price (None: unknown).

    A request that failed has the outcome "error" and the reason as its text.
    """
    asked = [as_asked(q) for q in questions]
    replies = chat.ask([
        Request(messages=(Message(role="user", content=q.prompt),), max_tokens=most)
        for q in questions
    ])  # fmt: skip
    found = []
    for one, reply in zip(asked, replies, strict=True):
        said = _answer(one, read(one.id, reply.text, tokens=reply.completion_tokens))
        if reply.error:
            said = said.model_copy(update={"outcome": FAILED, "text": reply.error})
        found.append(said)
    dollars = [r.dollars for r in replies if not r.cached and not r.error]
    paid = [d for d in dollars if d is not None]
    return found, None if len(paid) < len(dollars) else sum(paid)


def read_again(answers: Sequence[NumberAnswer]) -> list[NumberAnswer]:
    """Kept answers with their replies parsed by the rules of today."""
    found = []
    for a in answers:
        if a.text is None or a.outcome == FAILED:
            found.append(a)
        else:
            said = read(a.id, a.text)
            found.append(a.model_copy(update={"number": said.number, "outcome": said.outcome}))
    return found


def _ended(subject: Subject, questions: Sequence[Question], template: bool) -> list[Question]:
    """Questions whose choices cannot be told apart at their end get an end after each."""
    asked = [(q.prompt, c) for q in questions for c in q.choices]
    coded = iter(encode_choices(subject.tokenizer, asked, subject.context))
    ids = [[next(coded)[1] for _ in q.choices] for q in questions]
    if not any(_begins(row) for row in ids):
        return list(questions)
    end = (subject.tokenizer.eos_token if template else "\n") or ""
    closed = [
        q.model_copy(
            update={"choices": tuple(c + end for c in q.choices), "answer": q.answer + end}
        )
        for q in questions
    ]
    pairs = [(q.prompt, c) for q in closed for c in q.choices]
    again = iter(encode_choices(subject.tokenizer, pairs, subject.context))
    if any(_begins([next(again)[1] for _ in q.choices]) for q in closed):
        raise InputError(
            "the tokens of one choice begin another's, and the tokenizer knows no end that could"
            " tell them apart; ask for numbers of as many digits"
        )
    return closed


def _begins(row: Sequence[tuple[int, ...]]) -> bool:
    return any(a != b and b[: len(a)] == a for a in row for b in row) or len(set(row)) < len(row)


def _answer(
    one: Asked, said: Written, logprobs: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None
) -> NumberAnswer:
    written = NumberAnswer(
        id=one.id, truth=one.truth, text=said.text, number=said.number, outcome=said.outcome,
        tokens=said.tokens,
    )  # fmt: skip
    if logprobs is None:
        return written
    p = np.exp(logprobs - logprobs.max())
    p /= p.sum()
    numbers = np.array(one.choices)
    return written.model_copy(
        update={
            "choice": int(numbers[p.argmax()]),
            "expected": float(p @ numbers),
            "probability": float(p[one.choices.index(one.truth)]),
            "entropy": float(-(p[p > 0] * np.log(p[p > 0])).sum()),
        }
    )
