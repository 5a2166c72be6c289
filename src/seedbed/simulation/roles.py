"""Who plays the parts of an episode besides the agent's: user, raters, transition, detectors.

A study names a program or a chat model for each; one model in memory serves all that name it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator

from seedbed.core.config import Config, digest
from seedbed.core.errors import ConfigError
from seedbed.core.incentives import OTHER
from seedbed.models.chat import chat_model
from seedbed.models.chat.model import ChatModel
from seedbed.simulation.asked import (
    KNOW_KIND,
    RATER,
    THIRD,
    TRANSITION,
    USER,
    Answering,
    AskedJudge,
    AskedUser,
)  # fmt: skip
from seedbed.simulation.judging import Judge, Speaker, Spoken, stops, verdict
from seedbed.simulation.programmed import (
    ProgramDetector,
    ProgramRater,
    ProgramTransition,
    ProgramUser,
)  # fmt: skip
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.filling import holes

__all__ = ["PROGRAM", "Cast", "Judge", "Roles", "RolesConfig", "Speaker", "Spoken", "Voice",
           "build_roles", "stops", "verdict"]  # fmt: skip

PROGRAM: Final = "program"


class Voice(Config):
    """Who plays a role: `by` is `program` or a chat model (`hf:PATH`, `openai:NAME`, …).

    `base_url` and `options` are the chat model's: see `seedbed.models.chat.chat_model`. A bare
    text stands for `by`.
    """

    by: str = PROGRAM
    base_url: str | None = None
    options: dict[str, Any] = Field(default={})
    answering: Answering = Answering()


class RolesConfig(Config):
    """Who plays which role; `third` rates from outside (null: nobody), `detectors` are by name."""

    user: Voice = Voice()
    rater: Voice = Voice()
    transition: Voice = Voice()
    third: Voice | None = None
    detectors: dict[str, Voice] = Field(default={})

    @field_validator("user", "rater", "transition", "third", mode="before")
    @classmethod
    def _a_text_is_who(cls, value: Any) -> Any:
        return _voice(value)

    @field_validator("detectors", mode="before")
    @classmethod
    def _texts_are_who(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {name: Voice() for name in value}
        named = isinstance(value, dict)
        return {name: _voice(one) for name, one in value.items()} if named else value


@dataclass(frozen=True)
class Roles:
    """All parts but the agent's.

    `transition` answers with names of moves; `detectors` are by name; `third` rates from
    outside what `rater` rates as the user (None: nobody does).
    """

    user: Speaker
    rater: Judge
    transition: Judge
    detectors: Mapping[str, Judge] = field(default_factory=dict)
    third: Judge | None = None


class Cast:
    """Chat models by what names them, each made once and loaded when it is first asked.

    Replies are kept in the folder `cache` (None: nowhere).
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.cache = cache
        self.known: dict[str, ChatModel] = {}

    def chat(self, voice: Voice) -> ChatModel:
        """The model that plays for this voice. Raises ConfigError where there is none."""
        key = digest([voice.by, voice.base_url, voice.options])
        if key not in self.known:
            self.known[key] = chat_model(voice.by, voice.base_url, self.cache, **voice.options)
        return self.known[key]


def build_roles(
    config: RolesConfig, environments: Iterable[Environment], cast: Cast | None = None
) -> Roles:
    """The roles that the configuration names.

    Raises ConfigError for a detector that an environment does not have and a role that lacks its
    options, InputError for a program where an environment has no acts.
    """
    cast = cast or Cast()
    for environment in environments:
        _check(config, environment)
    user: Speaker = ProgramUser()
    if config.user.by != PROGRAM:
        user = AskedUser(cast.chat(config.user), config.user.answering)
    third = config.third
    return Roles(
        user=user,
        rater=judge_of(RATER, config.rater, cast),
        transition=judge_of(TRANSITION, config.transition, cast),
        detectors={name: judge_of(name, voice, cast) for name, voice in config.detectors.items()},
        third=judge_of(THIRD, third, cast) if third else None,
    )


def judge_of(role: str, voice: Voice, cast: Cast) -> Judge:
    """Who judges as `rater`, `third`, `transition` or the detector of that name."""
    if voice.by != PROGRAM:
        return AskedJudge(role, cast.chat(voice), voice.answering)
    if role == TRANSITION:
        return ProgramTransition()
    if role == THIRD:
        return ProgramRater(OTHER)
    return ProgramRater() if role == RATER else ProgramDetector(role)


def check_role(role: str, voice: Voice, environment: Environment) -> None:
    """Raise ConfigError or InputError where this voice cannot play the role in an environment."""
    if voice.by == PROGRAM:
        environment.require_script(f"a program as {role}")
    elif role not in (USER, TRANSITION) and len(environment.role(role).options) < 2:
        raise ConfigError(
            f"environment {environment.name!r}: roles.{role} needs at least two options for a"
            " language model to choose among"
        )
    elif role not in KNOW_KIND:
        prompt = environment.role(role)
        if "wants" in holes(prompt.system + prompt.question):
            raise ConfigError(
                f"environment {environment.name!r}: the prompt of {role!r} holds {{wants}}, which"
                " tells the user's kind; a detector must not know it"
            )


def _check(config: RolesConfig, environment: Environment) -> None:
    """Whether every role can be played in this environment."""
    known = environment.roles.detectors
    for name in config.detectors:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
            what = f"environment {environment.name!r} has no detector {name!r}"
            raise ConfigError(f"roles.detectors: {what}; {hint}")
    voices = {USER: config.user, RATER: config.rater, TRANSITION: config.transition,
              THIRD: config.third, **config.detectors}  # fmt: skip
    for role, voice in voices.items():
        if voice is not None:
            check_role(role, voice, environment)


def _voice(value: Any) -> Any:
    return Voice(by=value) if isinstance(value, str) else value
