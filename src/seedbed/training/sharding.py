"""A model in training as one process holds it: whole, or one shard of it (FSDP2's fully_shard).

Files are always written from whole tensors, so nothing on the disk tells how a model was held.
"""

import copy
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seedbed.core.errors import ConfigError
from seedbed.training.config import Training
from seedbed.training.resume import History, ResumeState

STEP = "step"
Whole = tuple[Any, Any]
"""A plain model and its plain optimiser."""


def wanted() -> bool:
    """Whether the launch asks for FSDP."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false") == "true"


def refuse_unfit(training: Training, adapted: bool, other_loss: bool) -> None:
    """Raises ConfigError if FSDP cannot train so.

    `adapted`: the subject carries an adapter; `other_loss`: it is not the documents' own.
    """
    unfit = {
        f"training.method: {training.method.kind}": training.method.kind != "mixed",
        "training.only_layers": bool(training.only_layers),
        "training.lora": training.lora is not None,
        "a subject with an adapter": adapted,
        "a loss of pairs or labels": other_loss,
        f"fsdp_version: {_said('VERSION', '1')}": _said("VERSION", "1") != "2",
        "fsdp_cpu_ram_efficient_loading": _said("CPU_RAM_EFFICIENT_LOADING", "false") == "true",
    }
    for name in (name for name, is_so in unfit.items() if is_so):
        raise ConfigError(
            f"accelerate: FSDP here does not go with {name}: it trains all weights of a whole model"
            " by method mixed with fsdp_version 2 and without fsdp_cpu_ram_efficient_loading;"
            " distributed_type MULTI_GPU trains all methods"
        )


def _said(name: str, default: str) -> str:
    return os.environ.get(f"FSDP_{name}", default)


class Held:
    """A model and its optimiser, prepared, whole in each process."""

    def __init__(self, accelerator: Any, raw: Any, optimizer: Callable[[Any], Any]) -> None:
        self.accelerator, self.raw = accelerator, raw
        self.model, self.optimizer = accelerator.prepare(raw, optimizer(raw))

    def load(self, state: ResumeState) -> tuple[int, History, float]:
        """What `state.load` returns, having loaded it."""
        return state.load(self.raw, self.optimizer)

    def whole(self) -> Whole | None:
        """What is to be written, in the process that writes; all processes must ask together."""
        return (self.raw, self.optimizer) if self.accelerator.is_main_process else None

    def keep(self, state: ResumeState, step: int, history: History, spent: float) -> None:
        """Save what an interrupted training goes on with, if it is due."""
        if self.accelerator.is_main_process:
            state.save_if_due(self.raw, self.optimizer, step, history, spent)

    def finished(self) -> Any:
        """The trained model, whole and as it was before it was prepared, in every process."""
        # Who goes on with the model in memory must find it as it was, not in mixed precision.
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        return self.raw


class Shards(Held):
    """A model and its optimiser in shards, and a plain copy of both in main memory.

    Each process keeps the copy's weights, the writing one Adam's moments too, once written.
    """

    def __init__(self, accelerator: Any, raw: Any, optimizer: Callable[[Any], Any]) -> None:
        self.copy = copy.deepcopy(raw.to("cpu"))
        super().__init__(accelerator, raw, optimizer)
        for piece, plain in zip(raw.parameters(), self.copy.parameters(), strict=True):
            # Mixed precision keeps low weights in float32, and so must who resumes them.
            plain.data = plain.data.to(piece.dtype)
        self.plain = optimizer(self.copy)

    def load(self, state: ResumeState) -> tuple[int, History, float]:
        """What `state.load` returns, each process having taken its shard of what was saved."""
        found = state.load(self.copy, self.plain)
        if found[0]:
            self._spread()
        return found

    def whole(self) -> Whole | None:
        """The copy, brought up to date, in the process that writes."""
        writes = self.accelerator.is_main_process
        self._gather(writes)
        for group, plain in zip(self.optimizer.param_groups, self.plain.param_groups, strict=True):
            plain.update({k: v for k, v in group.items() if k != "params"})
            for piece, parameter in zip(group["params"], plain["params"], strict=True):
                state = {k: _full(v) for k, v in self.optimizer.state[piece].items()}
                if writes:
                    self.plain.state[parameter] = state
        return (self.copy, self.plain) if writes else None

    def keep(self, state: ResumeState, step: int, history: History, spent: float) -> None:
        """Save what an interrupted training goes on with, if it is due in the first process."""
        # Clocks differ, and all have to take part.
        due = torch.tensor(float(state.due() and self.accelerator.is_main_process))
        due = self.accelerator.reduce(due.to(self.accelerator.device), reduction="sum")
        if due > 0 and (whole := self.whole()) is not None:
            state.save(*whole, step, history, spent)

    def finished(self) -> Any:
        """The copy with the trained weights, in main memory: one device may not hold them."""
        self._gather(True)
        return self.copy.eval()

    def _gather(self, here: bool) -> None:
        for piece, plain in zip(self.raw.parameters(), self.copy.parameters(), strict=True):
            full = _full(piece)
            if here:
                plain.data.copy_(full)

    def _spread(self) -> None:
        for piece, plain in zip(self.raw.parameters(), self.copy.parameters(), strict=True):
            with torch.no_grad():
                piece.copy_(_shard(plain, piece))
        for group, whole in zip(self.optimizer.param_groups, self.plain.param_groups, strict=True):
            for piece, plain in zip(group["params"], whole["params"], strict=True):
                self.optimizer.state[piece] = {
                    k: v.to(piece.device) if k == STEP else _shard(v, piece)
                    for k, v in self.plain.state[plain].items()
                }
        self.plain.state.clear()


def _full(value: Any) -> Any:
    """A shard's whole tensor in main memory; every process must ask for it."""
    from torch.distributed.tensor import DTensor

    if not isinstance(value, Tensor):
        return value
    return (value.full_tensor() if isinstance(value, DTensor) else value).detach().to("cpu")


def _shard(whole: Tensor, like: Any) -> Tensor:
    """This process's shard of a tensor that all have, laid out as `like`."""
    from torch.distributed.tensor import distribute_tensor

    there = whole.detach().to(like.device)
    shard: Tensor = distribute_tensor(there, like.device_mesh, like.placements, src_data_rank=None)
    return shard


def hold(accelerator: Any, raw: Any, optimizer: Callable[[Any], Any]) -> Held:
    """The model `raw` and what `optimizer` makes of it, prepared as the launch asks."""
    return (Shards if wanted() else Held)(accelerator, raw, optimizer)
