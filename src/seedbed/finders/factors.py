"""Per-token factors of weight gradients, layer by layer as the backward pass reaches them.

The gradient of a linear layer is the sum over tokens of (output gradient) ⊗ (input), so the
factors say everything about it; no gradient of a weight is ever computed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seedbed.core.errors import InputError
from seedbed.finders.layers import Part, Use, is_turned, looks_at_output, looks_up, reader_of
from seedbed.models.logits import logits_at
from seedbed.models.tokens import Batch, TokenSequence

Precision = Literal["float32", "bfloat16"]
Take = Callable[[str, tuple[Part, ...]], None]


@dataclass(frozen=True)
class Weight:
    """A parameter by its name in the model, and the shape of its gradients here.

    Matrices are always [out, in]; `turned` ones lie in the model as [in, out] (Conv1D).
    """

    name: str
    shape: tuple[int, ...]
    turned: bool = False


@dataclass
class _Record:
    """A use and the gradient of its output, once the backward pass has come to it."""

    use: Use
    delta: Tensor | None = None
    arrive: Callable[[], None] = lambda: None
    handle: Any = None

    def pop(self) -> Tensor:
        """The gradient, given away: nothing of it or of the graph stays alive here."""
        if self.handle is not None:
            self.handle.remove()
        delta, self.delta = self.delta, None
        return torch.zeros(self.use.shape, device=self.use.input.device) if delta is None else delta


class Capture:
    """Reads the factors of a model's trainable parameters; use within `capturing`.

    `layers` names the weights of every layer that `take` was called with so far, in the order
    of their left sides; "" stands for the biases and norms that `read` returns, in its order.
    """

    def __init__(self, model: Any, precision: Precision = "float32") -> None:
        self.model, self.precision = model, precision
        self.trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._own = {id(p) for p in self.trainable.values()}
        self.modules = dict(model.named_modules())
        self.readers = {
            name: reader
            for name, module in self.modules.items()
            if _holds(module, self._own) and (reader := reader_of(module)) is not None
        }
        self._records: list[_Record] = []
        self._rows = 0
        self._live = False
        self._unfit: set[int] = set()
        self._covered: set[int] = set()
        self._vectors: dict[int, Tensor] = {}
        self._names = {id(p): n for n, p in self.trainable.items()}
        self.layers: dict[str, tuple[Weight, ...]] = {}

    @property
    def floats(self) -> int:
        """Numbers kept for one token, at most."""
        return sum(self._sizes()) or 1

    def numbers(self, sequence: TokenSequence) -> int:
        """Numbers kept for a sequence: the head's factors are there at predicted tokens only."""
        body, head = self._sizes()
        return len(sequence.ids) * body + sum(sequence.predicted) * head or 1

    def _sizes(self) -> tuple[int, int]:
        """Numbers for a token outside the head, and in it."""
        head = self.model.get_output_embeddings()
        sizes = [0, 0]
        for name in self.readers:
            module: Any = self.modules[name]
            weight = getattr(module, "base_layer", module).weight
            if weight.ndim > 1:
                # Of a lookup there is the token's id and its output gradient.
                looked_up = looks_up(module)
                sizes[module is head] += weight.shape[-1] + 1 if looked_up else sum(weight.shape)
        return sizes[0], sizes[1]

    @property
    def left_out(self) -> list[str]:
        """Trainable parameters that the factors read so far do not cover."""
        return [n for n, p in self.trainable.items() if id(p) not in self._covered - self._unfit]

    def read(self, batch: Batch, take: Take) -> Tensor:
        """Gradients of Σ −log p over the predicted tokens of each row of `batch`.

        Calls `take(name, parts)` once for each layer: a tied input and output embedding is one
        layer of two parts, and layers that read the same input are one, since their products
        share the input's. Returns the gradients [rows, n] of biases and norms. Raises
        InputError if no layer can be read.
        """
        self._records, self._rows, self._live, self._vectors = [], len(batch.ids), True, {}
        try:
            with torch.enable_grad(), self._cast(batch.ids.device):
                loss, predicted = _loss(self.model, batch)
        finally:
            self._live = False
        records, self._records = self._records, []
        if not records:
            raise InputError(f"gradients: no layer can be read, such as {self.left_out[0]}")
        finishers = [self._finisher(layer, predicted, take) for layer in _layers(records)]
        torch.autograd.backward(loss)
        with torch.no_grad():
            for finish in finishers:
                # What the loss does not depend on has no gradient, but must be known to be read.
                finish(True)
        fit = self._own - self._unfit
        keys = [id(p) for p in self.trainable.values()]
        keys = [k for k in keys if k in self._vectors and k in fit]
        chosen = [self._vectors[k] for k in keys]
        self.layers[""] = tuple(self._weight(k, False) for k in keys)
        return torch.cat(chosen, 1) if chosen else predicted.new_zeros(self._rows, 0).float()

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
            kept = output if looks_at_output(self.readers[name]) else None
            record = _Record(Use(name, module, given, kept, output.shape, self._rows))
            if output.requires_grad:
                record.handle = output.register_hook(partial(_arrived, record))
            self._records.append(record)
            return changed

        return hook

    def _cast(self, device: torch.device) -> torch.autocast:
        low = self.precision == "bfloat16"
        return torch.autocast(device.type, torch.bfloat16, enabled=low, cache_enabled=low)

    def _finisher(
        self, layer: list[_Record], predicted: Tensor, take: Take
    ) -> Callable[[bool], None]:
        """What hands the layer on, once, when all of its gradients are there or `late`."""

        def finish(late: bool) -> None:
            if layer and (late or all(record.delta is not None for record in layer)):
                # Emptied first, so that memory can be used again as soon as possible.
                records = layer.copy()
                layer.clear()
                self._finish(records, predicted, take)

        for record in layer:
            record.arrive = partial(finish, False)
        return finish

    def _finish(self, records: list[_Record], predicted: Tensor, take: Take) -> None:
        found: dict[int, list[Part]] = {}
        uses = [record.use for record in records]
        for record in records:
            use = record.use
            left = use.by_row(record.pop(), predicted)
            read = None if left is None else self.readers[use.name](use, left, predicted)
            if read is None:
                self._unfit |= {id(p) for p in use.module.parameters()}
                continue
            for parameter, gradient in read:
                key = id(parameter)
                self._covered.add(key)
                if isinstance(gradient, Part):
                    found.setdefault(key, []).append(gradient)
                else:
                    self._vectors[key] = self._vectors.get(key, 0) + gradient
        keys = [key for key in found if key in self._own and key not in self._unfit]
        if not keys:
            return
        weights, name = [found[key] for key in keys], uses[0].name
        if len(weights) == 1:
            kinds = [[p for p in weights[0] if p.sparse is kind] for kind in (True, False)]
            parts = tuple(_along_tokens(kind) for kind in kinds if kind)
        else:
            whole = [_along_tokens(parts) for parts in weights]
            parts = (Part(tuple(left for p in whole for left in p.lefts), whole[0].right),)
            names = list(dict.fromkeys(use.name for use in uses))
            name = "+".join([name, *(n.rpartition(".")[2] for n in names[1:])])
        turned = is_turned(uses[0].module)
        self.layers[name] = tuple(self._weight(key, turned) for key in keys)
        take(name, parts)

    def _weight(self, key: int, turned: bool) -> Weight:
        name = self._names[key]
        shape = tuple(self.trainable[name].shape)
        return Weight(name, shape[::-1] if turned else shape, turned)


