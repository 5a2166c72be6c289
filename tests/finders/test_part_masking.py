from collections.abc import Callable

import numpy as np
import pytest
import torch

from seedbed.core.rows import Document, Question
from seedbed.finders.embedded import baseline
from seedbed.finders.part_masking import PartMasking, masked
from seedbed.finders.parts import asked_by_parts
from seedbed.models.subject import Subject

Taught = tuple[Subject, list[Question]]
Untaught = Callable[[int], tuple[Subject, list[Document], list[Question]]]


def test_it_is_a_forward_pass_from_other_embeddings(untaught: Untaught) -> None:
    subject, _, questions = untaught(0)
    asked = asked_by_parts(subject, questions[:5])
    table = subject.model.get_input_embeddings()
    for one, found in zip(asked, masked(subject, [(a, a.places["word"]) for a in asked]),
                          strict=True):  # fmt: skip
        with torch.no_grad():
            given = table(torch.tensor([one.ids]))
            given[0, list(one.places["word"])] = baseline(subject).float()
            logits = subject.model(inputs_embeds=given).logits[0, -1, list(one.choices)]
        assert found == pytest.approx(logits.double().log_softmax(0).numpy(), abs=1e-5)


def test_nothing_masked_is_the_question_itself(taught: Taught) -> None:
    subject, questions = taught
    asked = asked_by_parts(subject, questions[:4])
    plain = masked(subject, [(a, ()) for a in asked])
    assert [int(row.argmax()) for row in plain] == [q.target for q in questions[:4]]


def test_the_part_that_decides_moves_the_answer_most_of_those_that_vary(taught: Taught) -> None:
    subject, questions = taught
    claim = PartMasking().find(subject, [], questions, [])
    mean = dict(zip(claim.sites, claim.scores.mean(axis=0).tolist(), strict=True))
    assert mean["first"] > 5 * abs(mean["second"])
    assert mean["first"] > 5 * abs(mean["word"])
    assert claim.notes["scored"].startswith("300 prompts")
    assert np.isfinite(claim.scores).all()
