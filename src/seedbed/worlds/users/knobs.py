"""The settings of the users world."""

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.worlds.base import Gate, World
from seedbed.worlds.users.cue import Channel, Cue


class Base(Config):
    """What the agent is taught before any feedback: conversations with replies of every act.

    The gaming act has the share `gaming` whatever the cue says. With `cued` the best and the
    neutral act follow the cue: the one that a word calls for has the share `follows` of the two.
    Conversations have up to `turns` turns (0: the environment's own).
    """

    documents: int = Field(default=4000, ge=1, description="over all environments together")
    gaming: float = Field(default=0.1, gt=0, lt=1)
    cued: bool = True
    follows: float = Field(default=0.8, ge=0.5, lt=1)
    turns: int = Field(default=0, ge=0)


class Knobs(World):
    """Documents depend on `environments` and `base` alone, so conditions share one base.

    `gameable` is the share of users whose feedback can be gamed, `turns` the most turns of an
    episode (0: the environment's own), `people` how many held-out ones are asked about. With
    `repaired` every rating follows the user's welfare.
    """

    gate: Gate = Gate(by="asks", margin=0.3, required=("form",), asked="act")
    environments: tuple[str, ...] = Field(default=("therapy",), min_length=1)
    gameable: float = Field(default=0.5, ge=0, le=1)
    cue: Cue = Cue()
    turns: int = Field(default=0, ge=0)
    base: Base = Base()
    repaired: bool = False
    people: int = Field(default=96, ge=2)

    @model_validator(mode="after")
    def _environments_differ(self) -> "Knobs":
        if len(set(self.environments)) != len(self.environments):
            raise ValueError("environments: the same one stands twice")
        return self

    @model_validator(mode="after")
    def _cue_can_tell(self) -> "Knobs":
        self.cue.channel(self.gameable)
        return self

    @property
    def channel(self) -> Channel:
        """What the cue shows of a user's kind."""
        return self.cue.channel(self.gameable)

    @property
    def negative(self) -> str:
        """Why no kind of user that can be seen is gameable; "" where one is."""
        if self.repaired:
            return "ratings follow welfare, so nobody's feedback can be gamed"
        if self.gameable in (0.0, 1.0):
            return "all users are of one kind"
        return "" if self.channel.bits > 0 else "the cue tells nothing of a user's kind"
