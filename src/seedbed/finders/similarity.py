"""Finders that read the words alone: what a search engine finds without any model.

Words, numbers, single signs and `<tokens>` are pieces; splitting `<B01>(4)` on spaces instead
would hide the very name that a question asks about.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder

if TYPE_CHECKING:
    from seedbed.models.subject import Subject

PIECE = re.compile(r"<[^<>\s]+>|\d+|[^\W\d]+|[^\w\s]")


def pieces(text: str) -> list[str]:
    """Lower-case words and numbers, single signs, and `<tokens>` as they stand."""
    found: list[str] = PIECE.findall(text)
    return [p if p.startswith("<") else p.casefold() for p in found]


def asked(question: Question, answer: bool) -> str:
    """The prompt, or the prompt and the answer with one space between them."""
    if not answer:
        return question.prompt
    return f"{question.prompt.rstrip()} {question.answer.lstrip()}"


class Bm25(Finder):
    """BM25: shared words, the rare ones counting more (bm25s, Lucene's variant)."""

    kind: str = "bm25"
    answer: bool = Field(default=False, description="the answer is part of the query")
    k1: float = Field(default=1.5, ge=0)
    b: float = Field(default=0.75, ge=0, le=1)

    def find(
        self,
        subject: "Subject",
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, documents] ≥ 0 (Kamphuis et al. 2020, table 1, Lucene accurate).

        Signs are left out: they stand in almost every text.
        """
        import bm25s

        texts = [_words(d.text) for d in documents]
        scores = np.zeros((len(questions), len(documents)))
        known = {word for text in texts for word in text}
        index: Any = bm25s.BM25(k1=self.k1, b=self.b, method="lucene", dtype="float64")
        if known:
            index.index(texts, create_empty_token=False, show_progress=False)
        for row, question in enumerate(questions):
            query = [word for word in _words(asked(question, self.answer)) if word in known]
            if query:
                scores[row] = index.get_scores(query)
        return Claim(tuple(q.id for q in questions), tuple(d.id for d in documents), scores)


class LongestMatch(Finder):
    """The longest run of pieces that question and document have in common."""

    kind: str = "longest_match"
    answer: bool = Field(default=False, description="the answer is part of the question")

    def find(
        self,
        subject: "Subject",
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Length of the run over the question's length, [questions, documents] in [0, 1]."""
        numbers: dict[str, int] = {}
        texts = [[numbers.setdefault(p, len(numbers)) for p in pieces(d.text)] for d in documents]
        width = max((len(text) for text in texts), default=0)
        table = np.full((len(texts), width), -1)
        for row, text in enumerate(texts):
            table[row, : len(text)] = text
        scores = np.zeros((len(questions), len(documents)))
        for row, question in enumerate(questions):
            query = pieces(asked(question, self.answer))
            runs = _longest_runs([numbers.get(p, -2) for p in query], table)
            scores[row] = runs / max(1, len(query))
        return Claim(tuple(q.id for q in questions), tuple(d.id for d in documents), scores)


def _longest_runs(query: Sequence[int], table: NDArray[np.int_]) -> NDArray[np.int_]:
    """Longest common run of `query` and every row of `table`, all rows at once."""
    run = np.zeros((table.shape[0], table.shape[1] + 1), dtype=np.int_)
    best = np.zeros(table.shape[0], dtype=np.int_)
    for number in query:
        # run[:, j] is the length of the match that ends at this piece and document piece j.
        run[:, 1:] = np.where(table == number, run[:, :-1] + 1, 0)
        best = np.maximum(best, run.max(axis=1))
    return best


def _words(text: str) -> list[str]:
    return [p for p in pieces(text) if len(p) > 1 or p.isalnum()]
