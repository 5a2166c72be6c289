from collections.abc import Callable
from typing import Any

import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.models.blocks import Blocks, Site, blocks_of
from seedbed.models.hooks import read
from seedbed.models.tokens import TokenSequence, pad

IDS = (0, 7, 3, 3, 12, 9)


def _streams(model: Any, sites: list[Site]) -> dict[Site, torch.Tensor]:
    return read(model, pad([TokenSequence(IDS, (False,) * len(IDS))]), sites)


def test_the_parts_of_a_block_add_up_to_what_it_hands_on(architecture: Any) -> None:
    if not architecture.parts:
        pytest.skip("no attention and no MLP")
    layers = range(len(blocks_of(architecture.model)))
    sites = [Site(s, n) for n in layers for s in ("resid_pre", "attn_out", "mlp_out", "resid_post")]
    found = _streams(architecture.model, sites)
    scale = getattr(architecture.model.config, "residual_multiplier", 1.0)
    for n in layers:
        before, attended, added, after = (found[s] for s in sites[4 * n : 4 * n + 4])
        torch.testing.assert_close(before + scale * (attended + added), after)


def test_heads_are_what_the_projection_takes_in(architecture: Any) -> None:
    if not architecture.parts:
        pytest.skip("no attention")
    model, kept = architecture.model, []
    path = f"{architecture.blocks}.1.{architecture.parts[2]}"
    module = model.get_submodule(path)
    handle = module.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    heads = blocks_of(model).heads
    found = _streams(model, [Site("head", 1, h) for h in range(heads)])
    handle.remove()
    assert torch.equal(torch.cat([*found.values()], -1), kept[0].view(1, len(IDS), -1))


def test_blocks_are_found_by_the_path_that_transformers_gives_them(architecture: Any) -> None:
    blocks = blocks_of(architecture.model)
    assert blocks.path == architecture.blocks.removeprefix("base_model.model.")
    assert len(blocks) == architecture.model.config.num_hidden_layers
    assert blocks.site(f"{architecture.blocks}.2") == Site("resid_post", 2)


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("resid_post.1", Site("resid_post", 1)),
        ("resid_pre.0", Site("resid_pre", 0)),
        ("head.2.3", Site("head", 2, 3)),
        ("blocks.1.hook_resid_pre", Site("resid_pre", 1)),
        ("blocks.2.hook_resid_post", Site("resid_post", 2)),
        ("blocks.0.hook_attn_out", Site("attn_out", 0)),
        ("blocks.0.hook_mlp_out", Site("mlp_out", 0)),
        ("blocks.1.attn.hook_z", Site("head", 1)),
        ("model.layers.1", Site("resid_post", 1)),
        ("model.layers.1.self_attn", Site("attn_out", 1)),
        ("model.layers.1.mlp", Site("mlp_out", 1)),
        ("base_model.model.model.layers.1.mlp", Site("mlp_out", 1)),
    ],
)
def test_names_that_users_know(
    name: str, site: Site, architecture_of: Callable[[str], Any]
) -> None:
    assert blocks_of(architecture_of("llama").model).site(name) == site


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resid_pst.1", "'resid_pst.1' names no site of the model; did you mean something like"
                        " resid_post.0?"),
        ("blocks.1.hook_residpre", "did you mean something like blocks.0.hook_resid_pre?"),
        ("model.layers.1.norm", "names no site"),
        ("resid_post.3", "resid_post.3: the model has blocks 0 to 2"),
        ("head.0.4", "head.0.4: a block has heads 0 to 3"),
        ("mlp_out.0.1", "mlp_out.0.1: only the stream 'head' has heads"),
        ("x", "'x' names no site of the model"),
    ],
)  # fmt: skip
def test_names_of_nothing(name: str, message: str, architecture_of: Callable[[str], Any]) -> None:
    with pytest.raises(InputError) as error:
        blocks_of(architecture_of("llama").model).site(name)
    assert message in str(error.value)


def test_a_state_space_model_has_a_residual_stream_only(
    architecture_of: Callable[[str], Any],
) -> None:
    blocks = blocks_of(architecture_of("mamba").model)
    assert blocks.spot(Site("resid_post", 2)).side == "out"
    for stream in ("attn_out", "mlp_out"):
        with pytest.raises(InputError, match=f"{stream}.0: MambaBlock has no"):
            blocks.spot(Site(stream, 0))
    with pytest.raises(InputError, match="the model has no attention heads"):
        blocks.spot(Site("head", 0, 0))


def test_experts_are_no_blocks() -> None:
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            block = nn.ModuleDict({"experts": nn.ModuleList(nn.Linear(2, 2) for _ in range(8))})
            self.layers = nn.ModuleList([block])
            self.config = self
            self.hidden_size = 2

        def get_text_config(self) -> Any:
            return self

    blocks = blocks_of(Model())
    assert isinstance(blocks, Blocks)
    assert (blocks.path, len(blocks)) == ("layers", 1)
    with pytest.raises(InputError, match="Linear: has no list of decoder blocks"):
        blocks_of(nn.Linear(2, 2))


def test_prompt_tuning_is_refused(architecture_of: Callable[[str], Any]) -> None:
    class Tuned:
        def __init__(self) -> None:
            self.peft_config = {"default": type("Config", (), {"is_prompt_learning": True})}

    with pytest.raises(InputError, match="Tuned: prompt tuning has tokens at no position"):
        blocks_of(Tuned())
    assert blocks_of(architecture_of("lora").model).heads == 4
