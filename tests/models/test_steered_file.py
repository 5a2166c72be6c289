from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.directions import Directions
from seedbed.core.errors import DataError, InputError
from seedbed.models.hooks import LAST, Add, Along, Edit, edited
from seedbed.models.steered_file import read_steered, write_steered
from seedbed.models.steering import Steer, edits_of

WIDTH, IDS = 16, torch.tensor([[3, 7, 1, 9, 4], [5, 5, 2, 8, 6]])


def vector(seed: int, length: float = 3.0) -> torch.Tensor:
    drawn = torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))
    found: torch.Tensor = length * drawn / drawn.norm()
    return found


def logits(model: Any, edits: list[Edit]) -> torch.Tensor:
    with torch.no_grad(), edited(model, edits):
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def by_lm_eval(model: Any, path: Path) -> torch.Tensor:
    """What lm-eval's own hooks do with the file, on the model as it is."""
    from functools import partial

    from lm_eval.models.hf_steered import SteeredModel, steer

    hooks = {}
    for name, entry in torch.load(path, weights_only=True).items():
        value, head = entry["steering_coefficient"], entry["head_index"]
        if entry["action"] == "add":
            move = entry["steering_vector"] * value
            hooks[name] = partial(SteeredModel.add, vector=move, head_index=head)
        else:
            unit = entry["steering_vector"] / entry["steering_vector"].norm()
            hooks[name] = partial(SteeredModel.clamp, direction=unit, value=value,
                                  bias=entry["bias"], head_index=head)  # fmt: skip
    with torch.no_grad(), steer(model, hooks):
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


EDITS: dict[str, list[Edit]] = {
    "what a block hands on": [Add("resid_post.1", vector(0))],
    "what a block takes in": [Add("resid_pre.2", vector(1))],
    "what the first block takes in": [Add("resid_pre.0", vector(2))],
    "two at one module": [Add("resid_post.0", vector(3)), Add("resid_pre.1", vector(4))],
    "parts of a block": [Add("attn_out.1", vector(5)), Add("mlp_out.0", vector(6))],
    "taken out": [Along("resid_pre.1", vector(7), -1.0)],
}


@pytest.mark.parametrize("family", ["llama", "granite", "gpt2", "lora"])
@pytest.mark.parametrize("name", EDITS)
def test_lm_eval_does_what_the_edits_do(
    name: str, family: str, architecture_of: Callable[..., Any], tmp_path: Path
) -> None:
    model = architecture_of(family).model
    edits = EDITS[name]
    if family == "granite" and "first" in name:
        # It scales embeddings before the first block, by itself.
        with pytest.raises(InputError, match="no module hands this stream on"):
            write_steered(tmp_path / "steer.pt", model, edits)
        return
    path = tmp_path / "steer.pt"
    write_steered(path, model, edits)
    wanted = logits(model, edits)
    assert torch.allclose(by_lm_eval(model, path), wanted, atol=1e-5)
    assert (wanted - logits(model, [])).abs().max() > 1e-3
    again = read_steered(path, model)[1]
    assert torch.allclose(logits(model, again), wanted, atol=1e-5)


def test_a_file_of_lm_evals_kind_is_read_in_full(
    architecture_of: Callable[..., Any], tmp_path: Path
) -> None:
    """A clamp to a value around a bias, and a step back along a vector that is not of length 1."""
    model = architecture_of("llama").model
    path = tmp_path / "steer.pt"
    torch.save(
        {
            "layers.1": {"steering_vector": vector(1), "steering_coefficient": 2.5,
                         "action": "clamp", "bias": vector(2), "head_index": None},
            "layers.0.mlp": {"steering_vector": vector(3), "steering_coefficient": -0.5,
                             "action": "add", "bias": None, "head_index": None},
        },
        path,
    )  # fmt: skip
    directions, edits = read_steered(path, model)
    assert torch.allclose(logits(model, edits), by_lm_eval(model, path), atol=1e-5)
    assert directions.sites == ("resid_post.1@mean", "mlp_out.0@mean")
    assert directions.spread.tolist() == pytest.approx([0.0, 1.5])
    assert float(directions.vectors[1] @ vector(3).numpy()) == pytest.approx(-3.0)
    assert directions.made["actions"] == {"resid_post.1@mean": "clamp", "mlp_out.0@mean": "add"}
    # Steering by the directions is the file's add.
    steer = Steer(tokens="all", sites=("mlp_out.0@mean",))
    assert torch.allclose(logits(model, edits_of(steer, directions)), logits(model, edits[2:]),
                          atol=1e-5)  # fmt: skip


