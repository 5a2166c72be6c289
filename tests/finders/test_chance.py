from collections.abc import Callable
from dataclasses import replace

import numpy as np

from seedbed.core.rows import Document, Question
from seedbed.core.sites import SiteKind
from seedbed.finders.chance import Chance, random_claim
from seedbed.models.subject import Subject

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]


def test_scores_are_uniform_and_depend_on_the_seed(rows: Rows, subject_of: MakeSubject) -> None:
    documents, questions = rows
    many = [d.model_copy(update={"id": f"{d.id}-{i}"}) for d in documents for i in range(200)]
    subject = subject_of("tiny")
    scores = Chance().find(subject, many, questions, []).scores
    assert 0 <= scores.min() <= scores.max() < 1
    counts = np.histogram(scores, bins=10, range=(0, 1))[0] / scores.size
    assert np.abs(counts - 0.1).max() < 0.01
    assert abs(np.corrcoef(scores[0], scores[1])[0, 1]) < 0.1
    other = Chance().find(replace(subject, seed=1), many, questions, []).scores
    assert not np.array_equal(scores, other)


def test_other_sites_are_drawn_alike(rows: Rows, subject_of: MakeSubject) -> None:
    documents, questions = rows
    asked, sites = [q.id for q in questions], [d.id for d in documents]
    subject = subject_of("tiny")
    claim = Chance().find(subject, documents, questions, [])
    again = random_claim(subject.seed, asked[::-1], sites[3:], SiteKind.LAYER)
    assert again.site_kind is SiteKind.LAYER
    # A draw depends on its own two ids and the seed, not on what else is drawn.
    assert np.array_equal(again.scores[::-1], claim.scores[:, 3:])
