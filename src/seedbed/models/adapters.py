"""LoRA: small trainable matrices beside frozen linear layers, injected by PEFT.

The model keeps its own class and module paths, so hooks and heads are found as in any other.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from seedbed.core.config import Config
from seedbed.core.errors import ConfigError, DataError, MissingExtra
from seedbed.core.files import atomic_file, read_json, write_json
from seedbed.core.seeds import derive
from seedbed.models.blocks import blocks_of
from seedbed.models.pretrained import name_model
from seedbed.models.subject import Subject
from seedbed.models.vocabulary import added_ids

ADAPTER = "default"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."


class Lora(Config):
    """Low-rank adaptation (Hu et al. 2021, section 4.1): W + scale · B A with rank `r`.

    `scale` is alpha / r, or alpha / √r with `rslora`. `targets` are the last parts of module
    names (empty: every linear layer of the decoder blocks); `last` takes only so many blocks
    from the top (0: all), which also ends the backward pass there.
    """

    r: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    rslora: bool = False
    targets: tuple[str, ...] = ()
    last: int = Field(default=0, ge=0)


def wrap(subject: Subject, lora: Lora) -> Subject:
    """The subject with LoRA in place and all else frozen, except rows of added tokens.

    The first matrices draw from the stream "lora" of the subject's seed. Raises MissingExtra
    without PEFT, ConfigError if a target is no linear layer of the decoder blocks or the
    model carries an adapter already.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtra("peft", "lora") from error
    model = subject.model
    if is_wrapped(model):
        raise ConfigError("training.lora: the subject carries an adapter already")
    names = _targets(model, lora)
    alpha: Any = int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules=names,
        fan_in_fan_out=any(_is_conv(m) for m in model.modules()),
        trainable_token_indices=_token_rows(model),
    )
    inject(model, config, derive(subject.seed, "lora"))
    return replace(subject, model=model)


def adapt(subject: Subject, lora: Lora | None) -> Subject:
    """The subject ready for training with `lora`, whatever it carries already.

    An adapter goes on as it is if `lora` is None or asks for the same one. Another one is put
    on a copy of the model with the old one merged into its weights, which changes no output;
    such a model is saved whole, as nothing else holds its weights. Raises what `wrap` does.
    """
    if not is_wrapped(subject.model):
        return subject if lora is None else wrap(subject, lora)
    if lora is None or _carries(subject.model, lora):
        return subject
    merged = unwrapped(subject.model, merge=True)
    name_model(merged, "")
    return wrap(replace(subject, model=merged), lora)


def _carries(model: Any, lora: Lora) -> bool:
    """Whether the model's adapter is the one that `lora` asks for."""
    config = adapter_config(model)
    found = config.r, config.lora_alpha, config.lora_dropout, config.use_rslora
    # PEFT shortens the names in its config; where the matrices are is what counts.
    placed = sorted(name for name, module in model.named_modules() if hasattr(module, "lora_A"))
    wanted = lora.r, lora.alpha, lora.dropout, lora.rslora
    return bool(found == wanted) and placed == sorted(_targets(model, lora))


def _targets(model: Any, lora: Lora) -> list[str]:
    """Full names of the layers that get matrices."""
    blocks_name, listed = decoder_blocks(model)
    whole = blocks_of(model)
    blocks, places = tuple(listed), tuple(f"{blocks_name}.{i}" for i in range(len(listed)))
    if len(whole) > len(listed):
        # The blocks of recurrent models stand in several lists.
        blocks, places = whole.modules, whole.names
    linear = linear_names(blocks)
    for target in lora.targets:
        if target not in linear:
            raise ConfigError(f"training.lora.targets: {target!r} is not among {sorted(linear)}")
    if lora.last > len(blocks):
        raise ConfigError(
            f"training.lora.last: the model has {len(blocks)} blocks, not {lora.last}"
        )
    chosen = sorted(lora.targets or linear)
    first = len(blocks) - (lora.last or len(blocks))
    return [
        f"{places[i]}.{name}"
        for i in range(first, len(blocks))
        for name in _linear_in(blocks[i])
        if name.rpartition(".")[2] in chosen
    ]


def inject(model: Any, config: Any, seed: int = 0) -> None:
    """Put the adapter that a PEFT config describes into `model`, in place."""
    training = model.training
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.add_adapter(config, ADAPTER)
    model.train(training)


def is_wrapped(model: Any) -> bool:
    """Whether `model` carries an adapter."""
    return bool(getattr(model, "peft_config", None))


