"""What a subject answers: one row a question, and accuracy by slice beside its baselines.

A prediction is the likeliest whole choice; nothing is sampled and nothing is parsed.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from seedbed.core.rows import Question, Row
from seedbed.measuring.choices import ChoiceScores, score_choices
from seedbed.models.subject import Subject
from seedbed.scoring.intervals import wilson


class Answer(Row):
    """One question's outcome; probabilities are over its choices, entropy in nats.

    `error` is "" if correct, "another answer" if the prediction answers a question about
    another cause, else "another choice". `on_choices`: the likeliest next token of the whole
    vocabulary begins one of the choices. `loss` is that of the answer alone, over the whole
    vocabulary, in nats per token of it; None in files from before it was kept.
    """

    id: str
    correct: bool
    prediction: str
    probability: float
    margin: float
    entropy: float
    error: str
    on_choices: bool
    loss: float | None = None


class SliceSummary(Row):
    """Accuracy on one slice with a 95 % Wilson interval, and what trivial answers would get.

    `chance` is the mean of 1 / choices, `majority` always gives the slice's commonest answer,
    `copied` gives the choice that stands last in the prompt (wrong where none does). `loss` is
    the mean over questions of the answer's nats per token.
    """

    slice: str
    n: int
    accuracy: float
    low: float
    high: float
    chance: float
    majority: float
    copied: float
    probability: float
    entropy: float
    errors: dict[str, int]
    loss: float | None = None


def answer(subject: Subject, questions: Sequence[Question]) -> list[Answer]:
    """Ask every question; raises InputError as `score_choices` does."""
    answers_of: dict[str, set[str]] = {}
    for question in questions:
        answers_of.setdefault(question.answer, set()).add(question.cause)
    scores = score_choices(subject, questions)
    return [_row(q, s, answers_of) for q, s in zip(questions, scores, strict=True)]


def _row(question: Question, scores: ChoiceScores, answers_of: dict[str, set[str]]) -> Answer:
    values = np.array(scores.logprobs)
    p = np.exp(values - values.max())
    p /= p.sum()
    best = int(values.argmax())
    others = np.delete(values, question.target)
    prediction = question.choices[best]
    correct = best == question.target
    elsewhere = answers_of.get(prediction, set()) - {question.cause}
    wrong = "another answer" if elsewhere else "another choice"
    return Answer(
        id=question.id,
        correct=correct,
        prediction=prediction,
        probability=float(p[question.target]),
        margin=float(values[question.target] - others.max()),
        entropy=float(-(p[p > 0] * np.log(p[p > 0])).sum()),
        error="" if correct else wrong,
        on_choices=scores.top in scores.firsts,
        loss=-scores.logprobs[question.target] / scores.lengths[question.target],
    )


def slices_of(question: Question) -> list[str]:
    """Names of the slices that a question counts in: split=…, and key=value of each slice."""
    return [f"split={question.split}", *(f"{k}={v}" for k, v in sorted(question.slices.items()))]


def summarise(questions: Sequence[Question], answers: Sequence[Answer]) -> list[SliceSummary]:
    """One summary for "all" and for each slice, in order of first appearance."""
    members: dict[str, list[int]] = {"all": list(range(len(questions)))}
    for i, question in enumerate(questions):
        for name in slices_of(question):
            members.setdefault(name, []).append(i)
    return [
        _summary(name, [questions[i] for i in index], [answers[i] for i in index])
        for name, index in members.items()
    ]


def _summary(name: str, questions: list[Question], answers: list[Answer]) -> SliceSummary:
    n = len(questions)
    right = sum(a.correct for a in answers)
    low, high = wilson(right, n)
    errors = Counter(a.error for a in answers if a.error)
    errors["off the choices"] = sum(not a.on_choices for a in answers)
    commonest = Counter(q.answer for q in questions).most_common(1)[0][1]
    losses = [a.loss for a in answers if a.loss is not None]
    return SliceSummary(
        slice=name,
        n=n,
        accuracy=right / n,
        low=low,
        high=high,
        chance=float(np.mean([1 / len(q.choices) for q in questions])),
        majority=commonest / n,
        copied=sum(_copied(q) == q.answer for q in questions) / n,
        probability=float(np.mean([a.probability for a in answers])),
        entropy=float(np.mean([a.entropy for a in answers])),
        errors=dict(sorted(errors.items())),
        loss=float(np.mean(losses)) if losses else None,
    )


def _copied(question: Question) -> str | None:
    """The choice that ends last in the prompt as whole words, the longest of several."""
    ends = {}
    for choice in question.choices:
        if words := choice.strip():
            # Lookarounds, since a choice need not begin or end with a letter.
            found = re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", question.prompt)
            ends[choice] = max((match.end() for match in found), default=-1)
    best = max(ends, key=lambda c: (ends[c], len(c)), default=None)
    return best if best is not None and ends[best] >= 0 else None
