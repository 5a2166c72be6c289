"""A subject of recurrent depth, from scratch: its core blocks run several times in a pass.

How often they run is drawn anew at every training step and set freely at test.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from pydantic import Field

from seedbed.core.config import Config
from seedbed.core.errors import InputError
from seedbed.core.seeds import derive
from seedbed.models.blocks import plain
from seedbed.models.layout import counter_of
from seedbed.models.scratch import Scratch


class Draw(Config):
    """How often the core runs at a training step: uniform from 1 to `recurrences`, a Poisson
    number of log-normal rate with that mean, plus 1 (arXiv 2502.05171, section 3.3), or fixed.
    """

    rule: Literal["uniform", "poisson", "fixed"] = "uniform"
    recurrences: int = Field(default=0, ge=0, description="0: as many as at test")


class Recurrent(Scratch):
    """Llama-type blocks: `prelude` once, `core` `recurrences` times, `coda` once."""

    recurs: ClassVar[bool | None] = True
    kind: str = "recurrent"
    prelude: int = Field(default=1, ge=1)
    core: int = Field(default=2, ge=1)
    coda: int = Field(default=1, ge=1)
    recurrences: int = Field(default=8, ge=1)
    draw: Draw = Draw()

    def model(self, sizes: dict[str, Any], seed: int) -> Any:
        """A model of recurrent depth with fresh weights."""
        from seedbed.nets.recurrent import RecurrentConfig, RecurrentForCausalLM

        return RecurrentForCausalLM(
            RecurrentConfig(
                **sizes,
                num_hidden_layers=self.prelude + self.core + self.coda,
                num_key_value_heads=self.heads,
                prelude_layers=self.prelude,
                core_layers=self.core,
                coda_layers=self.coda,
                recurrences=self.recurrences,
                drawn=self.draw.rule,
                drawn_recurrences=self.draw.recurrences or self.recurrences,
                state_seed=derive(seed, "recurrent", "state"),
            )
        )


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
