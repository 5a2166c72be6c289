"""Adam's second moments as training saved them beside a checkpoint: safetensors, checked.

They say by how much Adam scaled each number's step, which preconditioned attribution needs.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from seedbed.core.errors import DataError, DiskError, InputError
from seedbed.core.files import atomic_file
from seedbed.models.folders import read_state, trainable_state

STATE = "adam.safetensors"


@dataclass(frozen=True)
class Adam:
    """Second moments v by parameter name after `step` steps, as the optimiser holds them."""

    second: dict[str, Tensor]
    step: int
    betas: tuple[float, float]
    eps: float

    def corrected(self) -> dict[str, Tensor]:
        """v̂ = v / (1 − β₂^step), float32 (Kingma and Ba 2015, algorithm 1)."""
        share = 1 - self.betas[1] ** self.step
        return {name: v.float() / share for name, v in self.second.items()}

    def scales(self) -> dict[str, Tensor]:
        """1 / (√v̂ + eps): what Adam multiplies each number of a step by, learning rate aside.

        Where no training document ever had a gradient (a token of held-out documents alone)
        this is 1 / eps.
        """
        return {name: 1 / (v.sqrt() + self.eps) for name, v in self.corrected().items()}


def save_adam(model: Any, optimizer: Any, folder: Path) -> None:
    """Write the second moments of the trainable tensors to `folder`/adam.safetensors, atomically.

    `optimizer` is a torch Adam or AdamW that has made a step.
    """
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    # What the optimiser was not given (frozen blocks) has no state, and must not be given one.
    states = {n: optimizer.state.get(p, {}) for n, p in named.items()}
    second = {
        n: states[n]["exp_avg_sq"].detach().contiguous() if states[n] else torch.zeros_like(p.data)
        for n, p in named.items()
    }
    group = optimizer.param_groups[0]
    step = max(int(s["step"]) for s in states.values() if s)
    about = {"step": step, "betas": list(group["betas"]), "eps": group["eps"]}
    path = folder / STATE
    with atomic_file(path) as temporary:
        try:
            # One key: the order of several would differ from process to process.
            save_file(second, temporary, {"adam": json.dumps(about, sort_keys=True)})
        except SafetensorError as error:
            raise DiskError(f"{path}: cannot write: {error}") from error


def read_adam(model: Any, folder: Path) -> Adam:
    """Read what `save_adam` wrote for this model.

    Raises InputError if training saved none, DataError if the file is cut short or unfit.
    """
    path = folder / STATE
    if not path.exists():
        raise InputError(
            f"{path}: no optimiser state was saved with this checkpoint;"
            " train with optimizer.second_moments: true"
        )
    wanted = trainable_state(model)
    state = read_state(path, wanted)
    second = {name: state[name] for name in wanted}
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["adam"])
        step, (first, other), eps = int(about["step"]), about["betas"], float(about["eps"])
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(path, None, f"does not say its step, betas and eps: {error}") from error
    if step < 1 or any(
        bool((v < 0).any()) or not bool(v.isfinite().all()) for v in second.values()
    ):
        raise DataError(path, None, "holds no second moments: they are finite and at least 0")
    return Adam(second, step, (float(first), float(other)), eps)
