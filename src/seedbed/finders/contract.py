"""What every finder on documents must hold, as one function: the tests and yours call it alike.

It makes a small subject and rows of its own; a breach raises AssertionError.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seedbed.core.rows import Document, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim, Floats, SiteKind
from seedbed.finders.base import Finder
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

TOLERANCE = 1e-4
# Equal documents may only differ by what rounding does in batches of other shapes.
TWINS = 1e-6


def example() -> tuple[Subject, list[Document], list[Question]]:
    """A small untrained subject, twelve documents of unequal length and three questions."""
    rng = stream(0, "finder", "contract")
    names, colours = ["ada", "ben", "cleo", "dov"], ["red", "blue", "green"]
    documents = []
    for i in range(12):
        name, colour = names[i % 4], colours[i % 3]
        filler = " ".join(rng.choice(["so", "they", "say", "today"]) for _ in range(i % 5))
        text = f"{filler} {name} likes {colour}".strip()
        end = len(text)
        documents.append(Document(id=f"d{i}", text=text, targets=((end - len(colour), end),)))
    questions = [
        Question(id=f"q{i}", prompt=f"{n} likes", choices=tuple(f" {c}" for c in colours),
                 answer=f" {colours[i % 3]}")
        for i, n in enumerate(names[:3])
    ]  # fmt: skip
    texts = [d.text for d in documents] + [q.prompt for q in questions]
    subject = Tiny(layers=2, width=16, heads=2).build(texts, [], 0)
    return replace(subject, loss="answer"), documents, questions


def check_finder(finder: Finder, *, by_text: bool = True) -> None:
    """Raise AssertionError unless `finder` keeps every promise of the contract.

    `by_text`: it scores what a document says, so equal documents have equal scores; false for
    finders that go by ids or draw for each document, such as chance. Raises MissingExtra if it
    needs a package that is not installed.
    """
    assert finder.sites is SiteKind.DOCUMENT, "this check is for finders on documents"
    subject, documents, questions = example()
    claim = finder.find(subject, documents, questions, [])
    _axes(claim, documents, questions)
    again = finder.find(subject, documents, questions, [])
    assert np.array_equal(claim.scores, again.scores), "the same call gives the same scores"
    _close(claim, finder.find(replace(subject, batch=3), documents, questions, []),
           "batch size and padding change nothing")  # fmt: skip
    order = stream(1, "finder", "contract").sample(range(len(documents)), len(documents))
    moved = finder.find(subject, [documents[i] for i in order], questions, [])
    assert moved.sites == tuple(documents[i].id for i in order), "sites follow the documents"
    _close(claim, moved.arranged(claim.sites), "permuting documents permutes their scores")
    if by_text:
        _twins(finder, subject, documents, questions)
    turned = finder.find(subject, documents, questions[::-1], [])
    back = Claim(claim.questions, turned.sites, turned.scores[::-1], turned.site_kind)
    _close(claim, back, "permuting questions permutes their scores")


def _twins(
    finder: Finder, subject: Subject, documents: Sequence[Document], questions: Sequence[Question]
) -> None:
    twins = [documents[i].model_copy(update={"id": f"twin of {i}"}) for i in (0, 4, 11)]
    scores = finder.find(subject, [*twins, *documents], questions, []).scores
    _close_arrays(scores[:, :3], scores[:, [3, 7, 14]], TWINS, "equal documents share their score")


def _axes(claim: Claim, documents: Sequence[Document], questions: Sequence[Question]) -> None:
    assert claim.questions == tuple(q.id for q in questions), "claim rows are the questions"
    assert claim.sites == tuple(d.id for d in documents), "claim columns are the documents"
    assert np.isfinite(claim.scores).all(), "every score is finite"


def _close(a: Claim, b: Claim, promise: str) -> None:
    _close_arrays(a.scores, b.scores, TOLERANCE, promise)


def _close_arrays(a: Floats, b: Floats, tolerance: float, promise: str) -> None:
    scale = np.abs(a).max() or 1.0
    assert np.abs(a - b).max() <= tolerance * scale, promise
