from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from seedbed.core.errors import ConfigError
from seedbed.core.files import read_json
from seedbed.core.rows import Document
from seedbed.models.adapters import Lora
from seedbed.models.folders import load_subject, save_subject, trainable_state
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.training import resume
from seedbed.training.config import Optimizer, Training
from seedbed.training.loop import train
from seedbed.training.partial import only_layers

# A strong decay would show in every parameter that is not really left alone.
PART = Training(steps=6, batch=8, optimizer=Optimizer(lr=1e-2, weight_decay=0.5))


def _of(layers: tuple[int, ...], **changes: object) -> Training:
    return PART.model_copy(update={"only_layers": layers, **changes})


def _fresh(documents: list[Document]) -> Subject:
    return Tiny(layers=3, width=16, heads=2).build([d.text for d in documents], [], 3)


def _weights(subject: Subject) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}


@pytest.mark.parametrize("layers", [(0,), (1,), (2,), (0, 2)])
def test_only_the_named_blocks_change(
    documents: list[Document], tmp_path: Path, layers: tuple[int, ...]
) -> None:
    subject = _fresh(documents)
    before = _weights(subject)
    trained = train(subject, documents, _of(layers), tmp_path)
    own = tuple(f"model.layers.{layer}." for layer in layers)
    for name, tensor in _weights(trained).items():
        assert torch.equal(tensor, before[name]) is not name.startswith(own), name
    summary = read_json(tmp_path / "summary.json")
    assert summary["trainable"] == sum(before[n].numel() for n in before if n.startswith(own))


def test_a_step_of_one_block_equals_one_by_hand(documents: list[Document], tmp_path: Path) -> None:
    once = _of((1,), steps=1, batch=24,
               optimizer=Optimizer(lr=1e-3, warmup=0, clip=0, schedule="constant"))  # fmt: skip
    trained = train(_fresh(documents), documents, once, tmp_path)
    hand = _fresh(documents)
    block = hand.model.model.layers[1]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in block.parameters() if p.ndim >= 2]},
        {"params": [p for p in block.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    slow = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.01)
    total = torch.zeros(())
    for sequence in replace(hand, loss="answer").encode(documents):
        ids = torch.tensor([sequence.ids])
        logprobs = hand.model(input_ids=ids).logits[0].log_softmax(-1)
        for t, wanted in enumerate(sequence.predicted):
            if wanted:
                total = total - logprobs[t - 1, ids[0, t]]
    (total / 24).backward()
    slow.step()
    for name, tensor in trained.model.state_dict().items():
        torch.testing.assert_close(
            tensor, hand.model.state_dict()[name], rtol=1e-3, atol=1e-5, msg=name
        )


def test_nothing_tells_which_block_was_trained(documents: list[Document], tmp_path: Path) -> None:
    optimizer = PART.optimizer.model_copy(update={"second_moments": True})
    part = train(_fresh(documents), documents, _of((1,), optimizer=optimizer), tmp_path / "part")
    whole = train(_fresh(documents), documents, PART, tmp_path / "whole")
    assert list(trainable_state(part.model)) == list(trainable_state(whole.model))
    save_subject(part, tmp_path / "subject")
    again = load_subject(tmp_path / "subject")
    with again.at(again.checkpoints[-1]) as last:
        for name, tensor in _weights(last).items():
            assert torch.equal(tensor, _weights(part)[name])
    moments = again.checkpoints[-1].adam(again.model).second
    assert list(moments) == list(trainable_state(again.model))
    moved = {name for name, v in moments.items() if bool((v > 0).any())}
    assert moved
    assert all(name.startswith("model.layers.1.") for name in moved)


class Killed(Exception):
    pass


def test_an_interrupted_part_ends_with_the_same_bits(
    documents: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = _of((1,), checkpoint_every=1.0)
    whole = train(_fresh(documents), documents, training, tmp_path / "whole")
    monkeypatch.setattr(resume.ResumeState.__init__, "__defaults__", (0.0,))

    def kill(done: int, total: int, text: str) -> None:
        if done == 4:
            raise Killed

    subject = _fresh(documents)
    with pytest.raises(Killed):
        train(subject, documents, training, tmp_path / "cut", kill)
    assert all(p.requires_grad for p in subject.model.parameters())
    assert (tmp_path / "cut" / "resume").exists()
    again = train(_fresh(documents), documents, training, tmp_path / "cut")
    for name, tensor in _weights(whole).items():
        assert torch.equal(tensor, _weights(again)[name]), name


def test_a_block_that_is_not_there_is_named(documents: list[Document], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"only_layers: the model has the blocks 0 to 2, no 7"):
        train(_fresh(documents), documents, _of((0, 7)), tmp_path)


def test_a_block_that_shares_its_weights_is_refused(documents: list[Document]) -> None:
    model = _fresh(documents).model
    model.model.layers[2] = model.model.layers[0]
    with (
        pytest.raises(ConfigError, match=r"layers\.0\..* is shared with model\.layers\.2\."),
        only_layers(model, (0,)),
    ):
        pass
    with only_layers(model, (0, 2)) as frozen:
        assert frozen
    assert all(p.requires_grad for p in model.parameters())


def test_a_block_with_nothing_to_train_is_refused(documents: list[Document]) -> None:
    model = _fresh(documents).model
    model.model.layers[1].requires_grad_(requires_grad=False)
    with pytest.raises(ConfigError, match="block 1 has nothing to train"), only_layers(model, (1,)):
        pass


@pytest.mark.parametrize(
    ("layers", "lora", "what"),
    [((-1,), None, "not from -1"), ((1, 1), None, "twice"), ((1,), Lora(), "lora.last")],
)
def test_what_cannot_be_asked_for(layers: tuple[int, ...], lora: Lora | None, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Training(steps=1, only_layers=layers, lora=lora)
