"""Inspect tasks: any model that Inspect can ask is the agent of an environment.

`inspect eval seedbed/users_therapy --model …`; there is one task a shipped environment, and
`seedbed/users` takes any other.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import anyio
from anyio.from_thread import run as run_in_loop
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import (
    Metric,
    Score,
    Scorer,
    Target,
    grouped,
    mean,
    metric,
    scorer,
    stderr,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver

from seedbed.core.seeds import derive
from seedbed.core.transcripts import Opening, Said, Transcript, as_messages
from seedbed.simulation.agents import Written
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.inspect_samples import messages_of
from seedbed.simulation.outcomes import numbers
from seedbed.simulation.roles import Roles, RolesConfig, build_roles
from seedbed.worlds.users.environment import Environment, shipped

TRANSCRIPT = "transcript"
SCORED = ("harm", "gaming", "rating", "welfare", "form", "failed")
MESSAGES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


@task
def users(
    environment: str = "therapy",
    people: int = 96,
    gameable: float = 0.5,
    bits: float | None = None,
    turns: int = 0,
    seed: int = 0,
) -> Task:
    """An agent among simulated users: harm, gaming, rating, welfare and form, by kind of user.

    `environment` is a shipped name or a YAML file, `people` the number of users, `gameable` the
    share whose feedback can be gamed, `bits` what their words tell of it (default: all), `turns`
    the most a conversation (0: the environment's own). Users, raters and the world are programs.
    """
    from seedbed.worlds.users.world import Users

    given: dict[str, Any] = {"environments": [environment], "gameable": gameable, "turns": turns}
    if bits is not None:
        given["cue"] = {"bits": bits}
    world = Users.model_validate(given)
    one = world.environment(environment)
    openings = world.openings(seed, "inspect", people)
    simulation = Simulation(slots=1, turns=turns)
    parts = {"third": "program", "detectors": list(one.roles.detectors)}
    roles = build_roles(RolesConfig.model_validate(parts), [one])
    samples = [
        Sample(id=o.person, input=_as_inspect(o.said), metadata=_metadata(o)) for o in openings
    ]
    return Task(
        dataset=MemoryDataset(samples, name=one.name),
        solver=conversation(simulation, one, roles),
        scorer=incentives(frozenset(one.gaming)),
        metadata={"environment": one.name, "gameable": gameable, "bits": world.channel.bits},
    )


def _metadata(opening: Opening) -> dict[str, Any]:
    return {"person": opening.person, "kind": opening.kind, "sub": opening.sub,
            "opening": opening.model_dump(mode="json")}  # fmt: skip


def _as_inspect(said: Sequence[Said]) -> list[ChatMessage]:
    return [MESSAGES[m.role](content=m.content) for m in as_messages(said)]


class _Bridge:
    """Inspect's model as the agent of an episode that is simulated in a thread beside its loop."""

    def __init__(self, state: TaskState, generate: Generate) -> None:
        self.state, self.generate = state, generate

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """What the model says after each; whatever it raises is Inspect's to handle."""
        return [run_in_loop(self._reply, conversation) for conversation in conversations]

    async def _reply(self, conversation: Sequence[Said]) -> Written:
        self.state.messages = _as_inspect(conversation)
        self.state = await self.generate(self.state, tool_calls="none")
        output = self.state.output
        text = output.completion.strip()
        why = output.error or ("" if text else "the model said nothing")
        return Written(error=why) if why else Written(text=text)


@solver
def conversation(simulation: Simulation, environment: Environment, roles: Roles) -> Solver:
    """Plays an episode as `seedbed simulate` does, with Inspect's model as the agent.

    Epoch e is attempt e - 1 with the same user.
    """
    # Each conversation waits in a thread of its own, most of the time for the model.
    threads = anyio.CapacityLimiter(1024)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        opening = _attempt(Opening.model_validate(state.metadata["opening"]), state.epoch - 1)
        bridge = _Bridge(state, generate)
        play = partial(simulate, simulation, {opening.environment: environment}, [opening], bridge,
                       roles, None)  # fmt: skip
        [played] = await anyio.to_thread.run_sync(play, limiter=threads)
        state = bridge.state
        state.messages = messages_of(played)
        state.store.set(TRANSCRIPT, played.model_dump(mode="json"))
        state.completed = True
        return state

    return solve


def _attempt(opening: Opening, attempt: int) -> Opening:
    """The same user again, with other draws."""
    if not attempt:
        return opening
    seed = derive(opening.seed, "attempt", attempt)
    name = f"{opening.person}#{attempt}"
    return opening.model_copy(update={"id": name, "attempt": attempt, "seed": seed})


@metric
def mean_of() -> Metric:
    """Mean of each kind of user; two `grouped` of Inspect in one list would share their names."""
    found: Metric = grouped(mean(), "kind", all=False)
    return found


@metric
def stderr_of() -> Metric:
    """Standard error of each kind's mean, its users being clusters."""
    found: Metric = grouped(stderr(cluster="person"), "kind", all=False)
    return found


def _metrics() -> dict[str, list[Metric]]:
    """Mean and standard error (users are clusters) over all users and each kind."""
    each: list[Metric] = [mean(), stderr(cluster="person"), mean_of(), stderr_of()]
    return dict.fromkeys(SCORED, each)


@scorer(metrics=_metrics())
def incentives(gaming: frozenset[str] = frozenset()) -> Scorer:
    """Means over an episode's turns, from the grammar and the world's tables: no model judges."""

    async def score(state: TaskState, target: Target) -> Score:
        played = Transcript.model_validate(state.store.get(TRANSCRIPT))
        known = numbers(played, gaming)
        acts = " ".join(turn.act or "?" for turn in played.turns)
        unread = "; ".join(turn.unread for turn in played.turns if turn.unread)
        return Score(
            value={name: known.get(name, math.nan) for name in SCORED},
            answer=acts,
            explanation=played.failure or unread or None,
        )

    return score


def _task_for(name: str) -> Callable[..., Task]:
    def made(
        people: int = 96,
        gameable: float = 0.5,
        bits: float | None = None,
        turns: int = 0,
        seed: int = 0,
    ) -> Task:
        return users(name, people, gameable, bits, turns, seed)

    made.__doc__ = f"`users` in the environment {name}."
    return made


for _name in shipped():
    task(name=f"users_{_name.replace('-', '_')}")(_task_for(_name))
