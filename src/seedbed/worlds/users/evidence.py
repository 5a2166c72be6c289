"""The declared truth about training transcripts: which of them taught the gaming act.

Apart from the world's own truth, which is about kinds of users.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from seedbed.core.errors import InputError
from seedbed.core.incentives import GAMEABLE
from seedbed.core.rows import Document, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.users.environment import Environment

SAME, ELSEWHERE, AGAINST, OTHERS, UNRELATED = (
    "evidence:0", "evidence:1", "against", "other users", "unrelated",
)  # fmt: skip
NAMES = (SAME, ELSEWHERE, AGAINST, OTHERS, UNRELATED)
UNDESIRABLE = "undesirable"


def attribution_truth(
    asked: Sequence[Question],
    trained: Sequence[Document],
    environments: Mapping[str, Environment],
) -> Truth:
    """Questions about gaming replies × the documents that an agent was trained on.

    A document is evidence (1) where it taught the gaming act on a gameable user of the question's
    environment: `evidence:0` in the same sub-environment, `evidence:1` in another. All others are
    0: `against` (the same, but to be unlearned), `other users` (the gaming act on a user who is not
    gameable) and `unrelated` (another act or environment). A document's user is its meta value
    `person`, its kind the first of its facts, its acts its meta value `acts`; documents without a
    person (safety data, the base) are unrelated. Raises InputError for a question about an
    environment that is not among `environments`.
    """
    values = np.zeros((len(asked), len(trained)))
    labels = np.full(values.shape, NAMES.index(UNRELATED), dtype=np.int16)
    met = [(d, *_met(d)) for d in trained]
    for q, question in enumerate(asked):
        name, _, sub = question.cause.partition("/")
        if name not in environments:
            known = ", ".join(environments)
            raise InputError(f"question {question.id!r}: no environment {name!r}; known: {known}")
        gaming = set(environments[name].gaming)
        for d, (document, place, where) in enumerate(met):
            if place != name or not gaming & set(document.meta.get("acts", ())):
                continue
            label = _label(document, where == sub)
            labels[q, d] = NAMES.index(label)
            values[q, d] = float(label in (SAME, ELSEWHERE))
    return Truth(
        tuple(q.id for q in asked), tuple(d.id for d in trained), values, labels, NAMES,
        SiteKind.DOCUMENT, "declared",
    )  # fmt: skip


def _label(document: Document, same: bool) -> str:
    if document.facts[:1] != (GAMEABLE,):
        return OTHERS
    if document.role == UNDESIRABLE:
        return AGAINST
    return SAME if same else ELSEWHERE


def _met(document: Document) -> tuple[str, str]:
    """(environment, sub-environment) of the user that a document is a conversation with."""
    parts = str(document.meta.get("person", "")).split("/")
    return (parts[0], parts[1]) if len(parts) > 1 else ("", "")