def export_adapter(subject: Subject, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors in PEFT's own format.

    `peft.PeftModel.from_pretrained(base, folder)` reads it, on a base whose embedding has a
    row for each added token. Raises ConfigError if the subject carries no adapter.
    """
    from safetensors.torch import save_file

    if not is_wrapped(subject.model):
        raise ConfigError("the subject carries no adapter to export")
    state = {k: v.detach().contiguous() for k, v in _adapter_state(subject.model).items()}
    with atomic_file(folder / ADAPTER_WEIGHTS) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
    write_json(folder / ADAPTER_CONFIG, _plain_config(subject.model))


def load_adapter(
    model: Any, folder: Path, read: Callable[[Path, dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    """Put the adapter that `export_adapter` wrote into `model`, in place.

    `read(path, wanted)` reads exactly the wanted tensors. Raises MissingExtra without PEFT,
    DataError if the files are unfit.
    """
    try:
        from peft import LoraConfig, set_peft_model_state_dict
    except ImportError as error:
        raise MissingExtra("peft", "lora") from error
    path = folder / ADAPTER_CONFIG
    values = read_json(path)
    try:
        config = LoraConfig.from_peft_type(**values)
        inject(model, config)
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(path, None, f"is no adapter of this model: {error}") from error
    state = read(folder / ADAPTER_WEIGHTS, _adapter_state(model))
    set_peft_model_state_dict(
        model, {k.removeprefix(PREFIX): v for k, v in state.items()}, adapter_name=ADAPTER
    )


def unwrapped(model: Any, *, merge: bool) -> Any:
    """A copy of `model` without its adapter: merged into the weights, or left out."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    plain = copy.deepcopy(model)
    done: list[str] = []
    for name, module in list(plain.named_modules()):
        if any(name.startswith(f"{outer}.") for outer in done):
            continue
        if isinstance(module, AuxiliaryTrainingWrapper):
            inner = module.unload_and_optionally_merge_module(merge, False, None)
        elif isinstance(module, BaseTunerLayer):
            if merge:
                module.merge()
            inner = module.get_base_layer()
        else:
            continue
        done.append(name)
        parent, _, child = name.rpartition(".")
        setattr(plain.get_submodule(parent), child, inner)
    plain._hf_peft_config_loaded = False
    del plain.peft_config
    return plain.requires_grad_(requires_grad=True)


def frozen_digest(model: Any) -> str:
    """SHA-256 of the weights that training leaves alone, rows of added tokens aside."""
    ids = list(added_ids(model))
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    # The wrapper of a token table computes its `weight` anew; the table itself lies within.
    tables = [id(getattr(end, "original_module", end).weight) for end in ends if end is not None]
    found = hashlib.sha256()
    for name, tensor in sorted(model.named_parameters()):
        if tensor.requires_grad:
            continue
        value = tensor.detach()
        if ids and id(tensor) in tables:
            value = value.clone()
            value[ids] = 0
        found.update(name.replace(".base_layer", "").encode())
        found.update(value.contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def adapter_config(model: Any) -> Any:
    """The PEFT config of the adapter that `model` carries."""
    return model.peft_config[ADAPTER]


def _adapter_state(model: Any) -> dict[str, Tensor]:
    from peft import get_peft_model_state_dict

    # Left to itself, PEFT asks the hub whether the embedding was resized.
    state = get_peft_model_state_dict(model, adapter_name=ADAPTER, save_embedding_layers=False)
    return {PREFIX + name: tensor for name, tensor in state.items()}


def _plain_config(model: Any) -> dict[str, Any]:
    """The adapter's config as JSON values; sets are sorted, so equal configs give equal bytes."""
    values = adapter_config(model).to_dict()
    values = {k: sorted(v) if isinstance(v, set) else v for k, v in values.items()}
    return {k: str(v.value) if isinstance(v, Enum) else v for k, v in values.items()}


def decoder_blocks(model: Any) -> tuple[str, nn.ModuleList]:
    """(name, the list of decoder blocks): the longest module list that holds linear layers."""
    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and any(_is_linear(m) for m in module.modules())
    ]
    if not lists:
        raise ConfigError("training.lora: the model has no list of decoder blocks")
    # Of equally long lists the outer one comes first (experts nest inside blocks).
    return max(lists, key=lambda pair: (len(pair[1]), -pair[0].count(".")))


def linear_names(blocks: Sequence[nn.Module] | nn.ModuleList) -> set[str]:
    """The last parts of the names of all linear layers in `blocks`."""
    return {name.rpartition(".")[2] for block in blocks for name in _linear_in(block)}


def _linear_in(block: nn.Module) -> Iterator[str]:
    """Names of the linear layers; one that carries matrices stands for what it wraps."""
    wrapped: list[str] = []
    for name, module in block.named_modules():
        if any(name.startswith(f"{outer}.") for outer in wrapped):
            continue
        inner = module.get_base_layer() if hasattr(module, "lora_A") else module
        wrapped += [name] if inner is not module else []
        if isinstance(inner, nn.Module) and _is_linear(inner):
            yield name


def _is_conv(module: nn.Module) -> bool:
    # GPT-2 keeps its linear layers transposed, in a class of transformers.
    return type(module).__name__ == "Conv1D"


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or _is_conv(module)


def _token_rows(model: Any) -> dict[str, list[int]] | None:
    ids = added_ids(model)
    if not ids:
        return None
    modules = {id(module): name for name, module in model.named_modules()}
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    rows = {modules[id(embedding)]: list(ids)}
    untied = head is not None and head.weight is not embedding.weight
    # PEFT's layer for token rows drops the bias of a head, so such a head stays frozen.
    if untied and getattr(head, "bias", None) is None:
        rows[modules[id(head)]] = list(ids)
    return rows
