from collections.abc import Callable
from typing import Any

import pytest
import torch

from seedbed.models.rotary import Rotary, attention, rotary_of

TAKEN = ("llama", "lora", "mistral", "qwen2", "qwen3")


@pytest.mark.parametrize("name", TAKEN)
def test_one_block_is_that_of_transformers(
    name: str, architecture_of: Callable[[str], Any]
) -> None:
    model = architecture_of(name).model
    rotary = rotary_of(model, 8)
    assert isinstance(rotary, Rotary)
    ids = torch.tensor([3, 9, 9, 4, 30])
    with torch.no_grad():
        x = rotary.embed(ids)
        cos, sin = rotary.angles(len(ids), x)
        normed = rotary.normed(0, x)
        keys, values = rotary.keys_values(0, normed, cos, sin)
        queries = rotary.queries(0, normed, cos, sin)
        mask = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
        scale = rotary.layers[0].self_attn.scaling
        heads = attention(queries[None], keys[None], values[None], scale, mask)[0]
        middle = x + rotary.projected(0, heads)
        after = middle + rotary.mlp(0, middle)
        wanted = model(ids[None], output_hidden_states=True)
        torch.testing.assert_close(after, wanted.hidden_states[1][0], atol=1e-5, rtol=1e-5)
        # The last hidden state has passed the final norm already.
        rows = torch.tensor([[5, 3], [0, 7], [1, 2], [9, 9], [39, 0]])
        last: list[torch.Tensor] = []
        handle = rotary.layers[-1].register_forward_hook(lambda _, __, out: last.append(out))
        logits = model(ids[None]).logits[0]
        handle.remove()
        torch.testing.assert_close(rotary.logits(last[0][0], None), logits, atol=1e-5, rtol=1e-5)
        picked = logits.gather(1, rows)
        torch.testing.assert_close(rotary.logits(last[0][0], rows), picked, atol=1e-5, rtol=1e-5)


def test_what_is_no_llama_is_told(architecture: Any) -> None:
    found = rotary_of(architecture.model, 8)
    looks_alike = {"granite", "smollm3"}
    name = type(architecture.model.config).model_type
    if isinstance(found, Rotary):
        assert name in {*TAKEN, *looks_alike}
        assert rotary_of(architecture.model, 10**6) == found
    else:
        assert found.startswith(("its ", "it has ", "not every block", "a block consists of"))


def test_a_window_counts_where_it_is_shorter_than_the_input(
    architecture_of: Callable[[str], Any],
) -> None:
    model = architecture_of("window").model
    assert isinstance(rotary_of(model, 3), Rotary)
    assert rotary_of(model, 4) == "not every block attends to all earlier tokens"


def test_positions_that_depend_on_the_length_are_told() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=8, hidden_size=16, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=16, bos_token_id=0, eos_token_id=1,
        rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
    )  # fmt: skip
    why = rotary_of(LlamaForCausalLM(config), 8)
    assert why == "its rotary positions depend on the length of the input"
