from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.finders import formed, gram, routes, ways
from seedbed.finders import questions as questions_module
from seedbed.finders.contract import check_finder
from seedbed.finders.gradients import Gradients, Products, gradient_products, questions_of
from seedbed.models.folders import save_weights, trainable_state
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tokens import TokenSequence

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]
Shake = Callable[[Subject, float, int], Subject]
Losses = Callable[[Any, TokenSequence], torch.Tensor]
Explicit = Callable[[Any, Sequence[TokenSequence]], torch.Tensor]
Encoded = Callable[[Subject], tuple[list[TokenSequence], list[TokenSequence]]]
Agree = Callable[[Products, Subject, tuple[list[TokenSequence], list[TokenSequence]]], None]

PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
TOLERANCE = 1e-4
KINDS = ["tiny", "tied", "gpt2", "gemma", "qwen", "twice", "lora", "lora-tied"]


@pytest.fixture
def encoded(rows: Rows) -> Encoded:
    def encode(subject: Subject) -> tuple[list[TokenSequence], list[TokenSequence]]:
        documents, questions = rows
        return subject.encode(documents), questions_of(subject, questions, answer=True)

    return encode


@pytest.fixture
def agree(explicit: Explicit) -> Agree:
    def check(
        found: Products,
        subject: Subject,
        sequences: tuple[list[TokenSequence], list[TokenSequence]],
    ) -> None:
        documents, questions = (explicit(subject.model, s) for s in sequences)
        dot = (questions @ documents.T).numpy()
        assert np.abs(found.dot - dot).max() <= TOLERANCE * np.abs(dot).max()
        for own, norms in ((documents, found.documents), (questions, found.questions)):
            np.testing.assert_allclose(norms, own.square().sum(1).numpy(), rtol=TOLERANCE)

    return check


@PEFT_WARNS
@pytest.mark.parametrize("loss", ["text", "answer"])
@pytest.mark.parametrize("kind", KINDS)
def test_products_are_those_of_explicit_gradients(
    kind: str, loss: str, subject_of: MakeSubject, encoded: Encoded, agree: Agree
) -> None:
    subject = subject_of(kind, loss)
    documents, questions = encoded(subject)
    found = gradient_products(subject, documents, questions, norms=True)
    assert "left_out" not in found.notes
    agree(found, subject, (documents, questions))


@pytest.mark.parametrize("way", ["tokens", "formed", "streamed"])
@pytest.mark.parametrize("loss", ["text", "answer"])
def test_every_way_of_a_product_is_exact(
    way: routes.Way,
    loss: str,
    monkeypatch: pytest.MonkeyPatch,
    subject_of: MakeSubject,
    encoded: Encoded,
    agree: Agree,
) -> None:
    def forced(layer: routes.Sizes, *rest: Any) -> routes.Way:
        return way if way in routes.costs(layer, *rest) else "tokens"

    monkeypatch.setattr(routes, "cheapest", forced)
    for module in (formed, gram, questions_module, routes, ways):
        monkeypatch.setattr(module, "TILE", 600)
    subject = subject_of("tiny", loss)
    documents, questions = encoded(subject)
    found = gradient_products(subject, documents, questions, norms=True)
    assert f"{way}: 9 layers" in found.notes["products"] or way == "tokens"
    agree(found, subject, (documents, questions))


def test_a_step_on_a_document_lowers_the_question_loss_as_the_product_says(
    subject_of: MakeSubject, losses: Losses, encoded: Encoded
) -> None:
    subject = subject_of("tied")
    documents, questions = encoded(subject)
    found = gradient_products(subject, documents, questions, norms=False)
    model = subject.model.double()
    parameters = [p for p in model.parameters() if p.requires_grad]
    for d, q in ((0, 0), (5, 2), (9, 4)):
        step = torch.autograd.grad(losses(model, documents[d]), parameters)
        values = []
        for size in (1e-5, -1e-5):
            with torch.no_grad():
                for p, g in zip(parameters, step, strict=True):
                    p.add_(size * g)
                values.append(losses(model, questions[q]).item())
                for p, g in zip(parameters, step, strict=True):
                    p.sub_(size * g)
        slope = (values[0] - values[1]) / 2e-5
        assert slope == pytest.approx(found.dot[q, d], rel=1e-3, abs=1e-4)


