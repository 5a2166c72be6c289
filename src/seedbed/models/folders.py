"""Saving and loading weights: safetensors only, checked on reading.

A checkpoint of a LoRA subject holds the adapter's tensors alone, in the names of the live model.
"""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from seedbed.core.errors import DataError
from seedbed.core.files import atomic_file

WEIGHTS = "weights.safetensors"


def trainable_state(model: Any) -> dict[str, Tensor]:
    """The tensors that training changes, by name (all of them for a full subject)."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def save_weights(model: Any, folder: Path) -> None:
    """Write the trainable tensors to `folder`/weights.safetensors, atomically."""
    state = {name: t.contiguous() for name, t in trainable_state(model).items()}
    with atomic_file(folder / WEIGHTS) as temporary:
        save_file(state, temporary)


def load_weights(model: Any, folder: Path) -> None:
    """Load what `save_weights` wrote; raises DataError if it is missing, cut short or unfit."""
    path = folder / WEIGHTS
    if not path.exists():
        raise DataError(path, None, "no such checkpoint")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(path, None, f"the checkpoint is damaged or cut short: {error}") from error
    wanted = trainable_state(model)
    for name, tensor in wanted.items():
        if name not in state:
            raise DataError(path, None, f"the checkpoint lacks the tensor {name}")
        if state[name].shape != tensor.shape:
            found = f"{tuple(state[name].shape)}, the model has {tuple(tensor.shape)}"
            raise DataError(path, None, f"tensor {name} has shape {found}")
    model.load_state_dict(state, strict=False)
