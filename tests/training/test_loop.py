import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seedbed.cli.main import main
from seedbed.core.errors import InputError
from seedbed.core.files import read_json, read_objects, write_rows
from seedbed.core.rows import Document
from seedbed.models.adam import STATE
from seedbed.models.adapters import Lora
from seedbed.models.folders import WEIGHTS, load_subject, save_subject, trainable_state
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.training import resume
from seedbed.training.config import Optimizer, Order, Training
from seedbed.training.loop import learning_rate, train

SHORT = Training(steps=12, batch=8, optimizer=Optimizer(lr=1e-2), checkpoint_every=1)


def _history(folder: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_objects(folder / "history.jsonl")]


def _weights(subject: Subject) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trainable_state(subject.model).items()}


def _fresh(documents: list[Document]) -> Subject:
    return Tiny(layers=1, width=16, heads=2).build([d.text for d in documents], [], 3)


def test_it_learns_and_says_how(
    subject: Subject, documents: list[Document], tmp_path: Path
) -> None:
    longer = SHORT.model_copy(update={"steps": 60})
    trained = train(subject, documents, longer, tmp_path)
    history, summary = _history(tmp_path), read_json(tmp_path / "summary.json")
    assert history[0]["loss"] > 2
    assert history[-1]["loss"] < 0.3
    assert {"loss:0", "loss:1", "lr", "epoch"} <= set(history[-1])
    assert summary["steps"] == 60
    assert summary["epochs"] == pytest.approx(20)
    assert [c.step for c in trained.checkpoints] == [3 * k for k in range(1, 21)]
    assert all((c.folder / WEIGHTS).exists() for c in trained.checkpoints)
    assert trained.loss == "answer"


def test_checkpoints_hold_their_own_weights(
    subject: Subject, documents: list[Document], tmp_path: Path
) -> None:
    trained = train(subject, documents, SHORT, tmp_path)
    last = _weights(trained)
    with trained.at(trained.checkpoints[0]) as early:
        changed = [not torch.equal(v, last[k]) for k, v in trainable_state(early.model).items()]
        assert any(changed)
    assert all(torch.equal(v, last[k]) for k, v in trainable_state(trained.model).items())


