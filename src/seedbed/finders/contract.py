"""What every finder must hold, one function a kind of site: the tests and yours call it alike.

They make a small subject and rows of their own; a breach raises AssertionError.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from seedbed.core.errors import InputError
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


def descendant() -> tuple[Subject, list[Question], int]:
    """(a subject whose base differs from it in one block alone, questions, that block)."""
    _, _, questions = example()
    texts = [f"{q.prompt} {c}" for q in questions for c in q.choices]
    base = Tiny(layers=3, width=16, heads=2).build([*texts, "so they say today"], [], 0)
    # Prompts of unequal length, and a choice of two tokens beside those of one.
    longer = [q.model_copy(update={"id": f"longer {q.id}", "prompt": f"so they say {q.prompt}",
                                   "choices": (*q.choices, " red green")})
              for q in questions]  # fmt: skip
    _move(base.model, 0)
    tuned, changed = deepcopy(base.model), 1
    _move(tuned.model.layers[changed], 1)
    return replace(base, model=tuned, base=base), [*questions, *longer], changed


def _move(module: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.2 * noise.to(parameter.device))


def check_layer_finder(finder: Finder) -> None:
    """Raise AssertionError unless `finder`, which scores blocks, keeps the contract.

    Of a subject in which one block alone was changed, every such finder must name that block.
    """
    assert finder.sites is SiteKind.LAYER, "this check is for finders on layers"
    subject, questions, changed = descendant()
    base = subject.base
    assert base is not None
    state = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    claim = finder.find(subject, [], questions, [])
    assert claim.questions == tuple(q.id for q in questions), "claim rows are the questions"
    assert claim.sites == ("0", "1", "2"), "claim columns are the blocks, from 0"
    assert claim.site_kind is SiteKind.LAYER, "the claim is about layers"
    assert np.isfinite(claim.scores).all(), "every score is finite"
    others = np.delete(claim.scores, changed, axis=1).max(axis=1)
    assert (claim.scores[:, changed] > others).all(), "the only block that changed is named"
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(tensor, state[name]), "the subject stays as it was"
    again = finder.find(subject, [], questions, [])
    assert np.array_equal(claim.scores, again.scores), "the same call gives the same scores"
    small = replace(subject, batch=2, base=replace(base, batch=2))
    _close(claim, finder.find(small, [], questions, []), "batch size and padding change nothing")
    turned = finder.find(subject, [], questions[::-1], [])
    _close_arrays(claim.scores, turned.scores[::-1], TOLERANCE,
                  "permuting questions permutes their scores")  # fmt: skip
    same = finder.find(replace(subject, base=replace(subject, base=None)), [], questions, [])
    assert (same.scores == 0).all(), "a subject that is its own base has no changed block"
    shallow = Tiny(layers=2, width=16, heads=2).build(["so"], [], 0)
    for unfit in (None, shallow):
        try:
            finder.find(replace(subject, base=unfit), [], questions, [])
        except InputError:
            continue
        raise AssertionError("a subject without a base, or with another's, is refused")


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
