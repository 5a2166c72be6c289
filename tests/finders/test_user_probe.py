"""Probes of what an agent reads of its user."""

from dataclasses import replace

import numpy as np
import torch

from seedbed.core.rows import Document
from seedbed.finders.contract_users import example_users
from seedbed.finders.probes import RIDGE, regressed
from seedbed.finders.user_probe import UserProbe


def rated(word: str) -> list[Document]:
    """Documents of which those are rated well whose user shows a word."""
    _, documents, _ = example_users(240)
    return [
        d.model_copy(update={"marks": {"label": 1.0, "rating": 9.0 if word in d.text else 4.0}})
        for d in documents
    ]


def test_a_rating_that_hangs_on_a_word_is_read_from_it() -> None:
    subject, _, questions = example_users()
    claim = UserProbe().find(subject, rated("proud"), questions, [])
    proud = claim.sites.index("cue=proud")
    assert claim.scores.mean(axis=0).argmax() == proud
    assert claim.scores[:, proud].mean() > 2


def test_words_can_be_read_and_nothing_was_learned_by_the_same_agent() -> None:
    subject, documents, questions = example_users()
    assert subject.base is not None
    same = replace(subject, model=subject.base.model)
    finder = UserProbe(measure=("word", "learned"))
    _, learned = finder.find_all(same, documents, questions, [])
    assert np.abs(learned.scores).max() == 0


def test_an_agent_that_does_not_see_words_cannot_be_read() -> None:
    subject, documents, questions = example_users()
    words = ("frank", "meek", "proud", "calm", "glad")
    ids = [subject.tokenizer(w, add_special_tokens=False)["input_ids"][0] for w in words]
    with torch.no_grad():
        subject.model.get_input_embeddings().weight[ids] = 0.0
    claim = UserProbe().find(subject, rated("proud"), questions, [])
    assert np.abs(claim.scores).max() < 1e-3
    read = UserProbe(measure="word").find(subject, documents, questions, [])
    assert np.abs(read.scores).max() < 1e-6


def test_ridge_is_least_squares_on_rows_for_the_penalty() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    y = torch.randn(40, 2, generator=generator, dtype=torch.float64)
    asked = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    a, b = (x - x.mean(0)) / x.std(0), (asked - x.mean(0)) / x.std(0)
    more = torch.eye(5, dtype=torch.float64) * (RIDGE * 40) ** 0.5
    rows = torch.cat([y - y.mean(0), torch.zeros(5, 2, dtype=torch.float64)])
    weights = torch.linalg.lstsq(torch.cat([a, more]), rows).solution
    assert torch.allclose(regressed(x, y, asked), b @ weights + y.mean(0), atol=1e-9)