@pytest.fixture
def trained(tmp_path: Path, subject_of: MakeSubject, shake: Shake) -> Subject:
    subject = subject_of("tiny")
    checkpoints = []
    for step, lr in ((1, 0.3), (2, 0.0), (3, 0.1)):
        shake(subject, 0.05, step)
        save_weights(subject.model, tmp_path / str(step))
        checkpoints.append(Checkpoint(step, float(step), lr, tmp_path / str(step)))
    return replace(subject, checkpoints=tuple(checkpoints))


@pytest.mark.parametrize("measure", ["dot", "cosine"])
def test_all_checkpoints_are_summed_by_learning_rate(
    trained: Subject, measure: Any, rows: Rows, explicit: Explicit, encoded: Encoded
) -> None:
    documents, questions = rows
    last = {k: v.clone() for k, v in trainable_state(trained.model).items()}
    claim = Gradients(measure=measure, checkpoints="all").find(trained, documents, questions, [])
    assert all(torch.equal(v, last[k]) for k, v in trainable_state(trained.model).items())
    total = np.zeros_like(claim.scores)
    for checkpoint in trained.checkpoints:
        with trained.at(checkpoint) as then:
            d, q = (explicit(then.model, s) for s in encoded(then))
        if measure == "cosine":
            d, q = (g / g.norm(dim=1, keepdim=True) for g in (d, q))
        total += checkpoint.lr * (q @ d.T).numpy()
    if measure == "cosine":
        total /= 0.4
    np.testing.assert_allclose(claim.scores, total, atol=1e-4 * np.abs(total).max())
    assert claim.notes["checkpoints"] == "all 2, weighted by learning rate"


def test_the_last_checkpoint_alone_is_said_so(trained: Subject, rows: Rows) -> None:
    claim = Gradients().find(trained, *rows, [])
    assert claim.notes["checkpoints"] == "the last only"


@pytest.mark.parametrize("kind", ["tiny", "tied", "gpt2"])
def test_the_cosine_of_a_gradient_with_itself_is_one(
    kind: str, rows: Rows, subject_of: MakeSubject
) -> None:
    documents, questions = rows
    q = questions[0]
    text = f"{q.prompt} {q.answer}"
    same = Document(id="same", text=text, targets=((len(q.prompt) + 1, len(text)),))
    subject = subject_of(kind, "answer")
    claim = Gradients(measure="cosine").find(subject, [*documents, same], questions, [])
    assert claim.scores[0, -1] == pytest.approx(1, abs=1e-5)
    assert np.abs(claim.scores).max() <= 1 + 1e-5


@pytest.mark.parametrize(
    "values",
    [{"measure": "cosine"}, {"answer": False}, {"products": "projected", "projection": 4}],
    ids=["cosine", "own choice", "projected"],
)
def test_contract(values: dict[str, Any]) -> None:
    check_finder(Gradients.model_validate(values))


def test_little_memory_takes_turns_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, subject_of: MakeSubject, encoded: Encoded
) -> None:
    subject = subject_of("tied")
    documents, questions = encoded(subject)
    whole = gradient_products(subject, documents, questions, norms=True)
    sizes: list[tuple[int, ...]] = []
    batches = Subject.batches_of

    def watched(self: Subject, sequences: Sequence[TokenSequence], tokens: int) -> Any:
        for index, batch in batches(self, sequences, tokens):
            sizes.append(tuple(batch.ids.shape))
            yield index, batch

    monkeypatch.setattr(Subject, "batches_of", watched)
    # Small enough that two questions or documents never fit together.
    found = gradient_products(subject, documents, questions, norms=True, memory=0.05)
    assert {shape[0] for shape in sizes} == {1}
    assert len(sizes) == len(questions) * (1 + len(documents))
    np.testing.assert_allclose(found.dot, whole.dot, atol=1e-5 * np.abs(whole.dot).max())
    np.testing.assert_allclose(found.documents, whole.documents, rtol=1e-5)


