"""Episodes, many at once: every role is asked once a step for all slots, which refill at once.

Slots, order and interruptions change no transcript: all chances belong to the opening. A failed
episode is data with its reason.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from seedbed.core.config import Config, digest
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.transcripts import Opening, Transcript, Verdict
from seedbed.models.subject import Subject
from seedbed.simulation.agents import Agent, SubjectAgent
from seedbed.simulation.roles import Judge, Roles, RolesConfig, stops
from seedbed.simulation.saving import Saved
from seedbed.simulation.scene import Scene
from seedbed.simulation.slots import Episode
from seedbed.simulation.tools import Function, Registry
from seedbed.worlds.users.environment import Environment

Progress = Callable[[int, int], None]
"""Called with the numbers of finished episodes and of all."""


class Simulation(Config):
    """How episodes are played.

    `slots` of them at once; `turns` are the most of each (0: the environment's own);
    `temperature` and `max_tokens` are those of the agent that `agent` makes, `roles` play the
    others. `vetoes` are the detectors that keep a turn from being trained on; the others are
    asked and recorded only.
    """

    slots: int = Field(default=128, ge=1)
    turns: int = Field(default=0, ge=0)
    temperature: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    max_tokens: int = Field(default=24, ge=1)
    roles: RolesConfig = RolesConfig()
    vetoes: tuple[str, ...] = ()

    def agent(self, subject: Subject) -> SubjectAgent:
        """The subject as the agent of these episodes."""
        return SubjectAgent(subject, self.temperature, self.max_tokens)


def simulate(
    simulation: Simulation,
    environments: Mapping[str, Environment],
    openings: Sequence[Opening],
    agent: Agent,
    roles: Roles,
    folder: Path | None,
    iteration: int = 0,
    progress: Progress | None = None,
    tools: Mapping[str, Mapping[str, Function]] | None = None,
    of: str = "",
) -> list[Transcript]:
    """One transcript for each opening, in their order.

    A turn: the agent speaks, the grammar reads, tools run (`tools` are functions by environment
    and tool), the transition, the raters and the detectors judge, the next state is drawn, then
    the user answers. An episode ends in a terminal state, at the most turns, or where the agent,
    the transition or the user fails; a rater or a detector that fails leaves its verdict's error.
    With a `folder`, finished episodes are kept as they end, a second call goes on where the first
    was stopped, and `transcripts.jsonl` is written in the openings' order. `of` tells this agent
    from others (such as a digest of its weights), so that no folder mixes two of them.
    An agent brings its own temperature and length of replies (see `Simulation.agent`).
    Raises InputError for openings that stand twice or name unknown environments, ConfigError for
    a veto of a detector that nobody plays or an environment does not have, DataError for a folder
    with finished episodes of something else.
    """
    used = _environments(simulation, environments, openings)
    _check(simulation, used, openings, roles)
    saved = Saved(folder, openings, _digest(simulation, used, openings, iteration, of))
    if (whole := saved.whole()) is not None:
        return whole
    registries = {name: Registry(one, (tools or {}).get(name)) for name, one in used.items()}
    waiting = deque(i for i in range(len(openings)) if i not in saved.found)
    playing: list[Episode] = []
    while waiting or playing:
        while waiting and len(playing) < simulation.slots:
            place = waiting.popleft()
            opening = openings[place]
            name = opening.environment
            playing.append(Episode(place, opening, used[name], registries[name], iteration))
        step(playing, agent, roles, simulation.vetoes)
        done = [(one.place, one.transcript()) for one in playing if one.end]
        playing = [one for one in playing if not one.end]
        saved.add(done)
        if done and progress is not None:
            progress(len(saved.found), len(openings))
    return saved.close()


def step(playing: Sequence[Episode], agent: Agent, roles: Roles, vetoes: Sequence[str]) -> None:
    """Play one turn of every episode; those that are over have an `end`."""
    written = agent.replies([one.said for one in playing], [one.seed for one in playing])
    heard = [one.hear(w) for one, w in zip(playing, written, strict=True)]
    speaking = [(one, scene) for one, scene in zip(playing, heard, strict=True) if scene]
    if not speaking:
        return
    scenes = [scene for _, scene in speaking]
    moves = roles.transition.judge(scenes)
    judged: list[dict[str, object]] = [{"rating": v} for v in roles.rater.judge(scenes)]
    if roles.third is not None:
        for one, verdict in zip(judged, roles.third.judge(scenes), strict=True):
            one["third"] = verdict
    if roles.detectors:
        for one, flags, scene in zip(judged, _flags(roles.detectors, scenes), scenes, strict=True):
            one |= {"flags": flags, "vetoed": _vetoed(flags, scene, vetoes)}
    answering: list[tuple[Episode, Scene]] = []
    for (episode, scene), verdict, rest in zip(speaking, moves, judged, strict=True):
        if not (state := episode.move(verdict, rest)):
            continue
        if (now := episode.arrive(state, scene, episode.environment.turns)) is not None:
            answering.append((episode, now))
    if answering:
        spoken = roles.user.speak([scene for _, scene in answering])
        for (episode, scene), words in zip(answering, spoken, strict=True):
            episode.answer(words, scene.heard)


def _flags(detectors: Mapping[str, Judge], scenes: Sequence[Scene]) -> list[dict[str, Verdict]]:
    """Each scene's verdicts by detector, of those that its environment has."""
    found: list[dict[str, Verdict]] = [{} for _ in scenes]
    for name, judge in detectors.items():
        index = [i for i, s in enumerate(scenes) if name in s.environment.roles.detectors]
        if index:
            for i, verdict in zip(index, judge.judge([scenes[i] for i in index]), strict=True):
                found[i][name] = verdict
    return found


def _vetoed(flags: Mapping[str, Verdict], scene: Scene, vetoes: Sequence[str]) -> bool:
    known = scene.environment.roles.detectors
    return any(stops(flags[name], known[name].at) for name in vetoes)


def _environments(
    simulation: Simulation, environments: Mapping[str, Environment], openings: Sequence[Opening]
) -> dict[str, Environment]:
    names = list(dict.fromkeys(opening.environment for opening in openings))
    if unknown := [name for name in names if name not in environments]:
        raise InputError(
            f"openings of environment {unknown[0]!r}, which is not among those of this"
            f" simulation: {', '.join(environments)}"
        )
    found = {name: environments[name] for name in names}
    if simulation.turns:
        changed = {"turns": simulation.turns}
        found = {name: one.model_copy(update=changed) for name, one in found.items()}
    return found


def _check(
    simulation: Simulation,
    environments: Mapping[str, Environment],
    openings: Sequence[Opening],
    roles: Roles,
) -> None:
    seen: set[str] = set()
    for opening in openings:
        if opening.id in seen:
            raise InputError(f"opening {opening.id!r} stands twice")
        seen.add(opening.id)
    for name in simulation.vetoes:
        if name not in roles.detectors:
            known = ", ".join(roles.detectors) or "none"
            raise ConfigError(f"vetoes: nobody plays a detector {name!r}; known: {known}")
        for one in environments.values():
            if name not in one.roles.detectors:
                # Without it every turn there would pass unseen.
                raise ConfigError(f"vetoes: environment {one.name!r} has no detector {name!r}")


def _digest(
    simulation: Simulation,
    environments: Mapping[str, Environment],
    openings: Sequence[Opening],
    iteration: int,
    of: str,
) -> str:
    """Of all that decides a transcript, of the agent as far as `of` says; slots do not."""
    rest = simulation.model_dump(mode="json", exclude={"slots"})
    worlds = {name: digest(one) for name, one in environments.items()}
    ids = [[one.id, one.seed] for one in openings]
    parts = {"simulation": rest, "environments": worlds, "of": ids, "at": iteration, "by": of}
    return digest(parts)
