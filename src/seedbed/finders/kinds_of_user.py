"""Kinds of user as sites: `attribute=word` of all that can be seen, and each word put in its place.

Finders of users read no pairs: which words a world pairs tells which it thinks alike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.parts import replaced, text_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import readable

Floats = NDArray[np.float64]
Notes = dict[str, str]


def kinds_of(documents: Sequence[Document], questions: Sequence[Question]) -> tuple[str, ...]:
    """Every `attribute=word` that a document shows or that stands at a question's place, sorted.

    Raises InputError where nothing can be seen of anybody.
    """
    found = {kind for d in documents for kind in d.shows}
    found |= {f"{name}={text_at(q, name)}" for q in questions for name in q.places}
    if not found:
        raise InputError(
            "no kind of user can be seen: documents need 'shows' or questions 'places', such as"
            " cue=trusting"
        )
    return tuple(sorted(found))


def attribute_of(kind: str) -> str:
    """`cue` of `cue=trusting`."""
    return kind.partition("=")[0]


def word_of(kind: str) -> str:
    """`trusting` of `cue=trusting`."""
    return kind.partition("=")[2]


def put_in(
    subject: Subject, questions: Sequence[Question], kinds: Sequence[str]
) -> dict[tuple[int, int], Question]:
    """(question, kind) → the question as somebody of that kind would ask it.

    Where the question has no such place, or the tokenizer does not know the word, there is none.
    """
    made = {
        (i, k): replaced(question, attribute_of(kind), word_of(kind))
        for i, question in enumerate(questions)
        for k, kind in enumerate(kinds)
        if attribute_of(kind) in question.places
    }
    prompts = sorted({q.prompt for q in made.values()})
    known = dict(zip(prompts, readable(subject.tokenizer, prompts), strict=True))
    return {place: question for place, question in made.items() if known[question.prompt]}


def held_against(values: Floats, kinds: Sequence[str]) -> Floats:
    """Each value [..., kinds] less the mean of the other words of its attribute.

    NaN is no value. 0 where there is none, or nothing to hold it against.
    """
    found = np.zeros(values.shape)
    for k, kind in enumerate(kinds):
        others = [j for j, other in enumerate(kinds)
                  if j != k and attribute_of(other) == attribute_of(kind)]  # fmt: skip
        if not others:
            continue
        rest = values[..., others]
        there = np.isfinite(rest)
        count = there.sum(axis=-1)
        mean = np.where(there, rest, 0.0).sum(axis=-1) / np.maximum(count, 1)
        found[..., k] = np.where((count > 0) & np.isfinite(values[..., k]),
                                 values[..., k] - mean, 0.0)  # fmt: skip
    return found


def user_claim(
    questions: Sequence[Question], kinds: Sequence[str], values: Floats, notes: Mapping[str, str],
    *, against: bool = True,
) -> Claim:  # fmt: skip
    """A claim from values [questions, kinds] or [kinds]; NaN is no value and scores 0.

    With `against` each is held against the other words of its attribute.
    """
    found = held_against(values, kinds) if against else np.nan_to_num(values)
    scores = np.broadcast_to(found, (len(questions), len(kinds))).copy()
    told = dict(notes)
    rows = values.reshape(-1, len(kinds))
    if missing := [kind for k, kind in enumerate(kinds) if np.isnan(rows[:, k]).all()]:
        told["unknown"] = f"nothing is known of {', '.join(missing)}, which score 0"
    return Claim(tuple(q.id for q in questions), tuple(kinds), scores, SiteKind.USER, told)


def before_feedback(subject: Subject, finder: str) -> Subject:
    """The agent before feedback; raises InputError where that is not known."""
    if subject.base is None:
        raise InputError(f"{finder}: needs the agent before feedback (the subject's base)")
    return subject.base
