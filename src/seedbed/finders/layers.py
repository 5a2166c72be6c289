"""How each kind of layer's gradient follows from its inputs and output gradients.

Known: linear layers, embeddings, PEFT's rows of added tokens, and layers that scale and shift
features (norms). A parameter of any other layer is left out by name, never guessed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Part:
    """Factors whose outer products sum, over tokens, to a gradient [out, in] of each row.

    `right` is [rows, tokens, in]; `lefts` are [rows, tokens, out], one for each weight that
    reads the same input, or a single [rows, tokens] of integers that name the one row of the
    weight a token touches (an embedding).
    """

    lefts: tuple[Tensor, ...]
    right: Tensor

    @property
    def sparse(self) -> bool:
        """Whether the left side is row numbers."""
        return not self.lefts[0].is_floating_point()

    @property
    def outputs(self) -> int:
        """Width of all left sides together; 1 for row numbers."""
        return 1 if self.sparse else sum(left.shape[-1] for left in self.lefts)


@dataclass(frozen=True)
class Use:
    """One call of a layer on a batch of `rows` rows.

    `predicted` names the row of every predicted token, in order: the output head may be called
    on those alone, as [1, predicted tokens, features]. `output` is kept only for readers that
    look at it.
    """

    name: str
    module: nn.Module
    input: Tensor
    output: Tensor | None
    shape: torch.Size
    rows: int

    def by_row(self, tensor: Tensor, predicted: Tensor) -> Tensor | None:
        """[rows, tokens, features] in float32; None if the rows cannot be told apart."""
        width = tensor.shape[-1]
        if tensor.ndim >= 3 and tensor.shape[0] == self.rows:
            tensor = tensor.detach().float()
            return tensor if tensor.ndim == 3 else tensor.reshape(self.rows, -1, width)
        if tensor.ndim != 3 or tensor.shape[:2] != (1, len(predicted)):
            return None
        counts = torch.bincount(predicted, minlength=self.rows)
        first = counts.cumsum(0) - counts
        place = torch.arange(len(predicted), device=predicted.device) - first[predicted]
        result = tensor.new_zeros(self.rows, int(counts.max()), width, dtype=torch.float32)
        result[predicted, place] = tensor.detach()[0].float()
        return result


# Gradients of a layer's parameters by token (Part) or whole ([rows, n]); None: cannot be told.
Gradients = list[tuple[nn.Parameter, "Part | Tensor"]]
Reader = Callable[[Use, Tensor, Tensor], Gradients | None]


def reader_of(module: nn.Module) -> Reader | None:
    """What reads the gradients of this module's own parameters; None if nothing can.

    It takes a use, the gradients [rows, tokens, out] of its output, and the rows of the
    predicted tokens.
    """
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, nn.Embedding):
        return _Lookup(module)
    if type(module).forward in (nn.Linear.forward, Conv1D.forward):
        return _linear
    if hasattr(module, "trainable_tokens_delta"):
        return _AddedTokens(module)
    own = dict(module.named_parameters(recurse=False))
    if "weight" in own and own["weight"].ndim == 1 and not own.keys() - {"weight", "bias"}:
        return _Scaling(module)
    return None


def is_turned(module: nn.Module) -> bool:
    """Whether the module's weight is [in, out]."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)


def looks_at_output(reader: Reader) -> bool:
    """Whether the reader needs what the layer gave."""
    return isinstance(reader, _Scaling | _Lookup | _AddedTokens)


def looks_up(module: nn.Module) -> bool:
    """Whether the module's input is token ids."""
    return isinstance(getattr(module, "base_layer", module), nn.Embedding)


def _linear(use: Use, left: Tensor, predicted: Tensor) -> Gradients | None:
    right = use.by_row(use.input, predicted)
    if right is None:
        return None
    weight: Any = use.module.weight
    bias: Any = use.module.bias
    found: Gradients = [(weight, Part((left,), right))]
    return found if bias is None else [*found, (bias, left.sum(1))]


