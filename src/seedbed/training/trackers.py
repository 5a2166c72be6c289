"""The accelerator: device, precision, processes and trackers of one training."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from seedbed.core.errors import ConfigError, MissingExtra
from seedbed.models import devices
from seedbed.training import sharding
from seedbed.training.config import Training

SHARDED = ("DEEPSPEED", "MEGATRON_LM")
"""Ways of accelerate to spread one model's weights over processes that are not supported."""


def fast_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 faster than float32."""
    if devices.current().type == devices.CUDA:
        return bool(torch.cuda.is_bf16_supported())
    flags = Path("/proc/cpuinfo")
    text = flags.read_text(encoding="utf-8", errors="replace") if flags.exists() else ""
    return "avx512_bf16" in text or "amx_bf16" in text


def is_main_process() -> bool:
    """Whether this process writes: true for one of those under `accelerate launch`."""
    from accelerate import PartialState

    return bool(PartialState(cpu=_no_device()).is_main_process)


def _no_device() -> bool:
    return devices.current().type == devices.CPU


def accelerator_for(training: Training, folder: Path) -> Any:
    """An Accelerator for `training`; trackers write under `folder`.

    Raises MissingExtra for a tracker that is not installed, ConfigError where the launch asks
    for weights in pieces in a way that is not supported, or where there is none.
    """
    for name in SHARDED:
        if os.environ.get(f"ACCELERATE_USE_{name}", "false") == "true":
            raise ConfigError(
                f"accelerate: {name} keeps no process's weights whole, and checkpoints are written"
                " from whole ones; use distributed_type FSDP or MULTI_GPU"
            )
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    for name in training.track:
        if find_spec(name) is None:
            raise MissingExtra(name, "trackers")
    low = training.precision == "bfloat16" or (training.precision == "auto" and fast_bfloat16())
    precision = "bf16" if low else "no"
    device = devices.current().type
    if PartialState._shared_state and PartialState().device.type != device:
        # A process keeps the device of its first training for all that follow,
        AcceleratorState._reset_state(reset_partial_state=True)
    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != precision:
        # and its precision; accelerate asks for FSDP only when it begins anew.
        AcceleratorState._reset_state(reset_partial_state=sharding.wanted())
    # Without a device the processes of a launch find each other only if told to use the CPU.
    accelerator = Accelerator(
        cpu=_no_device(),
        mixed_precision=precision,
        log_with=list(training.track) or None,
        project_dir=folder,
    )
    if sharding.wanted():
        _as_asked(accelerator, low)
    if training.track:
        accelerator.init_trackers("seedbed")
    return accelerator


def _as_asked(accelerator: Any, low: bool) -> None:
    if not accelerator.is_fsdp2:
        raise ConfigError(
            "accelerate: FSDP needs GPUs and several processes: with this launch each process would"
            " hold the whole model; use distributed_type MULTI_GPU"
        )
    if low:
        from torch.distributed.fsdp import MixedPrecisionPolicy

        # Gradients are summed over processes in float32 here as without shards.
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        accelerator.state.fsdp_plugin.mixed_precision_policy = policy
