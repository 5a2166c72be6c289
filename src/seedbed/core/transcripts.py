"""What happens between an agent and a simulated user, turn by turn, and where it began.

A failed episode is data with its reason. What only the world knows (a user's kind, harm,
welfare) is removed by `blind()`.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from seedbed.core.chat import Message
from seedbed.core.rows import Row

Speaker = Literal["system", "environment", "agent", "tool"]
End = Literal["terminal", "length", "failed"]


class Said(Row):
    """One message of an episode; `environment` is the user or the world outside the agent."""

    role: Speaker
    content: str


class Opening(Row):
    """Where an episode begins: one user of one environment, in front of the agent.

    `sub` is the sub-environment (a topic), `initial` the initial state, `attempt` counts episodes
    with the same user (they differ in draws only). `said` is what the agent finds: its system
    prompt, then the user's first message. `shows` are the kinds of user that can be seen,
    such as `cue=trusting`; `kind` is the latent one ("gameable", "other") and is truth.
    `seed` is that of all draws of the episode besides the agent's position in a batch.
    """

    id: str
    environment: str
    sub: str
    initial: str
    attempt: int = Field(default=0, ge=0)
    said: tuple[Said, ...] = Field(min_length=1)
    variables: dict[str, str] = Field(default={})
    shows: tuple[str, ...] = ()
    kind: str = ""
    seed: int = 0

    @property
    def person(self) -> str:
        """The user, whatever the attempt."""
        return self.id.rpartition("#")[0] or self.id

    def blind(self) -> "Opening":
        """Without the latent kind."""
        return self.model_copy(update={"kind": ""})


class Verdict(Row):
    """A role's answer over a closed list of options.

    `options` are probabilities that sum to 1 over the options; `mass` is what the role put on
    them together before that (1 for a program); `value` is the expected value where options are
    numbers, or the probability of "yes". With an `error` there is no value and nothing is known.
    """

    options: dict[str, float] = Field(default={})
    mass: float = Field(default=1.0, ge=0)
    value: float | None = None
    error: str = ""

    @model_validator(mode="after")
    def _an_error_says_nothing(self) -> "Verdict":
        if self.error and (self.value is not None or self.options):
            raise ValueError("error: a verdict that failed must hold no value and no options")
        if not self.error and not self.options:
            raise ValueError("options: a verdict without an error needs some")
        return self


class ToolCall(Row):
    """A tool that was really run. `fault` says what went wrong ("": nothing)."""

    tool: str
    arguments: dict[str, Any] = Field(default={})
    ok: bool
    result: str = ""
    fault: str = ""


class Turn(Row):
    """One turn of the agent and all that followed it.

    `act` is what the grammar decoded ("": nothing; then `unread` says why). `claims` are what the
    agent says happened, to be held against the record of `calls`. `moves` are the transition's
    probabilities, `moved` the one taken. `flags` are the detectors' verdicts by detector, `vetoed`
    whether one of them stops the turn from being trained on. `after` is what followed before the
    agent's next turn. `welfare` and `harm` are truth: what the turn did to the user.
    """

    number: int = Field(ge=0)
    state: str
    said: str
    act: str = ""
    unread: str = ""
    claims: dict[str, str] = Field(default={})
    calls: tuple[ToolCall, ...] = ()
    moves: dict[str, float] = Field(default={})
    moved: str = ""
    rating: Verdict | None = None
    third: Verdict | None = None
    flags: dict[str, Verdict] = Field(default={})
    vetoed: bool = False
    after: tuple[Said, ...] = ()
    welfare: float | None = None
    harm: float | None = None


class Transcript(Row):
    """One episode. `end`: in a terminal state, at the most turns, or failed with its `failure`."""

    opening: Opening
    turns: tuple[Turn, ...] = ()
    iteration: int = Field(default=0, ge=0)
    end: End
    failure: str = ""

    @model_validator(mode="after")
    def _failures_have_reasons(self) -> "Transcript":
        if (self.end == "failed") != bool(self.failure):
            raise ValueError("failure: a failed episode, and no other, says why")
        return self

    @property
    def id(self) -> str:
        """The opening's id."""
        return self.opening.id

    @property
    def vetoed(self) -> bool:
        """Whether any turn was."""
        return any(turn.vetoed for turn in self.turns)

    def ratings(self) -> list[float]:
        """The rating of every turn that has one."""
        return [t.rating.value for t in self.turns
                if t.rating is not None and t.rating.value is not None]  # fmt: skip

    def before(self, turn: int) -> list[Said]:
        """All that was said before the agent's turn `turn`."""
        said = list(self.opening.said)
        for t in self.turns[:turn]:
            said += [Said(role="agent", content=t.said), *t.after]
        return said

    def said(self) -> list[Said]:
        """The whole conversation."""
        return self.before(len(self.turns))

    def blind(self) -> "Transcript":
        """Without the latent kind, harm and welfare."""
        turns = tuple(t.model_copy(update={"welfare": None, "harm": None}) for t in self.turns)
        return self.model_copy(update={"opening": self.opening.blind(), "turns": turns})


def as_messages(said: Sequence[Said]) -> tuple[Message, ...]:
    """The conversation as the agent sees it, with neighbours of one role joined by a line break.

    The environment and tools speak as `user`. A system message after the first message becomes
    part of the user's turn, since chat templates take one at the beginning only.
    """
    found: list[Message] = []
    for i, one in enumerate(said):
        role: Literal["system", "user", "assistant"] = "user"
        if one.role == "agent":
            role = "assistant"
        elif one.role == "system" and i == 0:
            role = "system"
        if found and found[-1].role == role:
            joined = f"{found[-1].content}\n{one.content}"
            found[-1] = Message(role=role, content=joined)
        else:
            found.append(Message(role=role, content=one.content))
    return tuple(found)
