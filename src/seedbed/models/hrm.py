"""A small HRM-Text from scratch: a fast module that runs several times for each run of a slow one.

The second family of recurrent depth, as transformers has it: two stacks of blocks with shared
weights, so many outer cycles, and in each so many inner ones.
"""

from typing import Any, ClassVar

from pydantic import Field

from seedbed.models.scratch import Scratch


class Hrm(Scratch):
    """`layers` blocks in each stack; `cycles` outer cycles of `inner` low runs and one high run.

    Gradients go through every run.
    """

    recurs: ClassVar[bool | None] = True
    kind: str = "hrm"
    layers: int = Field(default=1, ge=1)
    cycles: int = Field(default=2, ge=1)
    inner: int = Field(default=2, ge=1)

    def model(self, sizes: dict[str, Any], seed: int) -> Any:
        """An HRM-Text with fresh weights."""
        from transformers import HrmTextConfig, HrmTextForCausalLM

        return HrmTextForCausalLM(
            HrmTextConfig(
                **sizes,
                num_hidden_layers=self.layers,
                head_dim=self.width // self.heads,
                H_cycles=self.cycles,
                L_cycles=self.inner,
                L_bp_cycles=[self.inner] * self.cycles,
            )
        )
