"""What `training:` in a study file configures."""

from typing import Literal

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.models.adapters import Lora
from seedbed.models.tokens import Loss
from seedbed.training.methods import Method


class Optimizer(Config):
    """AdamW and its learning-rate schedule; `warmup` is a share of all steps."""

    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = Field(default=1.0, ge=0, description="largest gradient norm; 0: none")
    warmup: float = Field(default=0.05, ge=0, lt=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    second_moments: bool | None = Field(
        default=None, description="save Adam's with each checkpoint; null: if there are several"
    )


class Order(Config):
    """In which order documents come.

    `shuffle` anew every epoch, `given` keeps the file's order; the others use groups (the
    document's meta value `group`, such as its depth) and families (meta value `family`):
    `interleave` puts a family's groups side by side, `separate` finishes a group before the
    next, `alternate` fills each batch from one group, in turn.
    """

    kind: Literal["shuffle", "given", "interleave", "separate", "alternate"] = "shuffle"
    group: str = "hop_depth"
    family: str = "base_func"


class Training(Config):
    """One run of training; give `steps` or `epochs`.

    `only_layers` are the decoder blocks (from 0) that learn while all else stays frozen; empty:
    everything learns.
    """

    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    batch: int = Field(default=64, ge=1, description="documents a step over all processes")
    loss: Loss = "answer"
    optimizer: Optimizer = Optimizer()
    order: Order = Order()
    checkpoint_every: float = Field(default=0, ge=0, description="epochs; 0: the last only")
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    lora: Lora | None = None
    only_layers: tuple[int, ...] = ()
    method: Method = Method()
    track: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()

    @model_validator(mode="after")
    def _one_length(self) -> "Training":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either 'steps' or 'epochs'")
        return self

    @model_validator(mode="after")
    def _layers_are_blocks(self) -> "Training":
        if any(layer < 0 for layer in self.only_layers):
            raise ValueError(f"only_layers: blocks count from 0, not from {min(self.only_layers)}")
        if len(set(self.only_layers)) != len(self.only_layers):
            raise ValueError("only_layers: the same block stands twice")
        if self.only_layers and self.lora is not None:
            raise ValueError("only_layers: LoRA chooses its blocks itself; use 'lora.last'")
        return self

    @model_validator(mode="after")
    def _weights_can_be_subtracted(self) -> "Training":
        if self.method.kind == "subtraction" and self.lora is not None:
            raise ValueError("method 'subtraction' takes a difference of weights: not with 'lora'")
        return self

    def total_steps(self, documents: int) -> int:
        """Optimiser steps for a set of `documents`."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return max(1, round(self.epochs * documents / self.batch))
