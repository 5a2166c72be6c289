"""Environments in the format of the Influence-Benchmark (Williams et al. 2024, arXiv 2411.02306).

A folder holds `_master_config.yaml` (state machine and prompts) and one JSON a topic (variables
and histories). Such an environment has no acts: `_program.yaml` beside them may name some.
"""

import json
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from seedbed.core.config import Config, ConfigT, first_problem, validate
from seedbed.core.errors import ConfigError
from seedbed.core.files import read_text
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.misfits import Misfit, Part, Place, none_of
from seedbed.worlds.users.parts import Act, Kind, Tool
from seedbed.worlds.users.pitfalls import read_careful

MASTER: Final = "_master_config.yaml"
PROGRAM: Final = "_program.yaml"
START: Final = "initial_state"
TURNS: Final = 5
"""Turns of an episode where `_program.yaml` names none; the paper's therapy conversations."""

_ROLES: Final = {"environment": "environment", "agent": "agent", "environment_system": "system",
                 "tool_call": "agent", "tool_response": "tool"}  # fmt: skip


class Message(Part):
    """One message of a history."""

    role: Literal["environment", "agent", "environment_system", "tool_call", "tool_response"]
    content: str

    def said(self) -> dict[str, str]:
        """It as a message of ours."""
        return {"role": _ROLES[self.role], "content": self.content.strip()}


class Next(Part):
    """Where a transition leads."""

    next_state: str


class MasterState(Part):
    """A state; `history` is what is said on entry, `possible_state_vars` is always empty."""

    valid_transitions: dict[str, Next] | None = None
    default_transition: str = ""
    terminal: bool = False
    history: tuple[Message, ...] | None = None
    possible_state_vars: None = None


class AgentConfig(Part):
    """The agent; how it is sampled belongs to a simulation, not to an environment."""

    system_prompt: str
    max_tokens: int = Field(default=300, ge=1)
    temperature: float = Field(default=1.0, ge=0)


class CharacterConfig(Part):
    """The user."""

    system_prompt: str


class AssessorConfig(Part):
    """A rater, detector or transition: prompt, question and answers.

    The misspelt key is the original's own. How the conversation is laid out (`env_char_label`,
    `perspective`, `allow_to_see_tool_calls`) is checked here and left to whoever plays the role.
    """

    system_prompt: str
    prompt_suffix: str = ""
    env_char_label: str | None = None
    valid_tokens: tuple[str, ...] = ()
    perspective: Literal["First_Person", "Third_Person"] = "Third_Person"
    allow_to_see_tool_calls: bool = False
    consitutional_system_prompt: str | None = None
    constitutional_system_prompt: str | None = None

    @property
    def constitution(self) -> str | None:
        """The prompt of the constitutional detector, however it is spelt."""
        return self.constitutional_system_prompt or self.consitutional_system_prompt


class Master(Part):
    """`_master_config.yaml`."""

    state_config: dict[str, MasterState]
    character_config: CharacterConfig
    agent_config: AgentConfig
    preference_model_config: AssessorConfig
    influence_detector_model_config: AssessorConfig | None = None
    transition_model_config: AssessorConfig
    possible_env_vars: dict[str, tuple[str, ...]] = Field(default={})

    @model_validator(mode="after")
    def _fits_together(self) -> "Master":
        if START not in self.state_config:
            raise Misfit(("state_config",), f"the state {START!r} is missing")
        if self.state_config[START].history:
            raise Misfit(("state_config", START, "history"),
                         "must be empty: every topic's histories take its place")  # fmt: skip
        for name, state in self.state_config.items():
            place: Place = ("state_config", name)
            moves = state.valid_transitions or {}
            if state.terminal:
                continue
            if state.default_transition not in moves:
                what = none_of(state.default_transition, moves, "valid transition of it")
                raise Misfit((*place, "default_transition"), what)
            for move, after in moves.items():
                if after.next_state not in self.state_config:
                    what = none_of(after.next_state, self.state_config, "state")
                    raise Misfit((*place, "valid_transitions", move, "next_state"), what)
            for i, token in enumerate(self.transition_model_config.valid_tokens):
                if token not in moves:
                    what = none_of(token, moves, f"transition of the state {name!r}")
                    if token.isdecimal():
                        what += (
                            "; a number as the chance of 'yes' is not supported: leave"
                            " valid_tokens out and ask for a transition in prompt_suffix"
                        )
                    raise Misfit(("transition_model_config", "valid_tokens", i), what)
        return self


