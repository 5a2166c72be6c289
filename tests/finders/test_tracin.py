"""Several checkpoints, Adam's metric, several measures, low precision and resuming."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.rows import Document, Question
from seedbed.finders import gradients, shards
from seedbed.finders.factors import Capture
from seedbed.finders.gradients import Gradients, questions_of
from seedbed.models.adam import STATE
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence
from seedbed.training.config import Optimizer, Training
from seedbed.training.loop import train

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]
Explicit = Callable[[Any, Sequence[TokenSequence]], torch.Tensor]

PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
SHORT = Training(steps=6, batch=7, loss="answer", optimizer=Optimizer(lr=1e-2), checkpoint_every=1)


def trained(kind: str, rows: Rows, make: MakeSubject, folder: Path) -> Subject:
    return train(make(kind, "answer"), rows[0], SHORT, folder)


@pytest.fixture
def subject(rows: Rows, subject_of: MakeSubject, tmp_path: Path) -> Subject:
    return trained("tiny", rows, subject_of, tmp_path / "training")


@PEFT_WARNS
@pytest.mark.parametrize("kind", ["tiny", "gpt2", "lora"])
def test_adam_scales_gradients_as_it_scaled_steps(
    kind: str, rows: Rows, subject_of: MakeSubject, explicit: Explicit, tmp_path: Path
) -> None:
    subject = trained(kind, rows, subject_of, tmp_path)
    assert len(subject.checkpoints) == 3
    documents, questions = rows
    finder = Gradients(measure=("dot", "cosine"), checkpoints="all", precondition="adam")
    dot, cosine = finder.find_all(subject, documents, questions, [])
    wanted = np.zeros((2, len(questions), len(documents)))
    whole = sum(c.lr for c in subject.checkpoints)
    for checkpoint in subject.checkpoints:
        with subject.at(checkpoint) as then:
            d = explicit(then.model, then.encode(documents))
            q = explicit(then.model, questions_of(then, questions, answer=True))
            state = checkpoint.adam(then.model)
            names = [n for n, p in then.model.named_parameters() if p.requires_grad]
            v = torch.cat([state.second[n].flatten() for n in names]).double()
        p = 1 / ((v / (1 - 0.95**checkpoint.step)).sqrt() + 1e-8)
        product = (q * p @ d.T).numpy()
        sizes = [(g * g * p).sum(1).sqrt().numpy() for g in (q, d)]
        wanted[0] += checkpoint.lr * product
        wanted[1] += checkpoint.lr / whole * product / np.outer(*sizes)
    for claim, values in zip((dot, cosine), wanted, strict=True):
        np.testing.assert_allclose(claim.scores, values, atol=1e-4 * np.abs(values).max())
    assert "Adam" in dot.notes["preconditioned"]
    plain = Gradients(checkpoints="all").find(subject, documents, questions, [])
    assert np.corrcoef(plain.scores.ravel(), dot.scores.ravel())[0, 1] < 0.999


def test_a_missing_state_is_said_in_one_line(subject: Subject, rows: Rows) -> None:
    for checkpoint in subject.checkpoints:
        (checkpoint.folder / STATE).unlink()
    for checkpoints in ("last", "all"):
        finder = Gradients(precondition="adam", checkpoints=checkpoints)
        with pytest.raises(InputError, match="second_moments: true"):
            finder.find(subject, *rows, [])
    with pytest.raises(InputError, match="needs a checkpoint"):
        Gradients(precondition="adam").find(replace(subject, checkpoints=()), *rows, [])


def test_several_measures_come_from_one_pass(
    subject: Subject, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = Gradients(measure=("dot", "cosine"))
    assert [v.name for v in finder.variants()] == ["gradients-dot", "gradients-cosine"]
    assert [v.name for v in Gradients(label="g", measure=("cosine",)).variants()] == ["g-cosine"]
    alone = [v.find(subject, *rows, []) for v in finder.variants()]
    reads = count_reads(monkeypatch)
    together = finder.find_all(subject, *rows, [])
    assert sum(reads) == len(rows[0]) + len(rows[1])
    for one, same in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.scores, same.scores, rtol=1e-12)
    with pytest.raises(ConfigError, match="measure: at least one"):
        validate(Gradients, {"measure": []}, "study")


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every batch whose gradients are read from now on."""
    rows: list[int] = []
    read = Capture.read

    def counted(self: Capture, batch: Any, take: Any) -> torch.Tensor:
        rows.append(len(batch.ids))
        return read(self, batch, take)

    monkeypatch.setattr(Capture, "read", counted)
    return rows


def test_only_the_last_of_several_checkpoints_is_warned_of(subject: Subject, rows: Rows) -> None:
    claim = Gradients().find(subject, *rows, [])
    assert claim.notes["warning"].startswith("only the last of 3 checkpoints")
    assert "warning" not in Gradients(checkpoints="all").find(subject, *rows, []).notes
    single = replace(subject, checkpoints=subject.checkpoints[-1:])
    assert "warning" not in Gradients().find(single, *rows, []).notes


