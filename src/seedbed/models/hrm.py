"""A small HRM-Text from scratch: a fast module that runs several times for each run of a slow one.

The second family of recurrent depth, as transformers has it: two stacks of blocks with shared
weights, so many outer cycles, and in each so many inner ones.
"""

from collections.abc import Sequence

import torch
from pydantic import Field, model_validator

from seedbed.core.seeds import derive
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.models.tiny import word_tokenizer


class Hrm(SubjectConfig):
    """`layers` blocks in each stack; `cycles` outer cycles of `inner` low runs and one high run.

    `width` must be a multiple of 2 × `heads`. Gradients go through every run.
    """

    kind: str = "hrm"
    layers: int = Field(default=1, ge=1)
    cycles: int = Field(default=2, ge=1)
    inner: int = Field(default=2, ge=1)
    width: int = Field(default=96, ge=8)
    heads: int = Field(default=4, ge=1)
    feedforward: int = Field(default=0, ge=0, description="0: twice the width")
    context: int = Field(default=128, ge=8)
    init: float = Field(default=0.02, gt=0)

    @model_validator(mode="after")
    def _heads_fit(self) -> "Hrm":
        # Rotary positions turn pairs of numbers, so a head's width must be even.
        if self.width % (2 * self.heads):
            raise ValueError(f"width: {self.width} is no multiple of 2 × {self.heads} heads")
        return self

    def build(self, texts: Sequence[str], new_tokens: Sequence[str], seed: int) -> Subject:
        """A model with random weights and a vocabulary of the pieces of `texts`, sorted."""
        from transformers import HrmTextConfig, HrmTextForCausalLM

        tokenizer = word_tokenizer([*texts, *new_tokens])
        config = HrmTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=self.feedforward or 2 * self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            head_dim=self.width // self.heads,
            H_cycles=self.cycles,
            L_cycles=self.inner,
            L_bp_cycles=[self.inner] * self.cycles,
            max_position_embeddings=self.context,
            initializer_range=self.init,
            tie_word_embeddings=False,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=None,
            pad_token_id=tokenizer.pad_token_id,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "hrm", "weights"))
            model = HrmTextForCausalLM(config)
        return Subject(model=model, tokenizer=tokenizer, seed=seed, batch=self.batch)
