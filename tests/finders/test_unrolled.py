import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.finders.adapters.bergson import Bergson
from seedbed.finders.base import FINDERS
from seedbed.finders.gradients import questions_of
from seedbed.finders.randomised import Randomised
from seedbed.finders.replay import Replay
from seedbed.finders.unrolled import Unrolled, smoothness, unrolled_effects
from seedbed.models.adapters import Lora
from seedbed.models.folders import trainable_state
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import TokenSequence
from seedbed.training.config import Order, Training
from seedbed.training.loop import train

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]
Array = NDArray[np.floating[Any]]
PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


def training_of(**changes: Any) -> Training:
    values = {"steps": 7, "batch": 4, "loss": "text", "optimizer": {"lr": 3e-3}}
    return Training.model_validate({**values, **changes})


def differences(
    subject: Subject,
    documents: Sequence[Document],
    training: Training,
    questions: Sequence[TokenSequence],
    size: float,
) -> Array:
    """[questions, every third document] by central differences: two trainings a document."""
    replay = Replay(subject, documents, training, torch.float64)
    own = torch.tensor([d.weight for d in documents], dtype=torch.float64)
    columns = []
    for i in range(0, len(documents), 3):
        step = torch.zeros_like(own)
        step[i] = size
        ends = [replay.question_losses(replay.run(own + s * step), questions) for s in (1, -1)]
        columns.append((ends[0] - ends[1]) / (2 * size))
    return torch.stack(columns, 1).numpy()


@PEFT_WARNS
@pytest.mark.parametrize("kind", ["tiny", "tied", "lora"])
def test_a_replay_ends_where_training_ends(
    kind: str, tmp_path: Path, subject_of: MakeSubject, rows: Rows
) -> None:
    training = training_of(optimizer={"lr": 1e-2, "clip": 0.5, "warmup": 0.2})
    documents = [d.model_copy(update={"weight": 0.5 * (i % 3)}) for i, d in enumerate(rows[0])]
    start = subject_of(kind, "text")
    end = Replay(start, documents, training).run(torch.tensor([d.weight for d in documents]))
    trained = train(start, documents, training, tmp_path)
    flat = torch.cat([t.flatten() for t in trainable_state(trained.model).values()])
    torch.testing.assert_close(end, flat, rtol=1e-3, atol=1e-4)


def no_dropout(subject: Subject) -> Subject:
    for module in subject.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return subject


@PEFT_WARNS
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("gpt2", {}),
        ("gpt2", {"optimizer": {"lr": 3e-3, "clip": 0.2, "weight_decay": 0.3}}),
        ("gpt2", {"optimizer": {"lr": 3e-3, "clip": 0}, "loss": "answer"}),
        ("tiny", {"batch": 5}),
        ("lora", {}),
    ],
)
def test_effects_are_finite_differences(
    kind: str, changes: dict[str, Any], subject_of: MakeSubject, rows: Rows
) -> None:
    subject, training = no_dropout(subject_of(kind, "text")), training_of(**changes)
    documents = [d.model_copy(update={"weight": 0.5 + i % 2}) for i, d in enumerate(rows[0])]
    asked = questions_of(subject, rows[1], answer=True)
    effects = unrolled_effects(subject, documents, training, asked, dtype=torch.float64)[:, ::3]
    # Llama's norms work in float32 whatever they are given: a smaller step would drown.
    size, noise = (1e-5, 1e-4) if kind == "gpt2" else (1e-4, 1e-3)
    slow = differences(subject, documents, training, asked, size)
    assert np.corrcoef(effects.ravel(), slow.ravel())[0, 1] >= 1 - noise
    assert np.abs(effects - slow).max() <= math.sqrt(noise) * np.abs(slow).max()


def test_little_memory_runs_steps_again_and_takes_questions_in_turns(
    subject_of: MakeSubject, rows: Rows
) -> None:
    subject, training = subject_of("tiny", "text"), training_of(steps=6)
    asked = questions_of(subject, rows[1][:2], answer=True)
    whole = unrolled_effects(subject, rows[0], training, asked)
    tight = unrolled_effects(subject, rows[0], training, asked, memory=0.01)
    np.testing.assert_allclose(tight, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())
    again = unrolled_effects(subject, rows[0], training, asked)
    np.testing.assert_array_equal(again, whole)


