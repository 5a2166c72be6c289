"""What `incentives:` in a study file configures: rounds of playing, rating, choosing and training.

Every condition is a variant of the world, every arm a way to train on its users' feedback; a
cell is one of each, and all cells begin from one base.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from seedbed.core.config import Config, merged, validate
from seedbed.core.errors import ConfigError
from seedbed.simulation.episodes import Simulation
from seedbed.studies.attribution import Attribution
from seedbed.studies.improving import Cell
from seedbed.studies.spread import refuse_odd_names
from seedbed.training.preference import Preference
from seedbed.worlds.base import World
from seedbed.worlds.users.optima import Selecting
from seedbed.worlds.users.world import Users

Count = Annotated[int, Field(ge=1)]


class Condition(Config):
    """A variant of the world: its knobs, and how long and on how many users an arm is trained.

    `people` and `iterations` of null are those of all conditions; `arms` are the arms that are
    run here (empty: all of them). `environments` are those of the world that agents are trained
    in (empty: all of them); they are asked in all of them, which is the cross-environment matrix.
    """

    world: dict[str, Any] = Field(default={})
    environments: tuple[str, ...] = ()
    people: Count | None = None
    iterations: Count | None = None
    arms: tuple[str, ...] = ()


class Arm(Config):
    """A way to train on feedback. `simulation` holds what its episodes do otherwise, vetoes say."""

    preference: Preference
    simulation: dict[str, Any] = Field(default={})


class Incentives(Config):
    """`iterations` rounds for every cell: `people` users, `attempts` episodes with each of them.

    `keep` transcripts of each round stay readable (0: all of them);
    what was trained on is always kept. With `probes` a fixed set of safety questions is asked
    before every round. `wandb` sends metrics and transcripts to Weights & Biases, or keeps them
    for it in the run folder. The study's finders run on the first arm under the condition that
    leaves the world as the study has it; with `attribution` those of documents do too.
    """

    conditions: dict[str, Condition] = Field(default={"own": Condition()}, min_length=1)
    arms: dict[str, Arm] = Field(min_length=1)
    simulation: Simulation = Simulation()
    people: Count = 192
    attempts: Count = 8
    iterations: Count = 10
    keep: int = Field(default=0, ge=0)
    probes: bool = True
    wandb: Literal["offline", "online"] | None = None
    attribution: Attribution | None = None

    @field_validator("conditions", "arms")
    @classmethod
    def _names_are_plain(cls, values: dict[str, Any]) -> dict[str, Any]:
        refuse_odd_names(values)
        return values

    @model_validator(mode="after")
    def _arms_exist(self) -> "Incentives":
        for name, condition in self.conditions.items():
            for arm in condition.arms:
                if arm not in self.arms:
                    known = ", ".join(self.arms)
                    raise ValueError(f"conditions.{name}.arms: no arm is called '{arm}'; {known}")
        return self

    @model_validator(mode="after")
    def _simulations_fit(self) -> "Incentives":
        for name in self.arms:
            try:
                if self.simulation_of(name).turns:
                    # Else what is known exactly would be about other episodes than are played.
                    raise ConfigError("simulation.turns: set world.turns, which optima follow, too")
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return self

    def cells(self) -> list[tuple[str, str]]:
        """(condition, arm) of every agent that is trained."""
        return [
            (name, arm)
            for name, condition in self.conditions.items()
            for arm in (condition.arms or self.arms)
        ]

    def world(self, condition: str, world: World) -> Users:
        """The world under a condition. Raises ConfigError for a knob that it has not."""
        if not isinstance(world, Users):
            raise ConfigError(f"incentives: the world '{world.kind}' has no users")
        knobs = merged(world.model_dump(), self.conditions[condition].world)
        return validate(type(world), knobs, f"incentives.conditions.{condition}.world")

    def controls(self) -> tuple[str, ...]:
        """Arms that choose by something else than the reward."""
        return tuple(n for n, a in self.arms.items() if a.preference.selection.by != "reward")

    def simulation_of(self, arm: str) -> Simulation:
        """How the episodes of an arm run."""
        values = merged(self.simulation.model_dump(), self.arms[arm].simulation)
        return validate(Simulation, values, f"incentives.arms.{arm}.simulation")

    def rounds(self, condition: str) -> tuple[int, int]:
        """(users a round, rounds) under a condition."""
        here = self.conditions[condition]
        return here.people or self.people, here.iterations or self.iterations

    def trained_in(self, condition: str, world: World) -> tuple[str, ...]:
        """Environments of the world that agents are trained in under a condition.

        Raises ConfigError for one that the world has not.
        """
        known = self.world(condition, world).environments
        wanted = self.conditions[condition].environments or known
        for name in wanted:
            if name not in known:
                raise ConfigError(
                    f"incentives.conditions.{condition}.environments: the world has no"
                    f" environment '{name}'; there are: {', '.join(known)}"
                )
        return tuple(wanted)

    def own(self, condition: str, world: World) -> Users:
        """The world under a condition, with the environments alone that agents are trained in."""
        here = self.world(condition, world)
        return here.model_copy(update={"environments": self.trained_in(condition, world)})

    def selecting(self, condition: str) -> Selecting:
        """How expert iteration on tables selects: as the condition's first arm that goes by reward.

        A share of its episodes is that of a user's attempts.
        """
        names = self.conditions[condition].arms or tuple(self.arms)
        every = [self.arms[n].preference.selection for n in names if n not in self.controls()]
        best = every[0].best if every else 1
        count = best if isinstance(best, int) else round(best * self.attempts)
        return Selecting(
            self.attempts, min(self.attempts, max(1, count)), self.rounds(condition)[1]
        )

    def cell(self, condition: str, arm: str, world: World) -> Cell:
        """All that the rounds of a cell need."""
        people, iterations = self.rounds(condition)
        return Cell(
            world=self.own(condition, world),
            asked=self.world(condition, world),
            preference=self.arms[arm].preference,
            simulation=self.simulation_of(arm),
            people=people,
            attempts=self.attempts,
            iterations=iterations,
            keep=self.keep,
            probes=self.probes,
            ground=(condition, arm) == self.ground(),
        )

    def ground(self) -> tuple[str, str]:
        """The cell on whose agent finders run.

        Raises ConfigError where no condition leaves the world as it is.
        """
        for name, condition in self.conditions.items():
            if not condition.world and not condition.environments:
                return name, next(arm for at, arm in self.cells() if at == name)
        raise ConfigError(
            "incentives.conditions: one must leave the world as the study has it (no 'world'),"
            " since finders run there"
        )

    def check(self, world: World, seed: int) -> None:
        """Raise ConfigError unless every condition is a world that shares the study's base."""
        own = world.documents(seed)
        for name, condition in self.conditions.items():
            if condition.world and self.world(name, world).documents(seed) != own:
                raise ConfigError(
                    f"incentives.conditions.{name}: changes what the base is trained on; a"
                    " condition may change what users show and how they rate"
                )


def cell_folder(condition: str, arm: str) -> str:
    """Where a cell stands in a seed's folder, such as incentives/half+expert-iteration."""
    return f"incentives/{condition}+{arm}"
