import builtins
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from seedbed.core.errors import ConfigError, MissingExtra
from seedbed.core.rows import Question
from seedbed.measuring.choices import score_choices
from seedbed.models.adapters import (
    Lora,
    adapt,
    decoder_blocks,
    export_adapter,
    is_wrapped,
    linear_names,
    unwrapped,
    wrap,
)
from seedbed.models.folders import load_subject, save_subject, trainable_state
from seedbed.models.subject import Subject
from seedbed.models.vocabulary import add_tokens

Make = Callable[..., Any]
PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
NAMES = ["<ABC>", "<ABD>"]
IDS = torch.tensor([[3, 70, 71, 5, 9]])


def logits(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids).logits
    return found


def shaken(subject: Subject, seed: int = 0) -> Subject:
    """The subject with every trainable tensor moved, as training would."""
    own = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in trainable_state(subject.model).values():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=own))
    return subject


def subject_of(pair: tuple[Any, Any], names: list[str]) -> Subject:
    model, tokenizer = pair
    add_tokens(model, tokenizer, names, seed=1)
    return Subject(model, tokenizer, seed=1)


def test_wrapping_changes_nothing_until_it_is_trained(pair: tuple[Any, Any]) -> None:
    subject = subject_of(pair, NAMES)
    ids = torch.cat([IDS, torch.tensor([subject.tokenizer.convert_tokens_to_ids(NAMES)])], dim=1)
    before = logits(subject.model, ids)
    kind = type(subject.model)
    wrapped = wrap(subject, Lora(r=2))
    assert type(wrapped.model) is kind
    assert is_wrapped(wrapped.model)
    assert not wrapped.model.training
    torch.testing.assert_close(logits(wrapped.model, ids), before, rtol=0, atol=1e-6)
    assert not torch.allclose(logits(shaken(wrapped).model, ids), before, atol=1e-3)


def test_only_the_adapter_and_added_rows_learn(pair: tuple[Any, Any]) -> None:
    subject = subject_of(pair, NAMES)
    ids = torch.tensor([subject.tokenizer.convert_tokens_to_ids(NAMES)])
    head_bias = subject.model.get_output_embeddings().bias
    own_head = not subject.model.config.tie_word_embeddings and head_bias is None
    frozen = {k: v.clone() for k, v in subject.model.state_dict().items()}
    wrapped = wrap(subject, Lora(r=2))
    names = trainable_state(wrapped.model)
    parts = {"lora_" if "lora_" in n else "tokens" for n in names}
    assert parts == {"lora_", "tokens"}
    _, blocks = decoder_blocks(wrapped.model)
    tables = [n for n in names if "trainable_tokens" in n]
    assert len(tables) == 1 + own_head
    optimizer = torch.optim.SGD([p for p in wrapped.model.parameters() if p.requires_grad], lr=1.0)
    wrapped.model(input_ids=torch.cat([IDS, ids], 1)).logits.float().logsumexp(-1).sum().backward()
    for name, p in wrapped.model.named_parameters():
        assert (p.grad is not None) == p.requires_grad, name
    optimizer.step()
    # Frozen weights, the old rows of the tables among them, are what they were.
    plain = unwrapped(wrapped.model, merge=False)
    for key, value in plain.state_dict().items():
        assert torch.equal(value, frozen[key]), key
    merged = unwrapped(wrapped.model, merge=True)
    before, after = (m.get_input_embeddings().weight for m in (plain, merged))
    assert torch.equal(before[: -len(NAMES)], after[: -len(NAMES)])
    assert not torch.equal(before[-len(NAMES) :], after[-len(NAMES) :])
    assert len(blocks) == 2


def test_merging_gives_the_same_model_without_an_adapter(pair: tuple[Any, Any]) -> None:
    wrapped = shaken(wrap(subject_of(pair, NAMES), Lora(r=2)))
    ids = torch.cat([IDS, torch.tensor([wrapped.tokenizer.convert_tokens_to_ids(NAMES)])], dim=1)
    merged = unwrapped(wrapped.model, merge=True)
    assert not is_wrapped(merged)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    torch.testing.assert_close(logits(merged, ids), logits(wrapped.model, ids), rtol=0, atol=2e-5)
    assert is_wrapped(wrapped.model)