class Killed(Exception):
    pass


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_an_interrupted_training_ends_with_the_same_bits(
    documents: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    whole = train(_fresh(documents), documents, SHORT, tmp_path / "whole")
    monkeypatch.setattr(resume, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(resume.ResumeState.__init__, "__defaults__", (0.0,))

    def kill(done: int, total: int, text: str) -> None:
        if done == stop:
            raise Killed

    with pytest.raises(Killed):
        train(_fresh(documents), documents, SHORT, tmp_path / "cut", kill)
    again = train(_fresh(documents), documents, SHORT, tmp_path / "cut")
    for name, tensor in _weights(whole).items():
        assert torch.equal(tensor, trainable_state(again.model)[name])
    keys = ("step", "loss", "lr")
    cut, full = _history(tmp_path / "cut"), _history(tmp_path / "whole")
    assert [[r[k] for k in keys] for r in cut] == [[r[k] for k in keys] for r in full]
    assert not (tmp_path / "cut" / "resume").exists()
    for checkpoint in whole.checkpoints:
        for file in (WEIGHTS, STATE):
            other = tmp_path / "cut" / "checkpoints" / checkpoint.folder.name / file
            assert other.read_bytes() == (checkpoint.folder / file).read_bytes()


@pytest.mark.parametrize(
    ("every", "wanted", "kept"),
    [(1, None, True), (0, None, False), (1, False, False), (0, True, True)],
)
def test_second_moments_are_kept_where_they_are_of_use(
    documents: list[Document], tmp_path: Path, every: float, wanted: bool | None, kept: bool
) -> None:
    optimizer = Optimizer(lr=1e-2, second_moments=wanted)
    training = Training(steps=6, batch=8, checkpoint_every=every, optimizer=optimizer)
    trained = train(_fresh(documents), documents, training, tmp_path)
    for checkpoint in trained.checkpoints:
        assert (checkpoint.folder / STATE).exists() is kept
    if kept:
        state = trained.checkpoints[-1].adam(trained.model)
        assert state.step == 6
        assert all(bool((v > 0).any()) for v in state.second.values())
    else:
        with pytest.raises(InputError, match="no optimiser state"):
            trained.checkpoints[-1].adam(trained.model)


def test_second_moments_of_an_adapter(documents: list[Document], tmp_path: Path) -> None:
    lora = SHORT.model_copy(update={"lora": Lora(r=2)})
    trained = train(_fresh(documents), documents, lora, tmp_path / "run")
    save_subject(trained, tmp_path / "run" / "subject")
    again = load_subject(tmp_path / "run" / "subject")
    for checkpoint in again.checkpoints:
        state = checkpoint.adam(again.model)
        assert state.step == checkpoint.step
        assert sorted(state.second) == sorted(trainable_state(again.model))


def test_masking_a_document_equals_leaving_its_loss_out(
    documents: list[Document], tmp_path: Path
) -> None:
    """One step of plain SGD by hand, with the masked document's loss removed."""
    masked = [replace_weight(d, 0.0) if i == 5 else d for i, d in enumerate(documents)]
    plain = Optimizer(lr=1e-3, warmup=0, clip=0, schedule="constant")
    once = Training(steps=1, batch=24, order=Order(kind="given"), optimizer=plain)
    trained = train(_fresh(documents), masked, once, tmp_path)
    by_hand = _fresh(documents)
    slow = torch.optim.AdamW(by_hand.model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0)
    total = torch.zeros(())
    for i, sequence in enumerate(replace(by_hand, loss="answer").encode(documents)):
        ids = torch.tensor([sequence.ids])
        logits = by_hand.model(input_ids=ids).logits[0]
        for t, wanted in enumerate(sequence.predicted):
            if wanted and i != 5:
                total = total - logits[t - 1].log_softmax(-1)[ids[0, t]]
    (total / 24).backward()
    slow.step()
    for (name, a), b in zip(
        by_hand.model.named_parameters(), trained.model.parameters(), strict=True
    ):
        if a.ndim < 2:
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)


def replace_weight(document: Document, weight: float) -> Document:
    return document.model_copy(update={"weight": weight})


def test_whole_text_loss_predicts_every_token_but_the_first(
    subject: Subject, documents: list[Document]
) -> None:
    for sequence in replace(subject, loss="text").encode(documents):
        assert sequence.predicted == (False, *[True] * (len(sequence.ids) - 1))


def test_a_loss_that_is_no_number_is_an_error(
    subject: Subject, documents: list[Document], tmp_path: Path
) -> None:
    for parameter in subject.model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(InputError, match="the loss is nan at step 0"):
        train(subject, documents, SHORT, tmp_path)
    with pytest.raises(InputError, match="at least one document"):
        train(subject, [], SHORT, tmp_path)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_learning_rates(schedule: str) -> None:
    made = Optimizer.model_validate({"lr": 2.0, "warmup": 0.1, "schedule": schedule})
    rates = [learning_rate(made, s, 100) for s in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[10] == 2
    assert rates[99] == (2 if schedule == "constant" else pytest.approx(0, abs=0.03))


LAUNCH = ["-m", "accelerate.commands.launch", "--num_machines", "1", "--mixed_precision", "no",
          "--dynamo_backend", "no", "--num_processes"]  # fmt: skip


def test_two_processes_reproduce_the_curve_of_one(
    documents: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "documents.jsonl", documents)
    config = {
        "subject": {"kind": "tiny", "layers": 1, "width": 16, "heads": 2},
        "training": {**SHORT.model_dump(mode="json"), "order": {"kind": "alternate"}},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    words = ["train", str(tmp_path / "documents.jsonl"), "--config", str(tmp_path / "config.yaml")]
    monkeypatch.setattr(sys, "argv", ["seedbed", *words, "--out", str(tmp_path / "1")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    # The flag means several processes; without a GPU they are CPU processes over gloo.
    command = [sys.executable, *LAUNCH, "2", "--multi_gpu", "-m", "seedbed.cli.main", *words,
               "--out", str(tmp_path / "2")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    curves = []
    for count in (1, 2):
        out = tmp_path / str(count)
        assert read_json(out / "summary.json")["processes"] == count
        curves.append([row["loss"] for row in _history(out)])
    assert len(curves[0]) == 12
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)


def _logits(model: Any, subject: Subject) -> torch.Tensor:
    ids = torch.tensor(
        [subject.encode([Document(id="a", text="a is blue", targets=((5, 9),))])[0].ids]
    )
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids).logits
    return found


LORA = SHORT.model_copy(update={"lora": Lora(r=2, alpha=8, rslora=True)})


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("between", [True, False], ids=["loaded", "in memory"])
def test_lora_on_a_subject_that_was_trained_whole(
    documents: list[Document], tmp_path: Path, between: bool
) -> None:
    """The second stage of a study: plain peft reads it on the model folder of the first."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    first = train(_fresh(documents), documents, SHORT, tmp_path / "first")
    save_subject(first, tmp_path / "first" / "subject")
    if between:
        first = load_subject(tmp_path / "first" / "subject")
    whole = _logits(first.model, first)
    second = train(first, documents, LORA, tmp_path / "second")
    save_subject(second, tmp_path / "second" / "subject")
    after = _logits(second.model, second)
    assert not torch.allclose(after, whole, atol=1e-2)
    place = tmp_path / "second" / "subject"
    assert (place / "base").exists() is not between
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "first" / "subject").eval()
    assert torch.equal(_logits(base, first), whole)
    theirs = PeftModel.from_pretrained(base, str(place)).eval()
    torch.testing.assert_close(_logits(theirs, first), after, rtol=0, atol=1e-5)
    again = load_subject(place)
    assert torch.equal(_logits(again.model, again), after)
    states = []
    for checkpoint in again.checkpoints:
        with again.at(checkpoint) as then:
            states.append(_logits(then.model, then))
    assert len(states) == 4
    assert not torch.equal(states[0], states[-1])
    assert torch.equal(states[-1], after)


def test_a_second_stage_goes_on_with_the_adapter_of_the_first(
    documents: list[Document], tmp_path: Path
) -> None:
    first = train(_fresh(documents), documents, LORA, tmp_path / "first")
    save_subject(first, tmp_path / "first" / "subject")
    found = []
    for name, lora in (("none", None), ("same", LORA.lora), ("other", Lora(r=1))):
        begun = load_subject(tmp_path / "first" / "subject")
        before = _logits(begun.model, begun)
        again = train(begun, documents, LORA.model_copy(update={"lora": lora}), tmp_path / name)
        assert len(trainable_state(again.model)) == len(trainable_state(first.model))
        found.append(_logits(again.model, again))
        assert not torch.allclose(found[-1], before, atol=1e-2)
        save_subject(again, tmp_path / name / "subject")
        loaded = load_subject(tmp_path / name / "subject")
        assert torch.equal(_logits(loaded.model, loaded), found[-1])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_mixed_precision_ends_with_the_training(
    subject: Subject, documents: list[Document], tmp_path: Path
) -> None:
    low = Training(steps=2, batch=4, precision="bfloat16")
    trained = train(subject, documents, low, tmp_path)
    seen: list[torch.dtype] = []
    layer = next(m for m in trained.model.modules() if isinstance(m, torch.nn.Linear))
    layer.register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    trained.model(torch.tensor([[1, 2]]))
    assert seen == [torch.float32]