def test_steering_is_written_as_it_acts(
    architecture_of: Callable[..., Any], tmp_path: Path
) -> None:
    model = architecture_of("llama").model
    unit = vector(0, 1.0).numpy()[None]
    directions = Directions(("resid_pre.2@mean",), unit, np.zeros(1), np.full(1, 4.0),
                            np.full(1, 9.0), "a", "b")  # fmt: skip
    edits = edits_of(Steer(tokens="all", strength=-2.0), directions)
    write_steered(tmp_path / "steer.pt", model, edits)
    (entry,) = torch.load(tmp_path / "steer.pt", weights_only=True).values()
    assert entry["steering_coefficient"] == pytest.approx(8.0)
    read, _ = read_steered(tmp_path / "steer.pt", model)
    assert read.sites == ("resid_post.1@mean",)
    assert float(read.vectors[0] @ unit[0]) == pytest.approx(-1.0)


REFUSED: list[tuple[Edit, str]] = [
    (Add("resid_pre.1", vector(0), LAST), "at all tokens"),
    (Add("resid_pre.1", vector(0), None, passes=range(1)), "in every pass"),
    (Add("resid_pre.1", vector(0), None, scaled=True), "another unit than 'state'"),
    (Along("resid_pre.1", vector(0), 1.0), "ablate at strength 1"),
    (Add("head.1.0", vector(0)[:4]), "no module hands this stream on"),
    (Add("resid_pre.1", torch.zeros(2, WIDTH)), "one vector to all rows"),
]


@pytest.mark.parametrize(("edit", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_what_the_file_cannot_say_is_refused(
    edit: Edit, why: str, architecture_of: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=why):
        write_steered(tmp_path / "steer.pt", architecture_of("llama").model, [edit])
    assert not any(tmp_path.iterdir())


def test_two_actions_at_one_module_are_refused(
    architecture_of: Callable[..., Any], tmp_path: Path
) -> None:
    both: list[Edit] = [Along("resid_pre.1", vector(0), -1.0), Add("resid_post.0", vector(1))]
    with pytest.raises(InputError, match=r"two meet at layers\.0"):
        write_steered(tmp_path / "steer.pt", architecture_of("llama").model, both)
    with pytest.raises(InputError, match=r"end in \.pt"):
        write_steered(tmp_path / "steer.bin", architecture_of("llama").model, both[1:])


ENTRY = {"steering_vector": vector(0), "steering_coefficient": 1.0, "action": "add"}
UNFIT: list[tuple[Any, str]] = [
    ({}, "a mapping of modules"),
    ([1], "a mapping of modules"),
    ({"layers.9": ENTRY}, "no module of the model"),
    ({"norm": ENTRY}, "hands on no stream"),
    ({"layers.1.mlp.up_proj": ENTRY}, "hands on no stream"),
    ({"layers.1": 3}, "has no steering_vector"),
    ({"layers.1": {**ENTRY, "steering_vector": torch.zeros(WIDTH)}}, "not all 0"),
    ({"layers.1": {**ENTRY, "steering_vector": torch.ones(4)}}, "a vector of 16 numbers"),
    ({"layers.1": {**ENTRY, "action": "turn"}}, "neither add nor clamp"),
    ({"layers.1": {**ENTRY, "head_index": 0}}, "steers one head"),
]


@pytest.mark.parametrize(("value", "why"), UNFIT, ids=[why for _, why in UNFIT])
def test_other_files_are_refused_in_one_line(
    value: Any, why: str, architecture_of: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "steer.pt"
    torch.save(value, path)
    with pytest.raises(DataError, match=why):
        read_steered(path, architecture_of("llama").model)


def test_code_in_a_file_never_runs(architecture_of: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "steer.pt"
    torch.save({"layers.1": Path("x")}, path)
    with pytest.raises(DataError, match="not a file of tensors alone"):
        read_steered(path, architecture_of("llama").model)
    with pytest.raises(DataError, match="no such file"):
        read_steered(tmp_path / "lost.pt", architecture_of("llama").model)
