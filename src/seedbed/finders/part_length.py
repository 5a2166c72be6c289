"""The control of input finders: the longest part, or the first or last. No model is asked."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import Finder
from seedbed.finders.parts import parts_of
from seedbed.models.subject import Subject


class PartLength(Finder):
    """Scores a part by its length, or by how near it stands to an end of the prompt."""

    kind: str = "part-length"
    sites = SiteKind.INPUT
    by: Literal["length", "first", "last"] = "length"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, parts], 0 where a question lacks a part.

        `length` counts characters; `last` is the share of the prompt up to the part's end,
        `first` the share from its start on.
        """
        parts = parts_of(questions)
        scores = np.zeros((len(questions), len(parts)))
        for i, question in enumerate(questions):
            whole = len(question.prompt)
            for part, (start, end) in question.places.items():
                value = {"length": float(end - start), "first": 1 - start / whole,
                         "last": end / whole}[self.by]  # fmt: skip
                scores[i, parts.index(part)] = value
        return Claim(tuple(q.id for q in questions), parts, scores, SiteKind.INPUT)