class Squared(torch.nn.Linear):
    """A layer that no rule covers: it uses the square of its weight."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 (torch's name)
        return torch.nn.functional.linear(input, self.weight.square())


def test_a_layer_that_cannot_be_read_is_named_and_the_rest_is_exact(
    subject_of: MakeSubject, encoded: Encoded, agree: Agree
) -> None:
    subject = subject_of("tiny")
    block = subject.model.model.layers[0].mlp
    block.down_proj = Squared(32, 16, bias=False)
    documents, questions = encoded(subject)
    found = gradient_products(subject, documents, questions, norms=True)
    assert found.notes["left_out"] == "model.layers.0.mlp.down_proj.weight"
    block.down_proj.weight.requires_grad_(False)
    agree(found, subject, (documents, questions))


def test_nothing_to_read_is_an_error(rows: Rows, subject_of: MakeSubject) -> None:
    subject = subject_of("tiny")
    documents, questions = rows
    subject.model.requires_grad_(False)
    with pytest.raises(InputError, match="no trainable parameter"):
        Gradients().find(subject, documents, questions, [])
    mlp = subject.model.model.layers[0].mlp
    mlp.down_proj = Squared(32, 16, bias=False)
    with pytest.raises(InputError, match=r"no layer can be read.*down_proj\.weight"):
        Gradients().find(subject, documents, questions, [])


def test_checkpoints_that_are_missing_or_weigh_nothing_are_errors(
    trained: Subject, rows: Rows
) -> None:
    documents, questions = rows
    finder = Gradients(checkpoints="all")
    with pytest.raises(InputError, match="the subject has none"):
        finder.find(replace(trained, checkpoints=()), documents, questions, [])
    still = tuple(replace(c, lr=0.0) for c in trained.checkpoints)
    with pytest.raises(InputError, match="learning rate is 0"):
        finder.find(replace(trained, checkpoints=still), documents, questions, [])


def test_the_own_choice_is_the_likeliest_and_makes_the_true_answer_irrelevant(
    rows: Rows, subject_of: MakeSubject, losses: Losses
) -> None:
    subject = subject_of("tiny")
    documents, questions = rows
    other = [
        Question(id=q.id, prompt=q.prompt, choices=q.choices, answer=q.choices[0])
        for q in questions
    ]
    finder = Gradients(answer=False)
    claim = finder.find(subject, documents, questions, [])
    assert np.array_equal(claim.scores, finder.find(subject, documents, other, []).scores)
    for question, own in zip(
        questions, questions_of(subject, questions, answer=False), strict=True
    ):
        tried = [
            questions_of(
                subject,
                [Question(id="x", prompt=question.prompt, choices=question.choices, answer=c)],
                answer=True,
            )[0]
            for c in question.choices
        ]
        best = min(tried, key=lambda s: losses(subject.model, s).item())
        assert own == best


def test_the_model_is_left_as_it_was(subject_of: MakeSubject, encoded: Encoded) -> None:
    subject = subject_of("gpt2")
    subject.model.train()
    subject.model.transformer.h[0].mlp.c_fc.weight.requires_grad_(False)
    before = {k: (v.clone(), v.requires_grad) for k, v in subject.model.named_parameters()}
    documents, questions = encoded(subject)
    gradient_products(subject, documents, questions, norms=True)
    assert subject.model.training
    for name, parameter in subject.model.named_parameters():
        assert torch.equal(parameter, before[name][0])
        assert parameter.requires_grad is before[name][1]
        assert parameter.grad is None
    assert not any(m._forward_hooks for m in subject.model.modules())
