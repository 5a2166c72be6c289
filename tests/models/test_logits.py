from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seedbed.models import logits
from seedbed.models.logits import log_probs, logits_at, token_losses
from seedbed.models.tokens import Batch, TokenSequence, pad

ROWS = [
    TokenSequence((5, 6, 7, 8, 9), (False, True, True, False, True)),
    TokenSequence((10, 11, 12), (False, False, True)),
    TokenSequence((13, 14), (False, False)),
]


def batch() -> Batch:
    return pad(ROWS, fill=0)


def where() -> Tensor:
    chosen = torch.zeros(3, 5, dtype=torch.bool)
    chosen[0, [0, 3, 4]] = True
    chosen[1, 2] = True
    return chosen


def plain(model: Any, given: Batch) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=given.ids, attention_mask=given.mask).logits
    return found


def capped() -> Any:
    """Gemma 2 bends its logits after the head: 0.5 × tanh(logits / 0.5)."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=48, head_dim=8, sliding_window=4,
        final_logit_softcapping=0.5, max_position_embeddings=64, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = Gemma2ForCausalLM(config).eval()
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() > 1:
                    p.mul_(10)
    return model


def test_chosen_logits_are_those_of_a_whole_run(pair: tuple[Any, Any]) -> None:
    model, _ = pair
    found = logits_at(model, batch(), where())
    torch.testing.assert_close(found, plain(model, batch())[where()], rtol=1e-5, atol=1e-5)


def test_what_a_model_does_after_its_head_still_happens() -> None:
    model = capped()
    found = logits_at(model, batch(), where())
    torch.testing.assert_close(found, plain(model, batch())[where()], rtol=1e-5, atol=1e-5)
    model.config.final_logit_softcapping = None
    bare = logits_at(model, batch(), where())
    assert bare.abs().max() > 2
    torch.testing.assert_close(found, 0.5 * torch.tanh(bare / 0.5), rtol=1e-4, atol=1e-5)


def test_the_head_runs_on_chosen_positions_only(family: Callable[..., Any]) -> None:
    model = family("llama", 40, tied=True)
    sizes: list[tuple[int, ...]] = []
    head = model.get_output_embeddings()
    head.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape)))
    logits_at(model, batch(), where())
    assert sizes == [(1, 4, 40)]
    # The hook that reduces is gone afterwards, also after an error.
    with pytest.raises(IndexError):
        logits_at(
            model, pad([TokenSequence((99,), (False,))], 0), torch.ones(1, 1, dtype=torch.bool)
        )
    assert plain(model, batch()).shape == (3, 5, 40)


@pytest.mark.parametrize("has_head", [True, False])
def test_a_head_that_is_never_called_is_no_trap(has_head: bool, family: Callable[..., Any]) -> None:
    inner = family("llama", 40, tied=True)

    class Own(torch.nn.Module):
        """Multiplies by the embedding itself, as some remote code does."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def get_output_embeddings(self) -> Any:
            return self.inner.lm_head if has_head else None

        def forward(self, **inputs: Any) -> Any:
            hidden = self.inner.model(**inputs).last_hidden_state
            out = type("Output", (), {})()
            out.logits = hidden @ self.inner.get_input_embeddings().weight.T
            return out

    found = logits_at(Own(), batch(), where())
    torch.testing.assert_close(found, plain(inner, batch())[where()], rtol=1e-5, atol=1e-5)


def test_no_position_at_all(family: Callable[..., Any]) -> None:
    found = logits_at(family("llama", 40, tied=True), batch(), torch.zeros_like(where()))
    assert found.shape == (0, 40)


@pytest.mark.parametrize("block", [1, 100, 2**19])
def test_log_probs_of_targets(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits, "BLOCK", block)
    values = torch.randn(7, 40, generator=torch.Generator().manual_seed(0)) * 5
    rows, targets = torch.tensor([0, 0, 2, 3, 3, 3, 6]), torch.tensor([1, 39, 0, 5, 5, 7, 20])
    wanted = values.double().log_softmax(dim=-1)[rows, targets]
    torch.testing.assert_close(
        log_probs(values, rows, targets).double(), wanted, rtol=1e-6, atol=1e-6
    )
    assert log_probs(values, rows[:0], targets[:0]).shape == (0,)
    half = log_probs(values.bfloat16(), rows, targets)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double(), wanted, rtol=0.02, atol=0.1)


def test_losses_of_predicted_tokens(pair: tuple[Any, Any]) -> None:
    model, _ = pair
    losses, rows = token_losses(model, batch())
    assert rows.tolist() == [0, 0, 0, 1]
    wanted = []
    for row in ROWS:
        steps = plain(model, pad([row], 0))[0].double().log_softmax(dim=-1)
        wanted += [-steps[i - 1, t] for i, t in enumerate(row.ids) if row.predicted[i]]
    torch.testing.assert_close(losses.double(), torch.stack(wanted), rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_models_own_loss(pair: tuple[Any, Any]) -> None:
    model, _ = pair
    given = batch()
    labels = given.ids.masked_fill(~given.predicted, -100)
    model(input_ids=given.ids, attention_mask=given.mask, labels=labels).loss.backward()
    wanted = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    token_losses(model, given)[0].mean().backward()
    for name, p in model.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(p.grad, wanted[name], rtol=1e-4, atol=1e-6)
    assert len(wanted) > 5