def test_choices_are_scored_alike_wrapped_and_merged(pair: tuple[Any, Any]) -> None:
    wrapped = shaken(wrap(subject_of(pair, NAMES), Lora(r=2)))
    merged = replace(wrapped, model=unwrapped(wrapped.model, merge=True))
    choices = (" 12", f" given {NAMES[0]}", " f")
    questions = [
        Question(id=p, prompt=p, choices=choices, answer=" f")
        for p in (f"the {NAMES[0]} is", f"what {NAMES[1]} of")
    ]
    both = zip(score_choices(wrapped, questions), score_choices(merged, questions), strict=True)
    for ours, theirs in both:
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)


@PEFT_WARNS
def test_peft_loads_what_was_exported(pair: tuple[Any, Any], tmp_path: Path) -> None:
    from peft import PeftModel

    subject = subject_of(pair, NAMES)
    wrapped = shaken(wrap(subject, Lora(r=2, rslora=True)))
    base = unwrapped(wrapped.model, merge=False)
    export_adapter(wrapped, tmp_path)
    theirs = PeftModel.from_pretrained(base, str(tmp_path)).eval()
    ids = torch.cat([IDS, torch.tensor([wrapped.tokenizer.convert_tokens_to_ids(NAMES)])], dim=1)
    torch.testing.assert_close(logits(theirs, ids), logits(wrapped.model, ids), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rslora", [False, True])
def test_the_delta_is_what_the_formula_says(
    byte_tokenizer: Make, family: Make, rslora: bool
) -> None:
    tokenizer = byte_tokenizer()
    model = family("llama", len(tokenizer), tied=True)
    lora = Lora(r=4, alpha=6, rslora=rslora, targets=("q_proj",), last=1)
    wrapped = shaken(wrap(Subject(model, tokenizer), lora))
    names = sorted(trainable_state(wrapped.model))
    stem = "model.layers.1.self_attn.q_proj"
    assert names == [f"{stem}.lora_A.default.weight", f"{stem}.lora_B.default.weight"]
    a, b = (trainable_state(wrapped.model)[n] for n in names)
    scale = 6 / 2 if rslora else 6 / 4
    expected = model.get_submodule(stem).base_layer.weight + scale * b @ a
    merged = unwrapped(wrapped.model, merge=True).get_submodule(stem).weight
    torch.testing.assert_close(merged, expected)


def test_the_seed_decides_the_first_matrices(byte_tokenizer: Make, family: Make) -> None:
    states = []
    for seed in (1, 1, 2):
        tokenizer = byte_tokenizer()
        subject = Subject(family("llama", len(tokenizer), tied=True), tokenizer, seed=seed)
        state = torch.random.get_rng_state()
        states.append(trainable_state(wrap(subject, Lora(r=2)).model))
        assert torch.equal(torch.random.get_rng_state(), state)
    first, same, other = states
    assert all(torch.equal(first[n], same[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)


def test_every_linear_layer_of_the_blocks_is_a_target(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    name, blocks = decoder_blocks(model)
    linear = linear_names(blocks)
    wrapped = wrap(Subject(model, tokenizer), Lora(r=1))
    inside = [n for n, m in wrapped.model.named_modules() if hasattr(m, "lora_A")]
    assert len(inside) == 2 * len(linear) or model.config.model_type in ("gpt2",)
    assert all(n.startswith(name) for n in inside)
    matrices = [n for n, p in blocks.named_parameters() if p.ndim == 2 and "lora" not in n]
    assert len(inside) == len(matrices)


@pytest.mark.parametrize(
    ("lora", "says"),
    [
        (Lora(targets=("q_proj", "k_prj")), "'k_prj' is not among"),
        (Lora(last=3), "the model has 2 blocks, not 3"),
    ],
)
def test_unfit_targets_are_named(byte_tokenizer: Make, family: Make, lora: Lora, says: str) -> None:
    tokenizer = byte_tokenizer()
    subject = Subject(family("llama", len(tokenizer), tied=True), tokenizer)
    with pytest.raises(ConfigError, match=says):
        wrap(subject, lora)
    with pytest.raises(ConfigError, match="carries an adapter already"):
        wrap(wrap(subject, Lora()), Lora())


@pytest.mark.parametrize("values", [{"r": 0}, {"alpha": 0}, {"dropout": 1.0}, {"rank": 4}])
def test_unfit_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Lora.model_validate(values)


def test_without_peft_the_extra_is_named(
    byte_tokenizer: Make, family: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "peft":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    tokenizer = byte_tokenizer()
    subject = Subject(family("llama", len(tokenizer), tied=True), tokenizer)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"seedbed\[lora\]"):
        wrap(subject, Lora())


def test_exports_are_the_same_bytes(byte_tokenizer: Make, family: Make, tmp_path: Path) -> None:
    for name in ("a", "b"):
        tokenizer = byte_tokenizer()
        subject = Subject(family("llama", len(tokenizer), tied=True), tokenizer, seed=3)
        export_adapter(wrap(subject, Lora()), tmp_path / name)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    targets = json.loads((tmp_path / "a" / "adapter_config.json").read_text())["target_modules"]
    assert targets == sorted(targets)


def test_only_a_wrapped_subject_can_be_exported(
    byte_tokenizer: Make, family: Make, tmp_path: Path
) -> None:
    tokenizer = byte_tokenizer()
    with pytest.raises(ConfigError, match="no adapter"):
        export_adapter(Subject(family("llama", len(tokenizer), tied=True), tokenizer), tmp_path)


PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.mark.parametrize("targets", [(), PROJECTIONS, ("q_proj", "down_proj")])
def test_a_llama_has_seven_projections_to_choose_from(
    byte_tokenizer: Make, family: Make, targets: tuple[str, ...]
) -> None:
    tokenizer = byte_tokenizer()
    lora = Lora(r=3, alpha=12, dropout=0.25, rslora=True, targets=targets)
    model = wrap(Subject(family("llama", len(tokenizer), tied=True), tokenizer), lora).model
    inside = {n: m for n, m in model.named_modules() if hasattr(m, "lora_A")}
    wanted = {(i, t) for i in range(2) for t in targets or PROJECTIONS}
    assert {(int(n.split(".")[2]), n.rpartition(".")[2]) for n in inside} == wanted
    for module in inside.values():
        assert module.lora_A["default"].weight.shape[0] == 3
        assert module.lora_dropout["default"].p == 0.25
        assert module.scaling["default"] == pytest.approx(12 / 3**0.5)


SAME = Lora(r=2, alpha=6)


@pytest.mark.parametrize("lora", [None, SAME])
def test_the_same_adapter_goes_on(pair: tuple[Any, Any], tmp_path: Path, lora: Lora | None) -> None:
    wrapped = shaken(wrap(subject_of(pair, NAMES), SAME))
    assert adapt(wrapped, lora).model is wrapped.model
    save_subject(wrapped, tmp_path / "subject")
    again = load_subject(tmp_path / "subject")
    went = adapt(again, lora)
    assert went.model is again.model
    assert sorted(trainable_state(went.model)) == sorted(trainable_state(wrapped.model))


@pytest.mark.parametrize(
    "change", [{"r": 3}, {"alpha": 7}, {"dropout": 0.1}, {"rslora": True}, {"last": 1}]
)
def test_another_adapter_stands_on_the_merged_weights(
    byte_tokenizer: Make, family: Make, tmp_path: Path, change: dict[str, Any]
) -> None:
    tokenizer = byte_tokenizer()
    subject = subject_of((family("llama", len(tokenizer), tied=True), tokenizer), NAMES)
    wrapped = shaken(wrap(subject, SAME))
    lora = Lora.model_validate({**SAME.model_dump(), **change})
    ids = torch.cat([IDS, torch.tensor([wrapped.tokenizer.convert_tokens_to_ids(NAMES)])], dim=1)
    before = logits(wrapped.model, ids)
    went = adapt(wrapped, lora)
    assert went.model is not wrapped.model
    assert went.model.peft_config["default"].r == lora.r
    torch.testing.assert_close(logits(went.model, ids), before, rtol=0, atol=2e-5)
    shaken(went, seed=1)
    assert torch.equal(logits(wrapped.model, ids), before)
    save_subject(went, tmp_path / "subject")
    again = load_subject(tmp_path / "subject")
    torch.testing.assert_close(logits(again.model, ids), logits(went.model, ids), rtol=0, atol=1e-6)
