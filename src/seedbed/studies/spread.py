"""What `spread:` in a study file configures: a second stage of training, under arms and methods.

The study's subject learns on from the rows of its own world in the stage `reteach`; what it then
says shows how far the new rule spread and what the proxies held back.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, field_validator

from seedbed.core.config import Config, merged, validate
from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document, Question
from seedbed.core.spread import NEW, Outcome
from seedbed.training.config import Training
from seedbed.training.methods import Method
from seedbed.worlds.base import World

PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
NEEDED = 0.7
FOLDERS = ("grid-", "data-", "before-")


def refuse_odd_names(names: Iterable[str]) -> None:
    """Raise ValueError for a name that is no plain name of a folder."""
    for name in names:
        if not PLAIN.fullmatch(name):
            raise ValueError(f"the name '{name}' must consist of letters, digits, - _ and .")


class Spread(Config):
    """Every arm under every method, each a subject of its own.

    `arms` are knobs of the world in its second stage by the arm's name, `methods` what training
    does with proxies. `needed` is the share that the trained groups must reach (the lower end of
    a 95 % interval) for a subject to count, by group; null: 0.7 for each of them, {}: none, where
    not fitting is itself a result. `grid` draws decision maps of every subject.
    """

    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    methods: dict[str, Method] = Field(default={"plain": Method()}, min_length=1)
    training: Training
    needed: dict[str, Annotated[float, Field(ge=0, lt=1)]] | None = None
    grid: bool = True

    @field_validator("arms", "methods")
    @classmethod
    def _names_are_plain(cls, values: dict[str, Any]) -> dict[str, Any]:
        refuse_odd_names(values)
        for name in values:
            if name.startswith(FOLDERS):
                raise ValueError(f"the name '{name}' begins like a folder that a run keeps there")
        return values

    @field_validator("arms")
    @classmethod
    def _arms_leave_the_stage(cls, values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for arm, knobs in values.items():
            for key in ("stage", "kind"):
                if key in knobs:
                    raise ValueError(f"{arm}: '{key}' is not for arms; they are all 'reteach'")
        return values

    @field_validator("training")
    @classmethod
    def _method_stands_outside(cls, value: Training) -> Training:
        if value.method != Method():
            raise ValueError("method: name the methods under 'spread.methods'")
        return value

    def world(self, arm: str, world: World) -> World:
        """The world of the second stage under an arm.

        Raises ConfigError where the world has none, or for a knob that it has not.
        """
        if "stage" not in type(world).model_fields:
            raise ConfigError(f"spread: the world '{world.kind}' has no second stage")
        knobs = merged(world.model_dump(), {"stage": "reteach", **self.arms[arm]})
        return validate(type(world), knobs, f"spread.arms.{arm}")

    def check(self, world: World) -> None:
        """Raise ConfigError unless every arm is a world and `needed` names trained groups."""
        for arm in self.arms:
            self.world(arm, world)
        for group in self.needed or ():
            if group not in world.TRAINED:
                known = ", ".join(world.TRAINED)
                raise ConfigError(
                    f"spread.needed: '{group}' is no trained group; there are: {known}"
                )

    def check_first_stages(self, world: World, seed: int) -> None:
        """Raise ConfigError where an arm's first stage is not that of the study's own world."""
        own = _first_stage(world, seed)
        for arm in self.arms:
            knobs = merged(self.world(arm, world).model_dump(), {"stage": "teach"})
            if _first_stage(validate(type(world), knobs, f"spread.arms.{arm}"), seed) != own:
                raise ConfigError(
                    f"spread.arms.{arm}: changes what the study's subject is trained on and asked;"
                    " an arm may change the second stage alone"
                )

    def taught(self, world: World, method: str) -> dict[str, Outcome]:
        """What the trained groups are taught under a method; `without` teaches no proxies."""
        every = world.TRAINED
        if self.methods[method].kind != "without":
            return every
        return {group: outcome for group, outcome in every.items() if outcome == NEW}

    def least(self, group: str) -> float:
        """What a trained group must reach."""
        return NEEDED if self.needed is None else self.needed.get(group, 0.0)

    def training_of(self, method: str) -> Training:
        """The training of the second stage under a method."""
        return self.training.model_copy(update={"method": self.methods[method]})

    def cells(self) -> list[tuple[str, str]]:
        """(arm, method) of every subject."""
        return [(arm, method) for method in self.methods for arm in self.arms]


def _first_stage(world: World, seed: int) -> tuple[list[str], list[Document], list[Question]]:
    return world.tokens(seed), world.documents(seed), world.questions(seed)


def cell_name(arm: str, method: str) -> str:
    """How a subject of the second stage is called in folders, such as `one-proxy+plain`."""
    return f"{arm}+{method}"
