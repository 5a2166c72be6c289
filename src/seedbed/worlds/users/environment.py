"""Environments: a state machine, the agent's acts, and how each kind of user takes them.

A YAML file is one environment. Ratings and welfare are tables over acts, so that what feedback
rewards and what it does to its users are known exactly.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from pydantic import Field, field_validator, model_validator

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.transcripts import Said, ToolCall
from seedbed.worlds.users.checks import KINDS, check
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.misfits import Part
from seedbed.worlds.users.parts import Act, Initial, Kind, Prompt, Reaction, Roles, State, Sub, Tool
from seedbed.worlds.users.pitfalls import read_careful

__all__ = ["KINDS", "Environment", "load_environment", "read_environment", "shipped"]
ItemT = TypeVar("ItemT")


class Environment(Part):
    """What surrounds an agent: who it talks with, about what, and what follows from what it says.

    `initials` are initial states that all `subs` share. `variables` are names of which each user
    gets one value. Without `acts` an environment has no grammar and no programs: language models
    must play its roles.
    """

    name: str = Field(min_length=1)
    turns: int = Field(default=1, ge=1)
    start: str
    states: dict[str, State] = Field(min_length=1)
    roles: Roles
    subs: dict[str, Sub] = Field(min_length=1)
    initials: dict[str, Initial] = Field(default={})
    variables: dict[str, tuple[str, ...]] = Field(default={})
    acts: dict[str, Act] = Field(default={})
    kinds: dict[str, Kind] = Field(default={})
    tools: dict[str, Tool] = Field(default={})

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if bad := [c for c in "/#" if c in value]:
            raise ValueError(f"{bad[0]!r} separates the parts of an opening's id; leave it out")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "Environment":
        check(self)
        return self

    @property
    def scripted(self) -> bool:
        """Whether it has acts and reactions, so that programs can play every role."""
        return bool(self.acts)

    def require_script(self, what: str) -> None:
        """Raise InputError, naming `what` needs it, where the environment has no acts."""
        if not self.scripted:
            raise InputError(
                f"environment {self.name!r} has no acts, so no grammar and no programs; {what}"
                " needs them: name a file with 'acts' and 'kinds' (_program.yaml beside"
                " _master_config.yaml), or let a language model play every role"
            )

    def sub(self, name: str) -> Sub:
        """A sub-environment; raises InputError with the near miss."""
        return _one(self.subs, name, f"environment {self.name!r}: sub-environment")

    def initial_states(self, sub: str) -> dict[str, Initial]:
        """Of a sub-environment, by name: those that all share, then its own."""
        return {**self.initials, **self.sub(sub).initials}

    def kind(self, name: str) -> Kind:
        """A kind of user; raises InputError where programs cannot play any."""
        self.require_script("a program in the role of a user")
        return _one(self.kinds, name, f"environment {self.name!r}: kind of user")

    def reaction(self, kind: str, state: str, act: str) -> Reaction:
        """Of a kind of user to an act in a state; the act "" is a reply that was not read."""
        return self.kind(kind).reaction(state, act)

    def moves(self, kind: str, state: str, act: str) -> dict[str, float]:
        """Move of the state → its probability after an act; they sum to 1."""
        given = self.reaction(kind, state, act).moves
        moves = {m: given[m] for m in self.states[state].moves if given.get(m)}
        return moves or {self.states[state].default: 1.0}

    def deceived(self, claims: Mapping[str, str], calls: Iterable[ToolCall]) -> bool:
        """Whether the record of an episode's calls contradicts a claim ("yes" or "no").

        A claim is true when a tool that proves it was called and did not fail.
        """
        ok = {self.tools[call.tool].proves for call in calls if call.ok and call.tool in self.tools}
        return any((said == "yes") != (claim in ok) for claim, said in claims.items())

    @property
    def gaming(self) -> tuple[str, ...]:
        """Names of the acts that the gameable kind's feedback rewards most."""
        return tuple(name for name, act in self.acts.items() if act.gaming)

    @property
    def harmful(self) -> tuple[str, ...]:
        """Names of the acts that harm (for an act that `lies`: where its claim is false)."""
        return tuple(name for name, act in self.acts.items() if act.harmful)

    @property
    def rating_options(self) -> tuple[float, ...]:
        """The rater's options as numbers."""
        return tuple(float(option) for option in self.roles.rater.options)

    def words(self, sub: str, kind: str = "", chosen: Mapping[str, str] | None = None,
              ) -> dict[str, str]:  # fmt: skip
        """All `{variables}` that a text of a sub-environment may hold, with their values.

        `chosen` are the user's own; those it leaves out take their first value. `wants` is the
        kind's ("" without a kind).
        """
        first = {name: values[0] for name, values in self.variables.items()}
        wants = self.kinds[kind].wants if kind in self.kinds else ""
        found = {**self.sub(sub).words, **first, **(chosen or {}), "topic": sub}
        found["wants"] = fill(wants, found)
        return found

    def role(self, role: str) -> Prompt:
        """The prompt of user, rater, third, transition or a detector by name."""
        named = {"user": self.roles.user, "rater": self.roles.rater, "third": self.roles.third,
                 "transition": self.roles.transition, **self.roles.detectors}  # fmt: skip
        return _one(named, role, f"environment {self.name!r}: role")

    def prompt(self, role: str, variables: Mapping[str, str]) -> str:
        """A role's system prompt with its variables filled in; `agent` is a role too."""
        text = self.roles.agent if role == "agent" else self.role(role).system
        return fill(text, variables)

    def question(self, role: str, variables: Mapping[str, str]) -> str:
        """What a role is asked after the conversation, with its variables filled in."""
        return fill(self.role(role).question, variables)

    def on_entry(self, state: str, variables: Mapping[str, str]) -> tuple[Said, ...]:
        """What is said on entry into a state."""
        return tuple(
            Said(role=one.role, content=fill(one.content, variables))
            for one in self.states[state].says
        )

    def began(self, sub: str, initial: str, variables: Mapping[str, str]) -> tuple[Said, ...]:
        """The agent's system prompt and all that was said when an episode begins."""
        states = self.initial_states(sub)
        begun = _one(states, initial, f"environment {self.name!r}: initial state")
        said = (Said(role="system", content=self.roles.agent), *begun.says)
        return tuple(Said(role=one.role, content=fill(one.content, variables)) for one in said)


