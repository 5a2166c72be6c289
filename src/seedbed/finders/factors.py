"""Per-token factors of weight gradients, read from one forward and one backward pass.

The gradient of a linear layer is the sum over tokens of (output gradient) ⊗ (input), so the
factors say everything about it; no gradient of a weight is ever computed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seedbed.core.errors import InputError
from seedbed.finders.layers import Part, Use, looks_up, reader_of
from seedbed.models.logits import token_losses
from seedbed.models.tokens import Batch


@dataclass(frozen=True)
class Factors:
    """Gradients of a batch: `weights` by layer, and `vectors` [rows, n] of biases and norms.

    A tied input and output embedding is one layer of two parts. Layers that read the same
    input are one layer here, since their products share the input's.
    """

    weights: dict[str, tuple[Part, ...]]
    vectors: Tensor


class Capture:
    """Reads the factors of a model's trainable parameters; use within `capturing`."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._own = {id(p) for p in self.trainable.values()}
        self.modules = dict(model.named_modules())
        self.readers = {
            name: reader
            for name, module in self.modules.items()
            if _holds(module, self._own) and (reader := reader_of(module)) is not None
        }
        self._uses: list[Use] = []
        self._rows = 0
        self._live = False
        self._unfit: set[int] = set()
        self._covered: set[int] = set()

    @property
    def floats(self) -> int:
        """Numbers kept for one token, at most."""
        modules: list[Any] = [self.modules[name] for name in self.readers]
        bases = [getattr(m, "base_layer", m) for m in modules]
        return sum(sum(base.weight.shape) for base in bases) or 1

    @property
    def left_out(self) -> list[str]:
        """Trainable parameters that the factors read so far do not cover."""
        return [n for n, p in self.trainable.items() if id(p) not in self._covered - self._unfit]

    def read(self, batch: Batch) -> Factors:
        """Factors of Σ −log p over the predicted tokens of each row of `batch`.

        Raises InputError if no layer can be read.
        """
        self._uses, self._rows, self._live = [], len(batch.ids), True
        try:
            with torch.enable_grad():
                losses, predicted = token_losses(self.model, batch)
                loss = losses.sum()
        finally:
            self._live = False
        uses, self._uses = self._uses, []
        if not uses:
            raise InputError(f"gradients: no layer can be read, such as {self.left_out[0]}")
        deltas = torch.autograd.grad(loss, [use.output for use in uses], allow_unused=True)
        with torch.no_grad():
            return self._assemble(uses, deltas, predicted)

    def seen(self, name: str) -> Any:
        """The forward hook of the layer `name`."""

        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor | None:
            if not self._live or not args or not torch.is_tensor(output):
                return None
            given, changed = args[0], None
            if looks_up(module):
                if output.shape[0] == 1 < self._rows:
                    # Positions are looked up once for all rows; each row needs its own gradient.
                    given = given.expand(self._rows, *given.shape[1:])
                    output = changed = output.expand(self._rows, *output.shape[1:]).clone()
                start_graph(module, args, output)
            self._uses.append(Use(name, module, given, output, self._rows))
            return changed

        return hook

    def _assemble(
        self, uses: list[Use], deltas: Sequence[Tensor | None], predicted: Tensor
    ) -> Factors:
        parts: dict[int, list[tuple[Use, Part]]] = {}
        vectors: dict[int, Tensor] = {}
        for use, delta in zip(uses, deltas, strict=True):
            left = use.by_row(torch.zeros_like(use.output) if delta is None else delta, predicted)
            found = None if left is None else self.readers[use.name](use, left, predicted)
            if found is None:
                self._unfit |= {id(p) for p in use.module.parameters()}
                continue
            for parameter, gradient in found:
                key = id(parameter)
                if isinstance(gradient, Part):
                    parts.setdefault(key, []).append((use, gradient))
                else:
                    vectors[key] = vectors.get(key, 0) + gradient
        self._covered |= parts.keys() | vectors.keys()
        fit = self._own - self._unfit
        chosen = [vectors[k] for k in map(id, self.trainable.values()) if k in vectors and k in fit]
        empty = torch.zeros(self._rows, 0, device=predicted.device)
        weights = _gathered([uses for key, uses in parts.items() if key in fit])
        return Factors(weights, torch.cat(chosen, 1) if chosen else empty)


@contextmanager
def capturing(model: Any) -> Iterator[Capture]:
    """A Capture of `model` in evaluation mode, its parameters frozen until the end.

    Raises InputError if the model has no trainable parameter.
    """
    capture = Capture(model)
    if not capture.trainable:
        raise InputError("gradients: the model has no trainable parameter")
    training = model.training
    layers = [(name, capture.modules[name]) for name in capture.readers]
    handles = [module.register_forward_hook(capture.seen(name)) for name, module in layers]
    handles.append(model.get_input_embeddings().register_forward_hook(start_graph))
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


def start_graph(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
    """Ask for gradients from here on, which nothing else does with every weight frozen."""
    if not output.requires_grad and torch.is_grad_enabled():
        output.requires_grad_()


def _holds(module: Any, own: set[int]) -> bool:
    # The rows that PEFT trains lie in a container of their own within the layer.
    rows = getattr(module, "trainable_tokens_delta", {})
    parameters = [*module.parameters(recurse=False), *rows.values()]
    return any(id(p) in own for p in parameters)


def _gathered(weights: list[list[tuple[Use, Part]]]) -> dict[str, tuple[Part, ...]]:
    """Join the uses of a weight along tokens, and gather weights that read the same inputs."""
    result: dict[str, tuple[Part, ...]] = {}
    joined: dict[tuple[int, ...], list[list[tuple[Use, Part]]]] = {}
    for uses in weights:
        if any(part.sparse for _, part in uses):
            kinds = [[part for _, part in uses if part.sparse is kind] for kind in (True, False)]
            result[uses[0][0].name] = tuple(_along_tokens(kind) for kind in kinds if kind)
        else:
            joined.setdefault(tuple(id(use.input) for use, _ in uses), []).append(uses)
    for layers in joined.values():
        names = [uses[0][0].name for uses in layers]
        rest = [name.rpartition(".")[2] for name in names[1:]]
        whole = [_along_tokens([part for _, part in uses]) for uses in layers]
        lefts = tuple(left for part in whole for left in part.lefts)
        result["+".join([names[0], *rest])] = (Part(lefts, whole[0].right),)
    return result


def _along_tokens(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    left = torch.cat([p.lefts[0] for p in parts], 1)
    return Part((left,), torch.cat([p.right for p in parts], 1))
