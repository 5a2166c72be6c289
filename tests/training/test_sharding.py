"""FSDP2 on two CPU processes: what one process leaves, whole, though neither held the model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tests.training.sharded import STOP, fresh

from seedbed.core.errors import ConfigError
from seedbed.core.files import read_json, read_objects, write_rows
from seedbed.core.rows import Document
from seedbed.models.adam import STATE, read_adam
from seedbed.models.adapters import Lora, adapt
from seedbed.models.folders import WEIGHTS, load_subject, trainable_state
from seedbed.training import loop
from seedbed.training.config import Optimizer, Training
from seedbed.training.loop import train
from seedbed.training.methods import Method
from seedbed.training.trackers import accelerator_for

FSDP = Path(__file__).parents[2] / "studies" / "launch" / "fsdp.yaml"
STEPS = 8
TRAINING = Training(steps=STEPS, batch=8, optimizer=Optimizer(lr=1e-2), checkpoint_every=1)
# Weights are up to 1, moments up to 0.02: sums over two processes differ in their last bits.
TOLERANCE, OF_MOMENTS = 1e-5, 1e-7


def _close(a: Path, b: Path, most: float) -> None:
    found, wanted = load_file(a), load_file(b)
    assert sorted(found) == sorted(wanted)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=most, msg=name)
    with safe_open(a, "pt") as one, safe_open(b, "pt") as other:
        assert one.metadata() == other.metadata()


def test_shards_of_two_processes_leave_what_one_leaves(
    documents: list[Document], tmp_path: Path
) -> None:
    write_rows(tmp_path / "documents.jsonl", documents)
    (tmp_path / "training.json").write_text(TRAINING.model_dump_json())
    one = train(fresh(documents), documents, TRAINING, tmp_path / "one")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(FSDP),
               "--num_processes", "2", str(Path(__file__).with_name("sharded.py")),
               str(tmp_path)]  # fmt: skip
    alone = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **alone}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    size = sum(p.numel() for p in one.model.parameters())
    for rank in range(2):
        held = read_json(tmp_path / f"held-{rank}.json")
        # All steps, those until it was interrupted, and only those that were left.
        assert len(held) == STEPS + STOP + (STEPS - STOP)
        assert all(whole == size and mine <= 0.51 * size for mine, whole in held)
    curve = [row["loss"] for _, row in read_objects(tmp_path / "one" / "history.jsonl")]
    for name in ("whole", "cut"):
        folder = tmp_path / name
        rows = [row["loss"] for _, row in read_objects(folder / "history.jsonl")]
        assert rows == pytest.approx(curve, abs=TOLERANCE)
        told = read_json(folder / "summary.json")
        same = ("steps", "parameters", "trainable", "checkpoints")
        assert [told[k] for k in same] == [
            read_json(tmp_path / "one" / "summary.json")[k] for k in same
        ]
        assert not (folder / "resume").exists()
        for checkpoint in one.checkpoints:
            place = folder / "checkpoints" / checkpoint.folder.name
            for file, most in ((WEIGHTS, TOLERANCE), (STATE, OF_MOMENTS)):
                _close(place / file, checkpoint.folder / file, most)
    # An interruption changes no bit.
    for path in sorted((tmp_path / "whole" / "checkpoints").rglob("*.safetensors")):
        other = tmp_path / "cut" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes()
    again = load_subject(tmp_path / "whole" / "subject")
    for tensor, wanted in zip(again.model.parameters(), one.model.parameters(), strict=True):
        torch.testing.assert_close(tensor, wanted, rtol=0, atol=TOLERANCE)
    assert sorted(read_adam(again.model, again.checkpoints[0].folder).second) == sorted(
        trainable_state(one.model)
    )


@pytest.mark.parametrize(
    ("change", "setting", "said"),
    [
        ({"method": Method(kind="kl")}, {}, "training.method: kl"),
        ({"only_layers": (0,)}, {}, "training.only_layers"),
        ({"lora": Lora(r=2)}, {}, "training.lora"),
        ({}, {"FSDP_VERSION": "1"}, "fsdp_version: 1"),
        ({}, {"FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}, "fsdp_cpu_ram_efficient_loading"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_what_does_not_go_with_shards_is_said_at_once(
    documents: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object], setting: dict[str, str], said: str,
) -> None:  # fmt: skip
    for name, value in {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", **setting}.items():
        monkeypatch.setenv(name, value)
    training = TRAINING.model_copy(update=change)
    with pytest.raises(ConfigError, match=f"FSDP here does not go with {said}: it trains"):
        train(fresh(documents), documents, training, tmp_path)
    assert not any(tmp_path.iterdir())


def test_neither_a_loss_of_ones_own_nor_an_adapter_goes_with_shards(
    documents: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")

    def objective(*given: object) -> loop.Take:
        raise AssertionError

    with pytest.raises(ConfigError, match="a loss of pairs or labels: it trains"):
        train(fresh(documents), documents, TRAINING, tmp_path, objective=objective)
    adapted = adapt(fresh(documents), Lora(r=2))
    with pytest.raises(ConfigError, match="a subject with an adapter: it trains"):
        train(adapted, documents, TRAINING, tmp_path)


def test_shards_that_accelerate_would_not_make_are_not_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    with pytest.raises(ConfigError, match="FSDP needs GPUs and several processes"):
        accelerator_for(TRAINING, tmp_path)
