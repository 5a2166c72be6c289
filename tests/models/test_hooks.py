import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.models.blocks import Site, blocks_of
from seedbed.models.hooks import Add, Edit, Replace, edited, evaluating, hooked, read, resumed
from seedbed.models.tokens import Batch, TokenSequence, pad

IDS = ((0, 7, 3, 3, 12, 9), (0, 21, 5), (0, 8, 8, 30))
SITE = Site("resid_post", 1)


def _batch(rows: tuple[tuple[int, ...], ...]) -> Batch:
    return pad([TokenSequence(r, (False,) * len(r)) for r in rows])


def _left(rows: tuple[tuple[int, ...], ...]) -> tuple[Tensor, Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(r)) + list(r) for r in rows])
    mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows])
    return ids, mask


def _vector(seed: int = 0) -> Tensor:
    return torch.randn(16, generator=torch.Generator().manual_seed(seed))


def test_streams_are_the_hidden_states_of_transformers(architecture: Any) -> None:
    model = architecture.model
    layers = len(blocks_of(model))
    sites = [Site("resid_pre", n) for n in range(layers)]
    batch = _batch(IDS)
    found = read(model, batch, sites)
    wanted = model(batch.ids, attention_mask=batch.mask, output_hidden_states=True).hidden_states
    # The last one is after the final norm, so it is no block's output.
    if architecture.parts:
        for site, states in zip(sites, wanted[:-1], strict=True):
            assert torch.equal(found[site], states)
    after = read(model, batch, [f"resid_post.{n}" for n in range(layers - 1)])
    for n in range(layers - 1):
        assert torch.equal(after[Site("resid_post", n)], found[sites[n + 1]])
        if not architecture.parts:
            # Mamba counts its hidden states from the first block's output.
            assert torch.equal(after[Site("resid_post", n)], wanted[n])


def test_an_edit_steers_every_token_it_names_and_no_other(architecture: Any) -> None:
    model, batch, vector = architecture.model, _batch(IDS), _vector()
    before = read(model, batch, [SITE])[SITE]
    with edited(model, [Add(SITE, vector, (1, 2))]):
        after = read(model, batch, [SITE])[SITE]
    wanted = before.clone()
    wanted[:, 1:3] += vector
    real = batch.mask.bool()
    torch.testing.assert_close(after[real], wanted[real])
    assert torch.equal(after[real][:1], before[real][:1])


def test_positions_are_absolute_under_left_padding(architecture: Any) -> None:
    if architecture.blocks == "backbone.layers":
        pytest.skip("a state space model's left padding is not neutral without its kernels")
    model, edits = architecture.model, [Add(SITE, _vector(), (1, 3))]
    ids, mask = _left(IDS)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
    # Models with learned positions count padding unless they are told.
    if "position_ids" in model.forward.__code__.co_varnames or architecture.parts:
        inputs["position_ids"] = places
    if architecture.blocks.startswith("transformer.h") and "alibi" in str(model.config.__dict__):
        inputs.pop("position_ids")
    with torch.no_grad(), edited(model, edits):
        logits = model(**inputs).logits[:, -1]
        for row, sequence in enumerate(IDS):
            alone = model(torch.tensor([sequence])).logits[0, -1]
            torch.testing.assert_close(logits[row], alone, atol=1e-4, rtol=1e-4)
    plain = model(torch.tensor([IDS[0]])).logits[0, -1]
    assert (logits[0] - plain).abs().max() > 1e-2


