from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.rows import Document, Question
from seedbed.finders.factors import Weight
from seedbed.finders.gradients import questions_of
from seedbed.finders.products import gradient_products, layers_of
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]
Explicit = Callable[[Any, Sequence[TokenSequence]], torch.Tensor]
Encoded = tuple[list[TokenSequence], list[TokenSequence]]

PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
KINDS = ["tiny", "tied", "gpt2", "gemma", "qwen", "twice", "lora", "lora-tied"]


def encode(subject: Subject, rows: Rows) -> Encoded:
    documents, questions = rows
    return subject.encode(documents), questions_of(subject, questions, answer=True)


def weights_of(subject: Subject, seed: int = 0) -> dict[str, torch.Tensor]:
    """A positive number for every entry of every trainable parameter, as the model holds it."""
    own = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(p.shape, generator=own) + 0.1
        for name, p in subject.model.named_parameters()
        if p.requires_grad
    }


def elementwise(
    layers: dict[str, tuple[Weight, ...]], weights: dict[str, torch.Tensor]
) -> Callable[[str, list[torch.Tensor]], list[torch.Tensor]]:
    def transform(name: str, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        own = [weights[w.name].T if w.turned else weights[w.name] for w in layers[name]]
        if not name:
            return [gradients[0] * torch.cat(own)]
        return [g * p for g, p in zip(gradients, own, strict=True)]

    return transform


@PEFT_WARNS
@pytest.mark.parametrize("loss", ["text", "answer"])
@pytest.mark.parametrize("kind", KINDS)
def test_transformed_products_are_those_of_explicit_gradients(
    kind: str, loss: str, subject_of: MakeSubject, rows: Rows, explicit: Explicit
) -> None:
    subject = subject_of(kind, loss)
    documents, questions = encode(subject, rows)
    layers, weights = layers_of(subject, questions[0]), weights_of(subject)
    transform = elementwise(layers, weights)
    found = gradient_products(subject, documents, questions, True, transform=transform)
    flat = torch.cat([w.flatten() for w in weights.values()]).double()
    d, q = explicit(subject.model, documents), explicit(subject.model, questions)
    dot = (q * flat @ d.T).numpy()
    assert np.abs(found.dot - dot).max() <= 1e-4 * np.abs(dot).max()
    np.testing.assert_allclose(found.documents, (d * d * flat).sum(1).numpy(), rtol=1e-4)
    np.testing.assert_allclose(found.questions, (q * q * flat).sum(1).numpy(), rtol=1e-4)


@pytest.mark.parametrize("kind", ["tiny", "tied", "gpt2"])
def test_the_identity_changes_nothing_and_is_called_once_a_layer(
    kind: str, subject_of: MakeSubject, rows: Rows
) -> None:
    subject = subject_of(kind)
    documents, questions = encode(subject, rows)
    calls: dict[str, list[tuple[int, ...]]] = {}

    def identity(name: str, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        assert name not in calls
        calls[name] = [tuple(g.shape) for g in gradients]
        return gradients

    plain = gradient_products(subject, documents, questions, False)
    found = gradient_products(subject, documents, questions, False, transform=identity)
    np.testing.assert_allclose(found.dot, plain.dot, atol=1e-5 * np.abs(plain.dot).max())
    layers = layers_of(subject, documents[0])
    wanted = {n: [(len(questions), *w.shape) for w in layer] for n, layer in layers.items() if n}
    wanted[""] = [(len(questions), sum(w.shape[0] for w in layers[""]))]
    assert calls == wanted
    named = {w.name for layer in layers.values() for w in layer}
    assert named == {n for n, p in subject.model.named_parameters() if p.requires_grad}


def test_a_transform_that_changes_shapes_is_refused(subject_of: MakeSubject, rows: Rows) -> None:
    subject = subject_of("tiny")
    documents, questions = encode(subject, rows)
    with pytest.raises(ValueError, match="transform of layer"):
        gradient_products(
            subject,
            documents,
            questions,
            False,
            transform=lambda name, some: [g[:, 1:] for g in some],
        )