class Topic(Config):
    """One topic: histories by number, and any other key as a variable of the prompts."""

    model_config = ConfigDict(frozen=True, extra="allow")
    histories: dict[str, tuple[Message, ...]] = Field(min_length=1)

    @model_validator(mode="after")
    def _variables_are_texts(self) -> "Topic":
        for key, value in (self.__pydantic_extra__ or {}).items():
            if not isinstance(value, str):
                raise Misfit((key,), f"a variable is a text, not a {type(value).__name__}")
        for name, messages in self.histories.items():
            if not messages:
                raise Misfit(("histories", name), "holds no message")
        return self

    @property
    def words(self) -> dict[str, str]:
        """Variable → its text."""
        return {key: str(value).strip() for key, value in (self.__pydantic_extra__ or {}).items()}


class Program(Part):
    """`_program.yaml`: what makes roles of such an environment programs.

    `words` are further words of topics; `fractions` are shares of topics by the beginning of
    their name ("*": of those that no other beginning names), split evenly among them.
    """

    turns: int = Field(default=TURNS, ge=1)
    acts: dict[str, Act] = Field(default={})
    kinds: dict[str, Kind] = Field(default={})
    tools: dict[str, Tool] = Field(default={})
    words: dict[str, dict[str, str]] = Field(default={})
    fractions: dict[str, float] = Field(default={})


def read_original(folder: Path) -> Environment:
    """The environment in a folder of the original's format, named after the folder.

    Raises ConfigError with file, line and key for whatever is unknown or does not fit.
    """
    path = folder / MASTER
    if not path.is_file():
        raise ConfigError(f"{folder}: holds no {MASTER}, so it is no environment's folder")
    master = validate(Master, read_careful(path), path)
    topics = {file.stem: _topic(file) for file in sorted(folder.iterdir()) if _is_topic(file)}
    if not topics:
        raise ConfigError(f"{folder}: holds no topic (a .json file beside {MASTER})")
    beside = folder / PROGRAM
    program = Program()
    if beside.is_file():
        program = validate(Program, read_careful(beside), beside)
    _check_topics(program, topics, beside)
    values = {
        "name": folder.resolve().name,
        "turns": program.turns,
        "start": START,
        "states": {name: _state(state) for name, state in master.state_config.items()},
        "roles": _roles(master),
        "subs": _subs(topics, program),
        "variables": master.possible_env_vars,
        "acts": program.acts,
        "kinds": program.kinds,
        "tools": program.tools,
    }
    try:
        return Environment.model_validate(values)
    except ValidationError as error:
        raise _placed(error, folder) from error


def _is_topic(file: Path) -> bool:
    return file.suffix in {".json", ".yaml"} and file.name not in {MASTER, PROGRAM}


def _topic(file: Path) -> Topic:
    if file.suffix == ".yaml":
        return validate(Topic, read_careful(file), file)
    try:
        values = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: a topic is an object, found a {type(values).__name__}")
    return _validated(Topic, values, file)


def _validated(model: type[ConfigT], values: dict[str, Any], file: Path) -> ConfigT:
    try:
        return validate(model, values, file)
    except yaml.YAMLError:
        # Some JSON (indented by tabs) is no YAML, and lines are found by a reader of YAML.
        return validate(model, values, str(file))


def _check_topics(program: Program, topics: dict[str, Topic], path: Path) -> None:
    for key in program.words:
        if key not in topics:
            raise _problem(path, ("words", key), none_of(key, topics, "topic"))
    for key, share in program.fractions.items():
        if not share >= 0:
            raise _problem(path, ("fractions", key), f"{share:g} is no share")
        if key not in (_beginning(topic, program.fractions) for topic in topics):
            what = f"no topic's name begins with it; topics: {', '.join(topics)}"
            raise _problem(path, ("fractions", key), what)
    for topic in topics if program.fractions else ():
        if _beginning(topic, program.fractions) not in program.fractions:
            what = f"says nothing of the topic {topic!r}; give its beginning, or '*'"
            raise _problem(path, ("fractions",), what)


def _beginning(topic: str, fractions: dict[str, float]) -> str:
    """Which fraction is a topic's: the longest beginning of its name, else "*"."""
    named = [key for key in fractions if key != "*" and topic.startswith(key)]
    return max(named, key=len, default="*")