@pytest.mark.parametrize("positions", [None, (2, 7), range(3, 2**31), range(1, 9, 2)])
@pytest.mark.parametrize("name", ["llama", "gpt2", "window", "mamba", "lora", "bloom"])
def test_steering_holds_in_cached_generation(
    name: str, positions: Any, architecture_of: Callable[[str], Any]
) -> None:
    model = architecture_of(name).model
    ids = torch.tensor([IDS[0]])
    options = {"max_new_tokens": 5, "do_sample": False, "return_dict_in_generate": True,
               "output_logits": True, "pad_token_id": 0}  # fmt: skip
    with torch.no_grad(), edited(model, [Add(SITE, 2 * _vector(), positions)]):
        cached = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
        # What a single forward pass over everything says is the truth.
        whole = model(cached.sequences[:, :-1]).logits[0, ids.shape[1] - 1 :]
    torch.testing.assert_close(torch.cat(cached.logits), whole, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        unsteered = model(cached.sequences[:, :-1]).logits[0, ids.shape[1] - 1 :]
    assert (whole - unsteered).abs().max() > 1e-2


def test_generation_from_left_padded_prompts_is_each_prompt_s_own(
    architecture_of: Callable[[str], Any],
) -> None:
    model = architecture_of("llama").model
    ids, mask = _left(IDS)
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    with torch.no_grad(), edited(model, [Add(SITE, 2 * _vector(), range(4, 2**31))]):
        together = model.generate(input_ids=ids, attention_mask=mask, **options)[:, ids.shape[1] :]
        for row, sequence in enumerate(IDS):
            alone = torch.tensor([sequence])
            out = model.generate(input_ids=alone, attention_mask=torch.ones_like(alone), **options)
            assert torch.equal(out[0, len(sequence) :], together[row])


def test_replacing_states_with_themselves_changes_nothing(architecture: Any) -> None:
    model, batch = architecture.model, _batch(IDS[:1])
    parts = ["attn_out.1", "mlp_out.1", "head.1.2"] if architecture.parts else []
    found = read(model, batch, ["resid_pre.1", *parts, "resid_post.1"])
    plain = model(batch.ids).logits
    edits: list[Edit] = [Replace(site, (1, 4), states[:, [1, 4]]) for site, states in found.items()]
    with torch.no_grad(), edited(model, edits):
        assert torch.equal(model(batch.ids).logits, plain)


def test_replace_takes_one_state_or_one_a_position_or_one_a_row(
    architecture_of: Callable[[str], Any],
) -> None:
    model, batch = architecture_of("llama").model, _batch((IDS[0], IDS[0][::-1]))
    values = torch.stack([_vector(1), _vector(2)])
    for given in (values[0], values, torch.stack([values, values[[1, 0]]])):
        with edited(model, [Replace("resid_post.1", (2, 4), given)]):
            found = read(model, batch, [SITE])[SITE]
        assert torch.equal(found[:, [2, 4]], given.expand(2, 2, 16))
    with (
        edited(model, [Replace(SITE, (0,), torch.zeros(15))]),
        pytest.raises(InputError, match=r"values of shape \(15,\) do not fit 1 positions of"),
    ):
        model(batch.ids)
    with (
        edited(model, [Add(SITE, torch.zeros(3, 16))]),
        pytest.raises(InputError, match=r"vector of shape \(3, 16\); the site needs 16"),
    ):
        model(batch.ids)
    with (
        pytest.raises(InputError, match="count from 0"),
        edited(model, [Add(SITE, values[0], (-1,))]),
    ):
        pass


def test_edits_of_one_site_follow_one_another(architecture_of: Callable[[str], Any]) -> None:
    model, batch = architecture_of("gpt2").model, _batch(IDS[:1])
    edits: list[Edit] = [Replace(SITE, (3,), _vector(1)), Add(SITE, _vector(2), (3,))]
    with edited(model, edits):
        found = read(model, batch, [SITE])[SITE]
    assert torch.equal(found[0, 3], _vector(1) + _vector(2))


def _traces(model: Any) -> list[Any]:
    state = [(k, v.clone()) for k, v in model.state_dict().items()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    modes = [m.training for m in model.modules()]
    grads = [p.requires_grad for p in model.parameters()]
    own = [sorted(m.__dict__) for m in model.modules()]
    return [state, hooks, modes, grads, own, copy.deepcopy(model.config.to_dict())]


def _same(a: list[Any], b: list[Any]) -> bool:
    weights = all(k == m and torch.equal(v, w) for (k, v), (m, w) in zip(a[0], b[0], strict=True))
    return weights and a[1:] == b[1:]


def test_the_model_is_left_as_it_was_even_after_an_error(
    architecture_of: Callable[[str], Any],
) -> None:
    model = copy.deepcopy(architecture_of("lora").model)
    blocks, batch = blocks_of(model), _batch(IDS)
    model.train()
    blocks.modules[1].eval()
    before = _traces(model)
    read(model, batch, [SITE, "head.0.1"])
    assert _same(before, _traces(model))

    def burst(_: Tensor) -> None:
        raise RuntimeError("burst")

    with (
        pytest.raises(RuntimeError, match="burst"),
        evaluating(model),
        hooked(blocks, {SITE: burst}),
    ):
        model(batch.ids)
    with pytest.raises(InputError), edited(model, [Add(SITE, torch.zeros(2))]):
        model(batch.ids)
    hidden = torch.zeros(1, 6, 16)
    with pytest.raises(RuntimeError, match="burst"), resumed(blocks, 2, hidden, tuples=False):
        raise RuntimeError("burst")
    assert _same(before, _traces(model))
    assert all(m.training for m in blocks.modules[0].modules())
    assert not blocks.modules[1].training


def test_edits_pass_gradients_on(architecture_of: Callable[[str], Any]) -> None:
    model, batch = copy.deepcopy(architecture_of("llama").model), _batch(IDS[:1])
    vector = torch.zeros(16, requires_grad=True)
    with edited(model, [Add(SITE, vector, (4,))]):
        total = model(batch.ids).logits[0, -1, 5]
        (slope,) = torch.autograd.grad(total, vector)
    step, nudge = 1e-2, _vector()
    with torch.no_grad():
        ends = []
        for sign in (1, -1):
            with edited(model, [Add(SITE, sign * step * nudge, (4,))]):
                ends.append(model.double()(batch.ids).logits[0, -1, 5])
        model.float()
    torch.testing.assert_close(
        ((ends[0] - ends[1]) / (2 * step)).float(), slope @ nudge, atol=1e-3, rtol=1e-2
    )
