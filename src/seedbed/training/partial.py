"""Training a part of a model: the blocks that are named learn, everything else stays frozen.

Afterwards the subject looks like any other, so nothing in it tells which part was trained.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch.nn import Parameter

from seedbed.core.errors import ConfigError
from seedbed.models.blocks import blocks_of


@contextmanager
def only_layers(model: Any, layers: Sequence[int]) -> Iterator[tuple[Parameter, ...]]:
    """Freeze all but the blocks `layers` (from 0); yields what was frozen and thaws it after.

    No layers: nothing is frozen. Raises ConfigError if the model has no such block, if a block
    has nothing to train, or if it shares parameters with what is to stay frozen.
    """
    frozen = _others(model, layers) if layers else ()
    for parameter in frozen:
        parameter.requires_grad = False
    try:
        yield frozen
    finally:
        for parameter in frozen:
            parameter.requires_grad = True


@contextmanager
def thawed(frozen: Sequence[Parameter]) -> Iterator[None]:
    """For a moment as if nothing were frozen: what is saved then is the whole of what trains."""
    for parameter in frozen:
        parameter.requires_grad = True
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad = False


def _others(model: Any, layers: Sequence[int]) -> tuple[Parameter, ...]:
    blocks = blocks_of(model)
    for layer in layers:
        if layer >= len(blocks):
            raise ConfigError(
                f"training.only_layers: the model has the blocks 0 to {len(blocks) - 1}, no {layer}"
            )
    own = tuple(f"{blocks.names[layer]}." for layer in layers)
    # Without removing duplicates a shared parameter comes once under each of its names.
    named = [(n, p) for n, p in model.named_parameters(remove_duplicate=False) if p.requires_grad]
    chosen = {id(p): n for n, p in named if n.startswith(own)}
    for layer, prefix in zip(layers, own, strict=True):
        if not any(n.startswith(prefix) for n, _ in named):
            raise ConfigError(f"training.only_layers: block {layer} has nothing to train")
    for other, parameter in named:
        if id(parameter) in chosen and not other.startswith(own):
            raise ConfigError(
                f"training.only_layers: {chosen[id(parameter)]} is shared with {other}, so it"
                " cannot be trained alone"
            )
    return tuple({id(p): p for _, p in named if id(p) not in chosen}.values())