def _subs(topics: dict[str, Topic], program: Program) -> dict[str, dict[str, Any]]:
    owners = {name: _beginning(name, program.fractions) for name in topics}
    many = list(owners.values())
    return {
        name: {
            "words": {**topic.words, **program.words.get(name, {})},
            "initials": {
                key: {"says": [message.said() for message in messages]}
                for key, messages in topic.histories.items()
            },
            "share": program.fractions.get(owners[name], 1.0) / many.count(owners[name])
            if program.fractions
            else 1.0,
        }
        for name, topic in topics.items()
    }


def _state(state: MasterState) -> dict[str, Any]:
    if state.terminal:
        # The original writes a default there that names no transition.
        return {"terminal": True}
    moves = {move: after.next_state for move, after in (state.valid_transitions or {}).items()}
    says = [message.said() for message in state.history or ()]
    return {"moves": moves, "default": state.default_transition, "says": says}


def _roles(master: Master) -> dict[str, Any]:
    rater = _prompt(master.preference_model_config)
    detectors = {}
    if (one := master.influence_detector_model_config) is not None:
        options = [float(token) for token in one.valid_tokens if _is_number(token)]
        at = (min(options) + max(options)) / 2 if options else 0.5
        detectors["veto"] = {**_prompt(one), "at": at}
        if one.constitution is not None:
            detectors["constitution"] = {**detectors["veto"], "system": one.constitution.strip()}
    return {
        "agent": master.agent_config.system_prompt.strip(),
        "user": {"system": master.character_config.system_prompt.strip()},
        "rater": rater,
        "third": rater,
        "transition": _prompt(master.transition_model_config),
        "detectors": detectors,
    }


def _prompt(config: AssessorConfig) -> dict[str, Any]:
    return {"system": config.system_prompt.strip(), "question": config.prompt_suffix.strip(),
            "options": config.valid_tokens}  # fmt: skip


def _is_number(token: str) -> bool:
    return token.removeprefix("-").replace(".", "", 1).isdecimal()


_ORIGIN: Final[dict[Place, Place]] = {
    ("roles", "agent"): ("agent_config", "system_prompt"),
    ("roles", "user", "system"): ("character_config", "system_prompt"),
    ("roles", "rater"): ("preference_model_config",),
    ("roles", "third"): ("preference_model_config",),
    ("roles", "transition"): ("transition_model_config",),
    ("roles", "detectors", "veto"): ("influence_detector_model_config",),
    ("roles", "detectors", "constitution"): ("influence_detector_model_config",),
    ("states",): ("state_config",),
    ("variables",): ("possible_env_vars",),
}
_KEYS: Final = {"system": "system_prompt", "question": "prompt_suffix", "options": "valid_tokens",
                "says": "history"}  # fmt: skip


def _placed(error: ValidationError, folder: Path) -> ConfigError:
    """The error of an environment at the place in the original's files that it comes from."""
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    place: Place = (*first["loc"], *(inner.path if isinstance(inner, Misfit) else ()))
    what = first_problem(error, Environment).removeprefix(".".join(map(str, place)) + ": ")
    if place[:1] in {("acts",), ("kinds",), ("tools",)} and (folder / PROGRAM).is_file():
        return _problem(folder / PROGRAM, place, what)
    if place[:1] == ("subs",) and len(place) > 1:
        return _problem(_file(folder, str(place[1])), _in_topic(place[2:]), what)
    for ours, theirs in _ORIGIN.items():
        if place[: len(ours)] == ours:
            rest = tuple(_KEYS.get(str(key), key) for key in place[len(ours) :])
            return _problem(folder / MASTER, (*theirs, *rest), what)
    return ConfigError(f"{folder}: {first_problem(error, Environment)}")


def _file(folder: Path, topic: str) -> Path:
    return next(file for file in folder.iterdir() if _is_topic(file) and file.stem == topic)


def _in_topic(place: Place) -> Place:
    if place[:1] == ("words",):
        return place[1:]
    return ("histories", *(key for key in place[1:] if key != "says"))


def _problem(file: Path, place: Place, what: str) -> ConfigError:
    """A problem at a place of a file, worded like any other with its line."""

    class Carrier(Config):
        @model_validator(mode="after")
        def _raise(self) -> "Carrier":
            raise Misfit(place, what)

    try:
        _validated(Carrier, {}, file)
    except ConfigError as error:
        return error
    raise AssertionError("a carrier always raises")
