import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.finders.factors import capturing
from seedbed.finders.gradients import gradient_products, questions_of
from seedbed.finders.projection import Projector
from seedbed.finders.trak import Member, Trak, read_member, trak_scores
from seedbed.models.folders import save_subject, save_weights
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tokens import TokenSequence

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]
Array = NDArray[np.floating[Any]]
PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


def slow_outputs(
    subject: Subject, sequences: list[TokenSequence]
) -> tuple[dict[str, Tensor], Array]:
    """Gradients of Σ log-odds by autograd, {parameter: [rows, *shape]}, and 1 − mean p [rows]."""
    model: Any = copy.deepcopy(subject.model).double()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    rows, doubts = [], []
    for sequence in sequences:
        logits = model(input_ids=torch.tensor([sequence.ids])).logits[0]
        places = [t for t, p in enumerate(sequence.predicted) if p]
        p = torch.stack([logits[t - 1].softmax(0)[sequence.ids[t]] for t in places])
        odds = (p.log() - (1 - p).log()).sum()
        found = torch.autograd.grad(odds, list(trained.values()), materialize_grads=True)
        rows.append(found)
        doubts.append(1 - p.mean().item())
    return {n: torch.stack(g) for n, *g in zip(trained, *rows, strict=True)}, np.array(doubts)


@PEFT_WARNS
@pytest.mark.parametrize("loss", ["text", "answer"])
@pytest.mark.parametrize("kind", ["tiny", "tied", "qwen", "lora-tied"])
def test_features_are_projected_gradients_of_log_odds(
    kind: str, loss: str, subject_of: MakeSubject, rows: Rows
) -> None:
    subject = subject_of(kind, loss)
    sequences, asked = subject.encode(rows[0]), questions_of(subject, rows[1], answer=True)
    member, _ = read_member(subject, sequences, asked, 12, (5, 0, 0))
    slow = [slow_outputs(subject, group) for group in (sequences, asked)]
    with capturing(subject.model) as capture:
        projector = Projector(capture, 12, 5, "trak", 0, 0)
    for (gradients, _), features in zip(slow, (member.documents, member.questions), strict=True):
        expected = torch.zeros(len(features), 12, dtype=torch.float64)
        for name, gradient in gradients.items():
            if gradient.ndim == 3:
                left = projector.signs(name, "out", gradient.shape[1], 3).double()
                right = projector.signs(name, "in", gradient.shape[2], 4).double()
                expected += torch.einsum("noi,ok,il->nkl", gradient, left, right).flatten(1)
            else:
                size = gradient.shape[1]
                expected += gradient @ projector.signs(name, "", size, 12).double()
        assert np.abs(features - expected.numpy()).max() <= 1e-4 * expected.abs().max()
    np.testing.assert_allclose(member.doubts, slow[0][1], rtol=1e-5)


def test_scores_are_those_of_the_written_formula() -> None:
    rng = np.random.default_rng(0)
    members = [
        Member(rng.normal(size=(3, 5)), rng.normal(size=(9, 5)), rng.random(9)) for _ in "ab"
    ]
    expected = np.zeros((3, 9))
    for q in range(3):
        for d in range(9):
            terms = []
            for m in members:
                kernel = sum(np.outer(row, row) for row in m.documents)
                ridge = 0.5 * np.linalg.eigvalsh(kernel).mean() * np.eye(5)
                terms.append(m.questions[q] @ np.linalg.inv(kernel + ridge) @ m.documents[d])
            expected[q, d] = np.mean(terms) * np.mean([m.doubts[d] for m in members])
    np.testing.assert_allclose(trak_scores(members, 0.5), expected)


def test_turning_all_features_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    questions, documents, doubts = rng.normal(size=(3, 8)), rng.normal(size=(12, 8)), rng.random(12)
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    plain = trak_scores([Member(questions, documents, doubts)], 0.01)
    turned = trak_scores([Member(questions @ turn, documents @ turn, doubts)], 0.01)
    np.testing.assert_allclose(turned, plain)


def test_projected_products_near_the_exact_ones_as_they_grow(
    subject_of: MakeSubject, rows: Rows
) -> None:
    subject = subject_of("tiny", "text")
    sequences = subject.encode(rows[0])
    exact = gradient_products(subject, sequences, sequences, norms=False).dot
    agreement = []
    for size in (4, 64, 1024):
        draws = []
        for seed in range(4):
            features = []
            with capturing(subject.model) as capture, torch.no_grad():
                projector = Projector(capture, size, seed, "test")
                for index, batch in subject.batches(sequences):
                    features.append((index, projector.read(batch)))
            order = np.argsort([i for index, _ in features for i in index])
            all_rows = torch.cat([f for _, f in features]).numpy()[order]
            draws.append(np.corrcoef((all_rows @ all_rows.T).ravel(), exact.ravel())[0, 1])
        agreement.append(float(np.mean(draws)))
    assert agreement[0] < agreement[1] < agreement[2]
    assert agreement[2] > 0.95


def test_more_subjects_and_checkpoints_are_averaged(
    tmp_path: Path, subject_of: MakeSubject, shake: Callable[..., Subject], rows: Rows
) -> None:
    subject = subject_of("tiny", "answer")
    other = shake(subject_of("tiny", "answer"), 0.1, 7)
    save_subject(other, tmp_path / "other")
    claim = Trak(projection=4, subjects=(tmp_path / "other",)).find(subject, *rows, [])
    members = []
    for number, one in enumerate((subject, other)):
        asked = questions_of(one, rows[1], answer=True)
        draw = (subject.seed, number, 0)
        members.append(read_member(one, one.encode(rows[0]), asked, 4, draw)[0])
    np.testing.assert_allclose(claim.scores, trak_scores(members, 0.01), rtol=1e-4)
    assert claim.notes["subjects"].startswith("2,")
    saved = []
    for i in range(2):
        save_weights(other.model, tmp_path / str(i))
        saved.append(Checkpoint(i + 1, i + 1.0, 1.0, tmp_path / str(i)))
        shake(other, 0.1, i)
    many = Trak(projection=4, checkpoints="all").find(
        replace(other, checkpoints=tuple(saved)), *rows, []
    )
    assert many.notes["subjects"].startswith("2,")
    assert many.notes["checkpoints"] == "all 2, alike"


def test_a_projection_wider_than_the_documents_is_refused(
    subject_of: MakeSubject, rows: Rows
) -> None:
    with pytest.raises(InputError, match="to 15 numbers means nothing for 14 documents; use 3"):
        Trak(projection=15).find(subject_of("tiny"), *rows, [])
