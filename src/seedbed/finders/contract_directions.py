"""What every finder of directions must hold, as one function: the tests and yours call it alike.

It makes a small subject and labelled questions of its own; a breach raises AssertionError.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from seedbed.core.cells import MEAN, Cell
from seedbed.core.directions import DirectionClaim
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import Finder
from seedbed.finders.states import spotted
from seedbed.models.hooks import read
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import TokenSequence, pad

LAYERS, TOLERANCE = 2, 1e-3
CLASSES = ("computed", "stored")
WORDS = {"computed": ("ant", "bee", "cat", "cow"), "stored": ("dog", "eel", "elk", "hen")}


def example_questions(count: int = 36) -> tuple[Subject, list[Question]]:
    """An untrained subject of two blocks, and questions of two classes in prompts of 5 to 7 tokens.

    The word at the place `name` tells the class, that at `other` does not. A third each are
    labelled examples of train and dev; the rest carries no label.
    """
    rng = stream(0, "contract", "directions")
    every = [word for words in WORDS.values() for word in words]
    questions = []
    for i in range(count):
        label = CLASSES[i % 2]
        name, other = rng.choice(WORDS[label]), rng.choice(every)
        # Alike in both classes of every split.
        lead = "so " * (i // 6 % 3)
        split = ("train", "dev", "id")[i // 2 % 3]
        start = len(lead)
        middle = start + len(name) + 1
        questions.append(
            Question(
                id=f"q{i:02}", prompt=f"{lead}{name} {other} is", choices=(" yes", " no"),
                answer=" yes", split=split, label=label if split != "id" else "",
                places={"name": (start, middle - 1), "other": (middle, middle + len(other))},
            )
        )  # fmt: skip
    texts = [q.prompt + c for q in questions for c in q.choices]
    return Tiny(layers=LAYERS, width=16, heads=2).build(texts, [], 0), questions


def check_direction_finder(finder: Finder) -> None:
    """Raise AssertionError unless `finder` keeps every promise of the contract."""
    assert finder.sites is SiteKind.DIRECTION, "this check is for finders of directions"
    subject, questions = example_questions()
    state = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    claim = finder.find(subject, [], questions, [])
    assert claim.questions == tuple(q.id for q in questions), "claim rows are the questions"
    assert claim.sites == CLASSES, "claim columns are the names of the two classes, sorted"
    assert claim.site_kind is SiteKind.DIRECTION, "the claim is about classes"
    assert np.isfinite(claim.scores).all(), "every score is finite"
    assert np.allclose(claim.scores.sum(1), 0), "one class is as near as the other is far"
    if isinstance(claim, DirectionClaim) and claim.directions is not None:
        _scores_are_distances(subject, questions, claim)
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(tensor, state[name]), "the subject stays as it was"
    again = finder.find(subject, [], questions, [])
    assert np.array_equal(claim.scores, again.scores), "the same call gives the same scores"
    small = finder.find(replace(subject, batch=2), [], questions, [])
    _close(claim, small, "batch size and padding change nothing")
    turned = finder.find(subject, [], questions[::-1], [])
    back = replace(turned, questions=claim.questions, scores=turned.scores[::-1])
    _close(claim, back, "permuting questions permutes their scores")
    asked = [q for q in questions if not q.label]
    fewer = finder.find(subject, [], [q for q in questions if q.label] + asked[:1], [])
    _close(claim.among(fewer.questions), fewer, "questions without a label teach nothing")
    for promise, some in (
        ("examples of one class only are refused", [q for q in questions if q.label != "stored"]),
        ("no example of train is refused", [q for q in questions if q.split != "train"]),
        ("no example of dev is refused", [q for q in questions if q.split != "dev"]),
    ):
        _refused(finder, subject, some, promise)


def _scores_are_distances(
    subject: Subject, questions: Sequence[Question], claim: DirectionClaim
) -> None:
    """Recomputed one question at a time, without padding, from what the claim saves."""
    directions = claim.directions
    assert directions is not None
    assert (directions.negative, directions.positive) == CLASSES, "it points at the second class"
    assert claim.notes.get("site") in directions.sites, "notes name the cell that was chosen"
    assert directions.made.get("site") == claim.notes["site"], "and so do the directions"
    row = directions.at(claim.notes["site"])
    cell = Cell.parse(directions.sites[row])
    for question, scores in zip(questions, claim.scores, strict=True):
        spot = spotted(subject, question)
        batch = pad([TokenSequence(spot.ids, (False,) * len(spot.ids))]).to(subject.device)
        (hidden,) = read(subject.model, batch, [cell.name.partition("@")[0]]).values()
        where = spot.places[cell.place]
        read_at = list(where if cell.place == MEAN else where[-1:])
        x = hidden[0, read_at].double().mean(0).cpu().numpy()
        distance = x @ directions.vectors[row] - directions.middle[row]
        wanted = distance / directions.spread[row]
        near = abs(scores[1] - wanted) <= TOLERANCE * max(1.0, abs(wanted))
        assert near, "scores are distances from the threshold along the direction, in its spread"


def _refused(finder: Finder, subject: Subject, questions: Sequence[Question], promise: str) -> None:
    try:
        finder.find(subject, [], questions, [])
    except InputError:
        return
    raise AssertionError(promise)


def _close(a: Claim, b: Claim, promise: str) -> None:
    scale = np.abs(a.scores).max() or 1.0
    assert np.abs(a.scores - b.scores).max() <= TOLERANCE * scale, promise