def test_a_document_that_is_never_read_has_no_effect(subject_of: MakeSubject, rows: Rows) -> None:
    subject = subject_of("tiny", "text")
    training = training_of(steps=2, order={"kind": "given"})
    asked = questions_of(subject, rows[1], answer=True)
    effects = unrolled_effects(subject, rows[0], training, asked)
    assert not effects[:, 8:].any()
    assert effects[:, :8].any(0).all()


def test_smoothness_falls_with_the_size_of_the_change(subject_of: MakeSubject, rows: Rows) -> None:
    subject = no_dropout(subject_of("gpt2", "text"))
    training = training_of(steps=5, optimizer={"lr": 3e-3, "schedule": "constant"})
    asked = questions_of(subject, rows[1], answer=True)
    effects = unrolled_effects(subject, rows[0], training, asked, dtype=torch.float64)
    figures = smoothness(
        subject, rows[0], training, asked, effects, sizes=(1e-5, 1.0), groups=4,
        share=0.3, dtype=torch.float64,
    )  # fmt: skip
    assert figures[1e-5] > 0.9999
    assert -1 <= figures[1.0] < figures[1e-5]
    flat = smoothness(subject, rows[0], training, asked, effects, sizes=(0.0,), groups=3)
    assert math.isnan(flat[0.0])


@pytest.mark.parametrize(
    ("kind", "changes", "match"),
    [
        ("gpt2", {}, "dropout 0.1"),
        ("tiny", {"precision": "bfloat16"}, "float32"),
        ("tiny", {"lora": {"r": 2, "dropout": 0.2}}, "dropout 0.2"),
        ("tiny", {"method": {"kind": "kl"}}, "method kl cannot be followed"),
    ],
)
@PEFT_WARNS
def test_what_is_no_function_of_weights_is_refused(
    kind: str, changes: dict[str, Any], match: str, subject_of: MakeSubject, rows: Rows
) -> None:
    with pytest.raises(InputError, match=match):
        Replay(subject_of(kind, "text"), rows[0], training_of(**changes))


def test_the_finder_starts_where_the_subject_did(tmp_path: Path, rows: Rows) -> None:
    documents, questions = rows
    texts = [d.text for d in documents] + [q.prompt for q in questions]
    config = Tiny(layers=2, width=16, heads=2)
    training = training_of(steps=6)
    start = config.build([*texts, "unseen words"], ["<NEW>"], 3)
    asked = questions_of(start, questions, answer=True)
    expected = unrolled_effects(start, documents, training, asked)
    trained = train(start, documents, training, tmp_path)
    finder = FINDERS.build(
        {"kind": "unrolled", "training": training.model_dump(), "subject": config.model_dump(),
         "smoothness": 3}
    )  # fmt: skip
    assert not finder.unavailable()
    claim = finder.find(trained, documents, questions, [])
    np.testing.assert_array_equal(claim.scores, -expected)
    assert claim.notes["smoothness"].startswith("correlation")
    other = finder.model_copy(update={"training": training_of(steps=5)})
    with pytest.raises(InputError, match="does not end at this subject's weights"):
        other.find(trained, documents, questions, [])
    bare = Unrolled()
    assert "training" in bare.unavailable()
    with pytest.raises(InputError, match="needs 'training' and 'subject'"):
        bare.find(trained, documents, questions, [])


def test_a_study_lends_its_training_where_the_order_can_be_followed() -> None:
    alone, config, training = Unrolled(), Tiny(layers=1, width=16), Training(steps=3)
    assert "needs 'training'" in alone.unavailable()
    placed = alone.placed(config, training)
    assert placed.unavailable() == ""
    assert placed.unsuited(config, training) == ""
    assert Randomised(of=alone).unavailable()
    assert Randomised(of=alone).placed(config, training).unavailable() == ""
    grouped = Training(steps=3, order=Order(kind="interleave"))
    assert "interleave" in Randomised(of=alone).unsuited(config, grouped)
    assert "LoRA" in Bergson().unsuited(config, Training(steps=3, lora=Lora()))
