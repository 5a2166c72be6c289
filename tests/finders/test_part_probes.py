from collections.abc import Callable

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.finders.part_probes import PartProbes
from seedbed.models.subject import Subject

Taught = tuple[Subject, list[Question]]
Untaught = Callable[[int], tuple[Subject, list[Document], list[Question]]]


def test_what_can_be_read_need_not_decide(untaught: Untaught) -> None:
    """An untrained subject uses nothing, yet the word before the last position can be read."""
    subject, _, questions = untaught(0)
    claim = PartProbes(bins=10).find(subject, [], questions, [])
    score = dict(zip(claim.sites, claim.scores[0].tolist(), strict=True))
    assert score["word"] > 0.5
    assert score["form"] == 0
    assert "form" in claim.notes["untried"]
    assert (claim.scores == claim.scores[0]).all()


def test_labels_that_say_nothing_are_not_read(untaught: Untaught) -> None:
    """Places that mean nothing (letters drawn beside the prompt) score about as if shuffled."""
    subject, _, questions = untaught(1)
    rng = np.random.default_rng(0)
    noise = [q.model_copy(update={"places": {"noise": (2, 3) if rng.random() < 0.5 else (0, 1)}})
             for q in questions]  # fmt: skip
    claim = PartProbes().find(subject, [], noise, [])
    other = PartProbes().find(subject, [], questions, [])
    assert abs(claim.scores[0, 0]) < 0.2 < other.scores[0, other.sites.index("word")]


def test_numbers_are_read_by_their_quantiles(taught: Taught) -> None:
    subject, questions = taught
    half = PartProbes(bins=2).find(subject, [], questions, [])
    row = dict(zip(half.sites, half.scores[0].tolist(), strict=True))
    assert row["first"] > 0.3
    # The second digit decides nothing, and is there to be read all the same.
    assert row["second"] > 0.3


def test_the_order_of_questions_and_the_seed(taught: Taught) -> None:
    subject, questions = taught
    one = PartProbes().find(subject, [], questions, [])
    turned = PartProbes().find(subject, [], questions[::-1], [])
    assert (one.scores == turned.arranged(one.sites).scores).all()


def test_unfit_blocks_are_refused(taught: Taught) -> None:
    subject, questions = taught
    with pytest.raises(InputError, match="layer: 5 is none"):
        PartProbes(layer=5).find(subject, [], questions, [])
    few = PartProbes().find(subject, [], questions[:4], [])
    assert (few.scores == 0).all()