class Killed(Exception):
    pass


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of four documents."""
    monkeypatch.setattr(shards.Shards.__init__, "__defaults__", (None, "", 4))


@pytest.mark.usefixtures("narrow")
def test_a_killed_call_goes_on_and_a_damaged_shard_alone_is_made_again(
    subject: Subject, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, questions = rows
    finder = Gradients(measure=("dot", "cosine"), checkpoints="all", precondition="adam")
    whole = finder.find_all(subject, *rows, [])
    kept = replace(subject, scratch=tmp_path / "scratch")
    put = shards.Shards.put
    done: list[range] = []

    def kill(self: shards.Shards, lines: Any, columns: range, block: Any) -> None:
        if len(done) == 6:
            raise Killed
        put(self, lines, columns, block)
        done.append(columns)

    monkeypatch.setattr(shards.Shards, "put", kill)
    with pytest.raises(Killed):
        finder.find_all(kept, *rows, [])
    monkeypatch.setattr(shards.Shards, "put", put)
    reads = count_reads(monkeypatch)

    def again(wanted: int) -> None:
        reads.clear()
        claims = finder.find_all(kept, *rows, [])
        for claim, same in zip(claims, whole, strict=True):
            assert claim.scores.tobytes() == same.scores.tobytes()
            assert claim.notes == same.notes
        assert sum(reads) == wanted

    # 14 documents are shards of 4, 4, 4 and 2; six shards of three checkpoints are there. Each
    # checkpoint costs one more reading, to learn its layers.
    again(3 + (14 - 8) + len(questions) + 14 + len(questions))
    again(3)
    (folder, *_) = sorted((tmp_path / "scratch").iterdir())
    values = np.load(folder / shards.MATRIX, mmap_mode="r+")
    values[2, 5] *= 2
    values.flush()
    again(3 + 4 + len(questions))
    other = finder.model_copy(update={"answer": False})
    reads.clear()
    other.find_all(kept, *rows, [])
    assert sum(reads) == 3 * (1 + 14 + len(questions))
    reads.clear()
    finder.find_all(kept, documents[1:], questions, [])
    assert sum(reads) == 3 * (1 + 13 + len(questions))


@pytest.mark.parametrize("kind", ["tiny", "tied", "gpt2", "gemma"])
def test_bfloat16_is_near_and_says_how_near(kind: str, subject_of: MakeSubject, rows: Rows) -> None:
    subject = subject_of(kind)
    exact = Gradients().find(subject, *rows, [])
    rough = Gradients(precision="bfloat16").find(subject, *rows, [])
    assert not np.allclose(exact.scores, rough.scores, rtol=1e-6)
    correlation = np.corrcoef(exact.scores.ravel(), rough.scores.ravel())[0, 1]
    assert correlation > 0.99
    assert f"correlation {correlation:.4f} with exact" in rough.notes["precision"]
    assert "precision" not in exact.notes


def test_a_precision_that_changes_too_much_is_an_error(
    subject: Subject, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradients, "LEAST", 0.9999999)
    with pytest.raises(InputError, match="use precision: float32"):
        Gradients(precision="bfloat16").find(subject, *rows, [])


def test_bfloat16_is_compared_in_the_same_metric(subject: Subject, rows: Rows) -> None:
    values = {"measure": ("dot", "cosine"), "precondition": "adam", "checkpoints": "all"}
    exact, _ = Gradients.model_validate(values).find_all(subject, *rows, [])
    low = Gradients.model_validate({**values, "precision": "bfloat16"})
    rough, _ = low.find_all(subject, *rows, [])
    assert np.corrcoef(exact.scores.ravel(), rough.scores.ravel())[0, 1] > 0.99
    assert float(rough.notes["precision"].split("correlation ")[1].split()[0]) > 0.999


@pytest.mark.parametrize("kind", ["tiny", "tied", "lora-tied"])
@PEFT_WARNS
def test_projections_come_near_as_they_grow(
    kind: str, subject_of: MakeSubject, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seedbed.finders import routes

    monkeypatch.setattr(routes, "cheapest", lambda *_: "projected")
    subject = subject_of(kind)
    exact = Gradients(measure=("dot", "cosine")).find_all
    errors = []
    for size in (2, 16, 128):
        finder = Gradients(measure=("dot", "cosine"), products="projected", projection=size)
        found = finder.find_all(subject, *rows, [])
        assert found[0].notes["precision"].startswith(f"projection {size}: correlation")
        assert "projected: " in found[0].notes["products"]
        monkeypatch.setattr(routes, "cheapest", lambda *_: "tokens")
        true = exact(subject, *rows, [])
        monkeypatch.setattr(routes, "cheapest", lambda *_: "projected")
        errors.append([np.abs(f.scores - t.scores).max() / np.abs(t.scores).max()
                       for f, t in zip(found, true, strict=True)])  # fmt: skip
    assert max(errors[2]) < 0.3
    assert errors[2][0] < errors[1][0] < errors[0][0]
