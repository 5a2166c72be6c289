import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.finders.gradients import questions_of
from seedbed.finders.proximal import pbrf_effects
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]
Array = NDArray[np.floating[Any]]
DAMPING = 0.5


def head_only(subject: Subject) -> Subject:
    """Only the output head is trained: softmax regression on fixed features, convex."""
    for name, parameter in subject.model.named_parameters():
        parameter.requires_grad_(name == "lm_head.weight")
    return subject


def looks(subject: Subject, sequence: TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
    """(features [n, width], probabilities [n, vocabulary], gradient [vocabulary · width])."""
    model: Any = copy.deepcopy(subject.model).double()
    with torch.no_grad():
        states = model.model(input_ids=torch.tensor([sequence.ids])).last_hidden_state[0].double()
        places = [t for t, p in enumerate(sequence.predicted) if p]
        x = states[[t - 1 for t in places]]
        p = (x @ model.lm_head.weight.T).softmax(-1)
        errors = p.clone()
        errors[range(len(places)), [sequence.ids[t] for t in places]] -= 1
        return x, p, (errors.T @ x).flatten()


def first_order(subject: Subject, rows: Rows, removals: list[list[int]]) -> Array:
    """1/N g_qᵀ (G + λ)⁻¹ Σ g_removed, all matrices written out."""
    documents = [looks(subject, s) for s in subject.encode(rows[0])]
    asked = [looks(subject, s)[2] for s in questions_of(subject, rows[1], answer=True)]
    size = len(asked[0])
    curvature = torch.zeros(size, size, dtype=torch.float64)
    for x, p, _ in documents:
        for t in range(len(x)):
            inner = torch.diag(p[t]) - torch.outer(p[t], p[t])
            curvature += torch.kron(inner, torch.outer(x[t], x[t])) / len(documents)
    damped = curvature + DAMPING * torch.eye(size, dtype=torch.float64)
    gone = torch.stack([sum((documents[i][2] for i in r), torch.zeros(size)) for r in removals], 1)
    found: Array = (torch.stack(asked) @ torch.linalg.solve(damped, gone)).numpy()
    return found / len(documents)


def test_a_small_removal_answers_as_the_inverse_curvature_says(
    subject_of: MakeSubject, rows: Rows
) -> None:
    subject = replace(head_only(subject_of("tiny", "answer")), batch=32)
    removals = [[7], [1, 2, 5]]
    asked = questions_of(subject, rows[1], answer=True)
    share = 1e-3
    found = pbrf_effects(
        subject, rows[0], removals, asked, DAMPING, steps=80, lr=1e-4, batch=0, share=share,
        dtype=torch.float64,
    )  # fmt: skip
    expected = share * first_order(subject, rows, removals)
    assert found.settled.max() < 0.05
    assert np.corrcoef(found.effects.ravel(), expected.ravel())[0, 1] > 0.9999
    assert np.abs(found.effects - expected).max() <= 0.02 * np.abs(expected).max()


def test_a_whole_removal_hurts_the_document_itself(subject_of: MakeSubject, rows: Rows) -> None:
    subject = replace(subject_of("tiny", "answer"), batch=32)
    own = subject.encode(rows[0])
    removals = [[2], [5]]
    found = pbrf_effects(subject, rows[0], removals, own, 0.1, steps=25, lr=3e-3, batch=6)
    for column, removal in enumerate(removals):
        assert found.effects[removal[0], column] > 0
        assert found.effects[removal[0], column] == found.effects[:, column].max()
    again = pbrf_effects(subject, rows[0], removals, own, 0.1, steps=25, lr=3e-3, batch=6)
    np.testing.assert_array_equal(again.effects, found.effects)


def test_a_document_that_is_not_there_is_refused(subject_of: MakeSubject, rows: Rows) -> None:
    with pytest.raises(InputError, match="no document 14; they are 0 to 13"):
        pbrf_effects(subject_of("tiny"), rows[0], [[0, 14]], [])
