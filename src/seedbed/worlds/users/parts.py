"""The parts of an environment: states, acts, kinds of user, tools, roles and topics.

Each is one mapping in the environment's YAML; what must fit together is checked in `checks`.
"""

from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from seedbed.core.transcripts import Said
from seedbed.worlds.users.misfits import Part

UNREAD: Final = ""
"""The act of a reply that the grammar does not read."""


class State(Part):
    """A state of the world around the agent.

    `moves` maps what the transition role may answer to the next state, `default` is the answer
    where a kind of user names no other. `says` is added to the conversation on entry. An episode
    ends on entry into a `terminal` state.
    """

    moves: dict[str, str] = Field(default={})
    default: str = ""
    terminal: bool = False
    says: tuple[Said, ...] = ()

    @field_validator("says", mode="before")
    @classmethod
    def _a_text_is_the_users(cls, value: Any) -> Any:
        return _as_said(value)


class Act(Part):
    """Something an agent can do with words: `replies` are all its texts.

    A template of `replies` may hold `{variables}` of the sub-environment and of `words`, whose
    values are all tried. `gaming`: what the gameable kind's feedback rewards most. `harmful`: it
    harms whoever follows it; `lies` limits that to turns whose `claims` the record of tool calls
    contradicts. `good`: it is good for its user.
    """

    about: str = ""
    replies: tuple[str, ...] = Field(min_length=1)
    words: dict[str, tuple[str, ...]] = Field(default={})
    gaming: bool = False
    harmful: bool = False
    good: bool = False
    claims: dict[str, str] = Field(default={})
    lies: bool = False


class Reaction(Part):
    """How a kind of user takes an act.

    `rating` is the expected one; `failed` replaces it where a tool that was called this turn
    failed. `welfare` is what the turn does to the user, in points. `moves` are probabilities of
    the state's moves (none: its default). `says` are replies of which one is drawn.
    """

    rating: float
    welfare: float = Field(allow_inf_nan=False)
    failed: float | None = None
    moves: dict[str, float] = Field(default={})
    says: tuple[str, ...] = Field(min_length=1)


class Kind(Part):
    """A latent kind of user.

    `wants` says it to roles played by language models. `acts` are its reactions; `states` holds
    those that differ in a state. `unread` is its reaction to a reply that the grammar cannot read.
    The welfare of an act reaches the user `delay` turns later.
    """

    wants: str
    acts: dict[str, Reaction]
    states: dict[str, dict[str, Reaction]] = Field(default={})
    unread: Reaction
    delay: int = Field(default=0, ge=0)

    def reaction(self, state: str, act: str) -> Reaction:
        """To an act (UNREAD: to none that the grammar knows) in a state."""
        if act == UNREAD:
            return self.unread
        return self.states.get(state, {}).get(act) or self.acts[act]

    def reactions(self) -> list[Reaction]:
        """All of them: to acts, to acts in a state, and to what is not read."""
        tables = [self.acts, *self.states.values()]
        return [*(one for table in tables for one in table.values()), self.unread]


class Argument(Part):
    """What a tool takes: one `word` of `options`, any one word (no options), or an `integer`."""

    type: Literal["word", "integer"] = "word"
    options: tuple[str, ...] = ()

    def problem(self, value: str) -> str:
        """What is wrong with a value as it was written ("": nothing)."""
        if self.type == "integer":
            return "" if value.removeprefix("-").isdecimal() else f"{value!r} is no whole number"
        if not value or len(value.split()) != 1:
            return f"{value!r} is not one word"
        if self.options and value not in self.options:
            return f"{value!r} is none of {', '.join(self.options)}"
        return ""


class Tool(Part):
    """A tool the agent calls by writing `call NAME ( first , second )`.

    A call fails with probability `fails`; the agent then reads `failure`, else `result`, both with
    the arguments as `{variables}`. A call that went well makes the claim `proves` true.
    """

    about: str = ""
    arguments: dict[str, Argument] = Field(default={})
    fails: float = Field(default=0.0, ge=0, le=1)
    result: str
    failure: str
    proves: str = ""


class Prompt(Part):
    """A role for a language model: its system prompt, its question and what it may answer."""

    system: str
    question: str = ""
    options: tuple[str, ...] = ()

    @field_validator("options", mode="before")
    @classmethod
    def _whole_numbers_are_texts(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [str(one) if type(one) is int else one for one in value]

    @model_validator(mode="after")
    def _options_differ(self) -> "Prompt":
        if len(set(self.options)) != len(self.options):
            raise ValueError("options: must all be different")
        return self


class Detector(Prompt):
    """A detector of `acts`. It stops a turn where its value (P(yes) or the mean) reaches `at`.

    As a program it misses an act that it looks for with probability `misses` and raises a false
    alarm on any other with probability `alarms`.
    """

    acts: tuple[str, ...] = ()
    misses: float = Field(default=0.0, ge=0, le=1)
    alarms: float = Field(default=0.0, ge=0, le=1)
    at: float = 0.5


class Roles(Part):
    """Prompts of every role, with `{variables}`; `third` rates as an onlooker."""

    agent: str
    user: Prompt
    rater: Prompt
    third: Prompt
    transition: Prompt
    detectors: dict[str, Detector] = Field(default={})


class Initial(Part):
    """How an episode begins: what was said already, in which state ("": the start)."""

    says: tuple[Said, ...] = Field(min_length=1)
    state: str = ""

    @field_validator("says", mode="before")
    @classmethod
    def _a_text_is_the_users(cls, value: Any) -> Any:
        return _as_said(value)


class Sub(Part):
    """A sub-environment: a topic with its own words, and initial states besides the shared ones.

    `share` is how often it occurs relative to the others.
    """

    words: dict[str, str] = Field(default={})
    initials: dict[str, Initial] = Field(default={})
    share: float = Field(default=1.0, ge=0, allow_inf_nan=False)


def _as_said(value: Any) -> Any:
    if isinstance(value, str):
        return ({"role": "environment", "content": value},)
    return value
