"""Chance: a random score for every question and document, as an independent control row."""

import hashlib
from collections.abc import Sequence

import numpy as np

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.models.subject import Subject


class Chance(Finder):
    """Random scores, fixed by the subject's seed and the ids of question and document."""

    kind: str = "chance"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, documents], uniform on [0, 1)."""
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        scores = np.zeros((len(questions), len(documents)))
        for i, question in enumerate(ids[0]):
            start = hashlib.sha256(f"{subject.seed}/chance/{question}/".encode())
            for j, site in enumerate(ids[1]):
                # A hash of the ids, not a place in a stream: order must not change the draw.
                draw = start.copy()
                draw.update(site.encode())
                scores[i, j] = int.from_bytes(draw.digest()[:8], "big") / 2**64
        return Claim(*ids, scores)
