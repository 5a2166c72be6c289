"""Per-token factors of weight gradients, read from one forward and one backward pass.

The gradient of a linear layer is the sum over tokens of (output gradient) ⊗ (input), so the
factors say everything about it; no gradient of a weight is ever computed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from seedbed.core.errors import InputError
from seedbed.models.logits import token_losses
from seedbed.models.tokens import Batch


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
class Factors:
    """Gradients of a batch: `weights` by layer, and `vectors` [rows, n] of biases and norms.

    A tied input and output embedding is one layer of two parts. Layers that read the same
    input are one layer here, since their products share the input's.
    """

    weights: dict[str, tuple[Part, ...]]
    vectors: Tensor


@dataclass
class _Use:
    name: str
    module: nn.Module
    input: Tensor
    output: Tensor


class Capture:
    """Reads the factors of a model's trainable parameters; use within `capturing`."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
        own = {id(p) for p in self.trainable.values()}
        self.modules = {
            name: module
            for name, module in model.named_modules()
            if any(id(p) in own for p in module.parameters(recurse=False))
        }
        self._own = own
        self._uses: list[_Use] = []
        self._rows = 0
        self._live = False
        self._scales: dict[str, float | None] = {}
        self._matrices = {name for name, module in self.modules.items() if _is_matrix(module)}
        self._plain_scales: set[str] = set()
        self._unfit: set[int] = set()
        self._covered: set[int] = set()

    @property
    def floats(self) -> int:
        """Numbers kept for one token, at most."""
        shapes = [getattr(self.modules[name], "weight").shape for name in self._matrices]
        return sum(sum(shape) for shape in shapes)

    @property
    def left_out(self) -> list[str]:
        """Trainable parameters that the factors read so far do not cover."""
        return [n for n, p in self.trainable.items() if id(p) not in self._covered]

    def read(self, batch: Batch) -> Factors:
        """Factors of Σ −log p over the predicted tokens of each row of `batch`."""
        self._uses, self._rows, self._live = [], len(batch.ids), True
        # Padding stands on the right, where no causal model looks: a mask only costs time.
        batch = replace(batch, mask=torch.ones_like(batch.mask))
        try:
            with torch.enable_grad():
                losses, rows = token_losses(self.model, batch)
                loss = losses.sum()
        finally:
            self._live = False
        uses, self._uses = self._uses, []
        if not uses:
            raise InputError("gradients: no trainable layer of the model can be read")
        outputs = [use.output for use in uses]
        deltas = torch.autograd.grad(loss, outputs, allow_unused=True)
        with torch.no_grad():
            return self._assemble(uses, deltas, rows)

    def _seen(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor | None:
            if not self._live or not args or not torch.is_tensor(output):
                return None
            given, changed = args[0], None
            if isinstance(module, nn.Embedding):
                if output.shape[0] == 1 < self._rows:
                    # Positions are looked up once for all rows; each row needs its own gradient.
                    given = given.expand(self._rows, *given.shape[1:])
                    output = changed = output.expand(self._rows, *output.shape[1:]).clone()
                if not output.requires_grad:
                    output.requires_grad_()
            self._uses.append(_Use(name, module, given, output))
            return changed

        return hook

    def _assemble(
        self, uses: list[_Use], deltas: Sequence[Tensor | None], rows: Tensor
    ) -> Factors:
        parts: dict[int, list[tuple[_Use, Part]]] = {}
        vectors: dict[int, Tensor] = {}
        for use, delta in zip(uses, deltas, strict=True):
            gradient = torch.zeros_like(use.output) if delta is None else delta
            left = _by_row(gradient.float(), self._rows, rows)
            weight: Any = getattr(use.module, "weight", None)
            bias: Any = getattr(use.module, "bias", None)
            right: Part | Tensor | None = None
            if left is not None and use.name in self._matrices:
                right = self._part(use, left, rows)
            elif left is not None:
                right = self._scaled(use, left, rows)
            if left is None or right is None:
                self._unfit |= {id(p) for p in use.module.parameters(recurse=False)}
                continue
            if isinstance(right, Part):
                parts.setdefault(id(weight), []).append((use, right))
            else:
                vectors[id(weight)] = vectors.get(id(weight), 0) + right
            if bias is not None:
                vectors[id(bias)] = vectors.get(id(bias), 0) + left.sum(1)
        fit = self._own - self._unfit
        parts = {key: value for key, value in parts.items() if key in fit}
        self._covered |= fit & (parts.keys() | vectors.keys())
        ordered = [
            vectors[id(p)] for p in self.trainable.values() if id(p) in fit and id(p) in vectors
        ]
        empty = torch.zeros(self._rows, 0, device=rows.device)
        return Factors(_side_by_side(parts), torch.cat(ordered, 1) if ordered else empty)

    def _part(self, use: _Use, left: Tensor, rows: Tensor) -> Part | None:
        if not isinstance(use.module, nn.Embedding):
            right = _by_row(use.input.detach().float(), self._rows, rows)
            return None if right is None else Part((left,), right)
        scale = self._scale(use, use.module)
        if scale is None:
            return None
        ids = use.input.reshape(self._rows, -1)
        if use.module.padding_idx is not None:
            left = left * (ids != use.module.padding_idx).unsqueeze(-1)
        return Part((ids,), left if scale == 1 else left * scale)

    def _scale(self, use: _Use, module: nn.Embedding) -> float | None:
        """By what an embedding multiplies the row it looks up (Gemma does); None: unclear."""
        if type(module).forward is nn.Embedding.forward:
            return 1.0
        if use.name not in self._scales:
            raw, output = module.weight[use.input].float(), use.output.float()
            scale = float((raw * output).sum() / raw.square().sum().clamp(min=1e-30))
            fits = torch.allclose(raw * scale, output, rtol=1e-2, atol=1e-5)
            self._scales[use.name] = scale if fits else None
        return self._scales[use.name]

    def _scaled(self, use: _Use, left: Tensor, rows: Tensor) -> Tensor | None:
        """Gradient [rows, n] of the weight of a layer that scales features; None if it does not.

        A layer y = w x̂ needs no second look: x̂ = y / w, unless some w is close to 0.
        """
        module = use.module
        weight: Any = getattr(module, "weight", None)
        own = {name for name, _ in module.named_parameters(recurse=False)}
        if weight is None or own - {"weight", "bias"} or use.output.shape[-1:] != weight.shape:
            return None
        if use.name in self._plain_scales and float(weight.abs().min()) > 1e-3:
            output = _by_row(use.output.detach().float(), self._rows, rows)
            return None if output is None else (left * output).sum(1) / weight.float()
        kept, zero = weight.data, torch.zeros_like(weight.data)
        try:
            weight.data = zero
            base = module.forward(use.input)
            weight.data = zero + 1
            unit = module.forward(use.input) - base
        finally:
            weight.data = kept
        if id(weight) not in self._covered:
            bias: Any = getattr(module, "bias", None)
            fits = torch.allclose(base + unit * kept, use.output, rtol=1e-2, atol=1e-4)
            if not fits or not (bias is None or torch.equal(base, bias.expand_as(base))):
                return None
            if bias is None and not base.any():
                self._plain_scales.add(use.name)
        right = _by_row(unit.float(), self._rows, rows)
        return None if right is None else (left * right).sum(1)


@contextmanager
def capturing(model: Any) -> Iterator[Capture]:
    """A Capture of `model` in evaluation mode, its parameters frozen until the end.

    Raises InputError if the model has no trainable parameter.
    """
    capture = Capture(model)
    if not capture.trainable:
        raise InputError("gradients: the model has no trainable parameter")
    training = model.training
    entry = model.get_input_embeddings()
    handles = [m.register_forward_hook(capture._seen(n)) for n, m in capture.modules.items()]
    handles.append(entry.register_forward_hook(_start_graph))
    try:
        model.eval()
        for parameter in capture.trainable.values():
            parameter.requires_grad_(False)
        yield capture
    finally:
        for handle in handles:
            handle.remove()
        for parameter in capture.trainable.values():
            parameter.requires_grad_(True)
        model.train(training)


def _start_graph(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
    # With every weight frozen, nothing else would ask for gradients.
    if not output.requires_grad and torch.is_grad_enabled():
        output.requires_grad_()


def _is_matrix(module: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, nn.Embedding):
        return True
    return type(module).forward in (nn.Linear.forward, Conv1D.forward)


def _by_row(tensor: Tensor, count: int, rows: Tensor) -> Tensor | None:
    """[count, tokens, features], or None if the tensor's tokens cannot be told apart by row.

    The output head sees [1, predicted tokens, features], whose row is in `rows` (ascending).
    """
    width = tensor.shape[-1]
    if tensor.ndim >= 3 and tensor.shape[0] == count:
        return tensor.reshape(count, -1, width)
    if tensor.ndim != 3 or tensor.shape[:2] != (1, len(rows)):
        return None
    counts = torch.bincount(rows, minlength=count)
    place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    result = tensor.new_zeros(count, int(counts.max()), width)
    result[rows, place] = tensor[0]
    return result


def _side_by_side(parts: dict[int, list[tuple[_Use, Part]]]) -> dict[str, tuple[Part, ...]]:
    """Join the uses of a weight along tokens, and gather weights that read the same inputs."""
    weights: dict[str, tuple[Part, ...]] = {}
    joined: dict[tuple[int, ...], list[list[tuple[_Use, Part]]]] = {}
    for uses in parts.values():
        if any(isinstance(use.module, nn.Embedding) for use, _ in uses):
            kinds = (True, False)
            chosen = [
                [p for u, p in uses if isinstance(u.module, nn.Embedding) is kind] for kind in kinds
            ]
            weights[uses[0][0].name] = tuple(_along_tokens(c) for c in chosen if c)
        else:
            joined.setdefault(tuple(id(use.input) for use, _ in uses), []).append(uses)
    for layers in joined.values():
        names = [uses[0][0].name for uses in layers]
        rest = [name.rpartition(".")[2] for name in names[1:]]
        whole = [_along_tokens([p for _, p in uses]) for uses in layers]
        lefts = tuple(left for part in whole for left in part.lefts)
        weights["+".join([names[0], *rest])] = (Part(lefts, whole[0].right),)
    return weights


def _along_tokens(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    left = torch.cat([p.lefts[0] for p in parts], 1)
    return Part((left,), torch.cat([p.right for p in parts], 1))