@contextmanager
def capturing(model: Any, precision: Precision = "float32") -> Iterator[Capture]:
    """A Capture of `model` in evaluation mode, its parameters frozen until the end.

    With "bfloat16" the model's own matrix products are in that precision; what is made of the
    factors is in float32 always. Raises InputError if the model has no trainable parameter.
    """
    capture = Capture(model, precision)
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


def _loss(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """(Σ −log p over predicted tokens, the row of each); last tokens are targets, never inputs."""
    length = max(1, batch.ids.shape[1] - 1)
    where = torch.zeros_like(batch.predicted)
    where[:, :-1] = batch.predicted[:, 1:]
    where = where[:, :length]
    inputs = Batch(batch.ids[:, :length], batch.mask[:, :length], batch.predicted[:, :length])
    logits = logits_at(model, inputs, where).float()
    targets = batch.ids[:, 1:][where[:, : batch.ids.shape[1] - 1]]
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return loss, where.nonzero()[:, 0]


def start_graph(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
    """Ask for gradients from here on, which nothing else does with every weight frozen."""
    if not output.requires_grad and torch.is_grad_enabled():
        output.requires_grad_()


def _holds(module: Any, own: set[int]) -> bool:
    # The rows that PEFT trains lie in a container of their own within the layer.
    rows = getattr(module, "trainable_tokens_delta", {})
    parameters = [*module.parameters(recurse=False), *rows.values()]
    return any(id(p) in own for p in parameters)


def _arrived(record: _Record, delta: Tensor) -> None:
    record.delta = delta
    record.arrive()


def _layers(records: list[_Record]) -> list[list[_Record]]:
    """All uses of a weight together, and all weights that read the very same inputs."""
    by_weight: dict[int, list[_Record]] = {}
    for record in records:
        module: Any = record.use.module
        rows = list(getattr(module, "trainable_tokens_delta", {}).values())
        by_weight.setdefault(id((rows or [module.weight])[0]), []).append(record)
    by_input: dict[tuple[object, ...], list[_Record]] = {}
    for key, group in by_weight.items():
        plain = all(isinstance(record.use.module, nn.Linear) for record in group)
        signature = tuple(id(record.use.input) for record in group) if plain else ("alone", key)
        by_input.setdefault(signature, []).extend(group)
    return list(by_input.values())


def _along_tokens(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    left = torch.cat([p.lefts[0] for p in parts], 1)
    return Part((left,), torch.cat([p.right for p in parts], 1))