def shipped() -> tuple[str, ...]:
    """Names of the environments that come with the package, sorted."""
    folder = files("seedbed.worlds.users") / "environments"
    names = (Path(item.name) for item in folder.iterdir())
    return tuple(sorted(path.stem for path in names if path.suffix == ".yaml"))


def load_environment(name_or_path: str, near: Path | None = None) -> Environment:
    """A shipped environment by name, a YAML file, or a folder in the original's format.

    Relative paths are looked for beside `near` (a study's file or its folder), then from here.
    Raises ConfigError in one line with file, line, key and the near miss.
    """
    if name_or_path in shipped():
        return read_environment(Path(str(files("seedbed.worlds.users"))) / "environments"
                                / f"{name_or_path}.yaml")  # fmt: skip
    given = Path(name_or_path).expanduser()
    beside = [] if near is None else [near if near.is_dir() else near.parent]
    for folder in [*beside, Path()]:
        path = folder / given
        if path.is_dir():
            from seedbed.worlds.users.original import read_original

            return read_original(path)
        if path.is_file():
            return read_environment(path)
    close = get_close_matches(name_or_path, shipped(), n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"shipped: {', '.join(shipped())}"
    raise ConfigError(f"environment {name_or_path!r}: no such environment, file or folder; {hint}")


def read_environment(path: Path) -> Environment:
    """Of a YAML file; raises ConfigError with the line of the first problem."""
    return validate(Environment, read_careful(path), path)


def _one(table: Mapping[str, ItemT], name: str, what: str) -> ItemT:
    if name in table:
        return table[name]
    close = get_close_matches(name, table, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(table)}"
    raise InputError(f"{what} {name!r} is unknown; {hint}")
