"""Where models run: one device a process, set for a stage's work; without a choice the GPU.

On a GPU deterministic algorithms are asked for, so that a seed gives the same result again.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seedbed.core.errors import InputError

AUTO, CPU, CUDA = "auto", "cpu", "cuda"
RANK = "LOCAL_RANK"

_chosen: torch.device | None = None


def current() -> torch.device:
    """The device that `using` set, else the GPU, else the CPU.

    A process of `accelerate launch` or torchrun has the GPU of its number on the machine.
    """
    device = _chosen or torch.device(_here())
    if device == torch.device(CUDA) and (rank := os.environ.get(RANK)):
        return torch.device(CUDA, int(rank))
    return device


@contextmanager
def using(name: str) -> Iterator[None]:
    """Within the block models of this process run on the device `name`: auto, cpu, cuda, cuda:1.

    Raises InputError if there is no such device here.
    """
    global _chosen  # noqa: PLW0603 (a process has one device at a time)
    before, _chosen = _chosen, _usable(name)
    strict = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(_chosen.type == CUDA, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        _chosen = before


def _usable(name: str) -> torch.device:
    device = torch.device(resolve(name))
    if device.type == CUDA:
        # cuBLAS reads it when it starts; without it some products differ from run to run.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if not torch.cuda.is_available():
            raise InputError(f"device: {name}: no GPU can be reached here; use cpu or auto")
        if device.index is not None and device.index >= torch.cuda.device_count():
            raise InputError(f"device: {name}: this machine has {torch.cuda.device_count()} GPUs")
    return device


def resolve(name: str, gpus: float = 0) -> str:
    """The device that `name` stands for, where each worker has `gpus` GPUs of its own.

    Raises InputError if `name` is no device's name.
    """
    if name == AUTO:
        return CUDA if gpus > 0 else _here()
    try:
        torch.device(name)
    except RuntimeError as error:
        raise InputError(
            f"device: '{name}' is no device; write auto, cpu, cuda or cuda:1"
        ) from error
    return name


def _here() -> str:
    return CUDA if torch.cuda.is_available() else CPU