class _Lookup:
    """An embedding; `scale` is by what it multiplies the row (Gemma does), NaN if unclear."""

    def __init__(self, module: nn.Embedding) -> None:
        self.plain = type(module).forward is nn.Embedding.forward
        self.scale: float | None = 1.0 if self.plain else None

    def __call__(self, use: Use, left: Tensor, predicted: Tensor) -> Gradients | None:
        module: Any = use.module
        if self.scale is None:
            self.scale = _scale(module.weight, use)
        if self.scale != self.scale:
            return None
        ids = use.input.reshape(use.rows, -1)
        if module.padding_idx is not None:
            left = left * (ids != module.padding_idx).unsqueeze(-1)
        return [(module.weight, Part((ids,), left if self.plain else left * self.scale))]


class _AddedTokens:
    """PEFT's layer that trains some rows of an embedding, or of the head tied to it."""

    def __init__(self, module: nn.Module) -> None:
        self.scale: float | None = None

    def __call__(self, use: Use, left: Tensor, predicted: Tensor) -> Gradients | None:
        module: Any = use.module
        adapters = [a for a in module.active_adapters if a in module.trainable_tokens_delta]
        if len(adapters) != 1:
            return None
        delta = module.trainable_tokens_delta[adapters[0]]
        tokens = torch.tensor(module.token_indices[adapters[0]], device=left.device)
        if not looks_up(module):
            right = use.by_row(use.input, predicted)
            return None if right is None else [(delta, Part((left[..., tokens],), right))]
        if self.scale is None:
            self.scale = _scale(module.get_merged_weights(adapters), use)
        if self.scale != self.scale:
            return None
        place = torch.full((module.base_layer.num_embeddings,), -1, device=left.device)
        place[tokens] = torch.arange(len(tokens), device=left.device)
        rows = place[use.input.reshape(use.rows, -1)]
        return [(delta, Part((rows.clamp(min=0),), left * self.scale * (rows >= 0)[..., None]))]


class _Scaling:
    """A layer y = w x̂ (+ b) by feature; anything else is found out at the first look."""

    def __init__(self, module: nn.Module) -> None:
        self.known = False
        self.bare = False

    def __call__(self, use: Use, left: Tensor, predicted: Tensor) -> Gradients | None:
        module: Any = use.module
        weight, bias = module.weight, getattr(module, "bias", None)
        if use.output is None or use.shape[-1:] != weight.shape:
            return None
        if self.bare:
            # x̂ = y / w: no second look at the layer.
            output = use.by_row(use.output, predicted)
            return None if output is None else [(weight, (left * output).sum(1) / weight.float())]
        base, unit = _at(module, use.input, 0.0), _at(module, use.input, 1.0)
        unit = unit - base
        if not self.known:
            output = use.output.float()
            # bfloat16 has 8 bits, and x̂ is a difference of two such numbers.
            near = 3e-2 if use.output.dtype == torch.bfloat16 else 1e-2
            made = base.float() + unit.float() * weight.float()
            if not torch.allclose(made, output, rtol=near, atol=near / 100):
                return None
            if bias is not None and not torch.equal(base, bias.expand_as(base)):
                return None
            far = bool((weight.abs() > 1e-3).all())
            self.known, self.bare = True, far and bias is None and not base.any()
        right = use.by_row(unit, predicted)
        if right is None:
            return None
        found: Gradients = [(weight, (left * right).sum(1))]
        return found if bias is None else [*found, (bias, left.sum(1))]


def _at(module: Any, given: Tensor, value: float) -> Tensor:
    """What the layer gives with every weight at `value`."""
    kept = module.weight.data
    try:
        module.weight.data = torch.full_like(kept, value)
        result: Tensor = module.forward(given)
    finally:
        module.weight.data = kept
    return result


def _scale(weight: Tensor, use: Use) -> float:
    assert use.output is not None
    raw, output = weight[use.input].float(), use.output.float()
    scale = float((raw * output).sum() / raw.square().sum().clamp(min=1e-30))
    fits = torch.allclose(raw * scale, output, rtol=1e-2, atol=1e-5)
    return scale if fits else float("nan")
