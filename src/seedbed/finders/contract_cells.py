"""What every finder on cells must hold, as one function: the tests and yours call it alike.

It makes a small subject and pairs of its own; a breach raises AssertionError.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from seedbed.core.cells import Cell, places_of, residual_cells
from seedbed.core.errors import InputError
from seedbed.core.rows import Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import Finder
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

LAYERS, TOLERANCE = 2, 1e-4
WORDS = ("ant", "bee", "cat", "cow", "dog", "eel", "elk", "hen")


def example_pairs(count: int = 5) -> tuple[Subject, list[Pair]]:
    """An untrained subject of two blocks, and pairs of lists of four or five words.

    Places are item1 … item5, cue and last; each pair swaps one item.
    """
    pairs = []
    for i in range(count):
        words = [WORDS[(i + 3 * j) % len(WORDS)] for j in range(4 + i % 2)]
        swap = i % len(words)
        other = next(w for w in WORDS if w not in words)
        corrupt = [other if j == swap else w for j, w in enumerate(words)]
        sides = (list_question(f"q{i}", words, 1), list_question(f"q{i}-corrupt", corrupt, 2))
        pairs.append(Pair(id=f"p{i}", clean=sides[0], corrupt=sides[1], cause=words[swap]))
    texts = [q.prompt for p in pairs for q in (p.clean, p.corrupt)]
    return Tiny(layers=LAYERS, width=16, heads=2).build(texts, [], 0), pairs


def list_question(key: str, words: Sequence[str], answer: int) -> Question:
    """A list of WORDS with its places and the choices 0 to 3."""
    prompt, places = "", {}
    for i, word in enumerate(words, start=1):
        places[f"item{i}"] = (len(prompt), len(prompt) + len(word))
        prompt += f"{word} "
    places["cue"] = (len(prompt), len(prompt) + 1)
    prompt += "| ="
    choices = tuple(f" {n}" for n in range(4))
    return Question(id=key, prompt=prompt, choices=choices, answer=f" {answer}", places=places)


def check_cell_finder(finder: Finder, *, by_pairs: bool = True) -> None:
    """Raise AssertionError unless `finder` keeps every promise of the contract.

    `by_pairs`: it patches, so it cannot do without the pair of a question; false for probes.
    """
    assert finder.sites is SiteKind.CELL, "this check is for finders on cells"
    subject, pairs = example_pairs()
    questions = [p.clean for p in pairs]
    state = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    claim = finder.find(subject, [], questions, pairs)
    wanted = [c.name for c in residual_cells(LAYERS, places_of(questions))]
    assert claim.questions == tuple(q.id for q in questions), "claim rows are the questions"
    assert set(claim.sites) == set(wanted), "claim columns are the residual stream at all places"
    assert claim.site_kind is SiteKind.CELL, "the claim is about cells"
    assert np.isfinite(claim.scores).all(), "every score is finite"
    _absent_places_score_nothing(claim, questions)
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(tensor, state[name]), "the subject stays as it was"
    again = finder.find(subject, [], questions, pairs)
    assert np.array_equal(claim.scores, again.scores), "the same call gives the same scores"
    small = finder.find(replace(subject, batch=2), [], questions, pairs)
    _close(claim, small, "batch size and padding change nothing")
    moved = finder.find(subject, [], questions, pairs[::-1])
    _close(claim, moved, "permuting pairs changes nothing")
    turned = finder.find(subject, [], questions[::-1], pairs)
    back = Claim(claim.questions, turned.sites, turned.scores[::-1], turned.site_kind)
    _close(claim, back, "permuting questions permutes their scores")
    if not by_pairs:
        return
    try:
        finder.find(subject, [], questions, pairs[1:])
    except InputError:
        return
    raise AssertionError("a question without a pair is refused")


def _absent_places_score_nothing(claim: Claim, questions: Sequence[Question]) -> None:
    for row, question in zip(claim.scores, questions, strict=True):
        here = {*question.places, "last"}
        absent = [s for s, name in enumerate(claim.sites) if Cell.parse(name).place not in here]
        assert (row[absent] == 0).all(), "a place that a question lacks scores 0"


def _close(a: Claim, b: Claim, promise: str) -> None:
    scores = b.arranged(a.sites).scores
    scale = np.abs(a.scores).max() or 1.0
    assert np.abs(a.scores - scores).max() <= TOLERANCE * scale, promise
