"""A subject of recurrent depth, from scratch: its core blocks run several times in a pass.

How often they run is drawn anew at every training step and set freely at test.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.core.errors import InputError
from seedbed.core.seeds import derive
from seedbed.models.blocks import plain
from seedbed.models.layout import counter_of
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.models.tiny import word_tokenizer


class Draw(Config):
    """How often the core runs at a training step: uniform from 1 to `recurrences`, a Poisson
    number of log-normal rate with that mean, plus 1 (arXiv 2502.05171, section 3.3), or fixed.
    """

    rule: Literal["uniform", "poisson", "fixed"] = "uniform"
    recurrences: int = Field(default=0, ge=0, description="0: as many as at test")


class Recurrent(SubjectConfig):
    """Llama-type blocks: `prelude` once, `core` `recurrences` times, `coda` once.

    `width` must be a multiple of 2 × `heads`; `init` as in `tiny`.
    """

    kind: str = "recurrent"
    prelude: int = Field(default=1, ge=1)
    core: int = Field(default=2, ge=1)
    coda: int = Field(default=1, ge=1)
    recurrences: int = Field(default=8, ge=1)
    draw: Draw = Draw()
    width: int = Field(default=96, ge=8)
    heads: int = Field(default=4, ge=1)
    feedforward: int = Field(default=0, ge=0, description="0: twice the width")
    context: int = Field(default=128, ge=8)
    init: float = Field(default=0.02, gt=0)

    @model_validator(mode="after")
    def _heads_fit(self) -> "Recurrent":
        # Rotary positions turn pairs of numbers, so a head's width must be even.
        if self.width % (2 * self.heads):
            raise ValueError(f"width: {self.width} is no multiple of 2 × {self.heads} heads")
        return self

    def build(self, texts: Sequence[str], new_tokens: Sequence[str], seed: int) -> Subject:
        """A model with random weights and a vocabulary of the pieces of `texts`, sorted."""
        from seedbed.nets.recurrent import RecurrentConfig, RecurrentForCausalLM

        tokenizer = word_tokenizer([*texts, *new_tokens])
        config = RecurrentConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=self.feedforward or 2 * self.width,
            num_hidden_layers=self.prelude + self.core + self.coda,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=self.context,
            initializer_range=self.init,
            tie_word_embeddings=False,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=None,
            pad_token_id=tokenizer.pad_token_id,
            prelude_layers=self.prelude,
            core_layers=self.core,
            coda_layers=self.coda,
            recurrences=self.recurrences,
            drawn=self.draw.rule,
            drawn_recurrences=self.draw.recurrences or self.recurrences,
            state_seed=derive(seed, "recurrent", "state"),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "recurrent", "weights"))
            model = RecurrentForCausalLM(config)
        return Subject(model=model, tokenizer=tokenizer, seed=seed, batch=self.batch)


@contextmanager
def recurring(model: Any, recurrences: int) -> Iterator[None]:
    """The model with its core (in HRM-Text: the outer cycle) run `recurrences` times, within.

    Raises InputError for a model whose blocks all run once, and for less than one recurrence.
    """
    config = plain(model).config.get_text_config()
    name = counter_of(model)
    if recurrences < 1:
        raise InputError(f"recurrences: {recurrences}; the core runs at least once")
    kept = {key: getattr(config, key) for key in (name, "num_hidden_layers")}
    setattr(config, name, recurrences)
    if name == "H_cycles":
        # Its cache has a layer for every run of a block.
        layers = config.num_layers_per_stack * recurrences * (config.L_cycles + 1)
        config.num_hidden_layers = layers
    try:
        yield
    finally:
        for key, value in kept.items():
            setattr(config, key, value)
