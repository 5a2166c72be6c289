import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seedbed.core.rows import Document, Question
from seedbed.finders.base import FINDERS
from seedbed.finders.contract import check_finder
from seedbed.finders.similarity import Bm25, LongestMatch, asked, pieces
from seedbed.models.subject import Subject

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]


def test_pieces_keep_names_and_numbers_whole_and_split_signs() -> None:
    text = "Assert <B01>(42) == foo_bar('x'), Über 3.5 <b c>"
    assert pieces(text) == [
        "assert", "<B01>", "(", "42", ")", "=", "=", "foo_bar", "(", "'", "x", "'", ")", ",",
        "über", "3", ".", "5", "<", "b", "c", ">",
    ]  # fmt: skip


def test_the_answer_is_joined_by_one_space() -> None:
    question = Question(id="q", prompt="it is ", choices=(" 5", " 6"), answer=" 5")
    assert asked(question, answer=True) == "it is 5"
    assert asked(question, answer=False) == "it is "


def slow_bm25(query: list[str], texts: list[list[str]], k1: float, b: float) -> list[float]:
    mean = sum(map(len, texts)) / len(texts)
    scores = []
    for text in texts:
        counts, total = Counter(text), 0.0
        for word in query:
            df = sum(word in t for t in texts)
            idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            tf = counts[word]
            total += idf * tf / (tf + k1 * (1 - b + b * len(text) / mean))
        scores.append(total)
    return scores


@pytest.mark.parametrize("values", [{}, {"answer": True}, {"k1": 0.9, "b": 0.4}])
def test_bm25_is_the_formula(values: dict[str, Any], rows: Rows, subject_of: MakeSubject) -> None:
    documents, questions = rows
    finder = Bm25.model_validate(values)
    found = finder.find(subject_of("tiny"), documents, questions, []).scores
    words = [[p for p in pieces(d.text) if p not in "()"] for d in documents]
    for row, question in enumerate(questions):
        query = [p for p in pieces(asked(question, finder.answer)) if p not in "()"]
        want = slow_bm25(query, words, finder.k1, finder.b)
        np.testing.assert_allclose(found[row], want, rtol=1e-6)


def test_bm25_without_a_shared_word_scores_nothing(subject_of: MakeSubject) -> None:
    question = Question(id="q", prompt="elsewhere", choices=("a", "b"), answer="a")
    documents = [Document(id="d0", text="here"), Document(id="d1", text="...")]
    subject = subject_of("tiny")
    assert not Bm25().find(subject, documents, [question], []).scores.any()
    assert not Bm25().find(subject, documents[1:], [question], []).scores.any()


def slow_longest(a: list[str], b: list[str]) -> int:
    return max(
        (n for n in range(1, len(a) + 1) for i in range(len(a) - n + 1)
         for j in range(len(b) - n + 1) if a[i : i + n] == b[j : j + n]),
        default=0,
    )  # fmt: skip


@pytest.mark.parametrize("answer", [False, True])
def test_longest_match_is_found_by_trying_every_run(
    answer: bool, rows: Rows, subject_of: MakeSubject
) -> None:
    documents, questions = rows
    documents = [*documents, Document(id="other", text="nothing shared")]
    found = LongestMatch(answer=answer).find(subject_of("tiny"), documents, questions, []).scores
    for row, question in enumerate(questions):
        query = pieces(asked(question, answer))
        want = [slow_longest(query, pieces(d.text)) / len(query) for d in documents]
        assert found[row].tolist() == want
    assert found.max() > 0.3
    assert not found[:, -1].any()


@pytest.mark.parametrize("kind", ["bm25", "longest_match"])
def test_contract_with_the_answer(kind: str) -> None:
    check_finder(FINDERS.build({"kind": kind, "answer": True}))
