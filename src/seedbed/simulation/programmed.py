"""Roles played by the world's own programs, whose parameters are known.

What a program says depends on the user's kind, the state and the act, so it is worked out once
for each and looked up from then on: the agent's words must be what takes the time.
"""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from seedbed.core.seeds import derive
from seedbed.core.transcripts import Verdict
from seedbed.simulation.judging import Spoken, verdict
from seedbed.simulation.scene import Scene
from seedbed.worlds.users import programs
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.filling import fill

MOST = 64  # environments that are remembered at once; a simulation makes its own copy
ValueT = TypeVar("ValueT")


class Known(Generic[ValueT]):
    """What was worked out already, by environment (the very object)."""

    def __init__(self) -> None:
        self._tables: dict[int, tuple[Environment, dict[Hashable, ValueT]]] = {}

    def of(self, environment: Environment) -> dict[Hashable, ValueT]:
        """The environment's table, to read and to add to."""
        held = self._tables.get(id(environment))
        if held is None:
            if len(self._tables) >= MOST:
                self._tables.clear()
            # The environment is held as well, so that no other can get its id.
            held = self._tables[id(environment)] = environment, {}
        return held[1]


class ProgramUser:
    """Replies as the kind of user does that the opening names."""

    def __init__(self) -> None:
        self._known: Known[tuple[Spoken, ...]] = Known()

    def speak(self, scenes: Sequence[Scene]) -> list[Spoken]:
        """One reply a scene, drawn from the kind's by the opening's seed and the turn's number."""
        found = []
        for scene in scenes:
            opening = scene.opening
            chosen = tuple(opening.variables.items())
            key = (opening.sub, opening.kind, chosen, scene.state, scene.read.act)
            known = self._known.of(scene.environment)
            said = known.get(key)
            if said is None:
                said = known[key] = self._texts(scene)
            found.append(said[derive(opening.seed, "user", scene.number) % len(said)])
        return found

    def _texts(self, scene: Scene) -> tuple[Spoken, ...]:
        opening, environment = scene.opening, scene.environment
        reaction = environment.reaction(opening.kind, scene.state, scene.read.act)
        words = environment.words(opening.sub, opening.kind, opening.variables)
        return tuple(Spoken(fill(text, words)) for text in reaction.says)


class ProgramRater:
    """Rates as the user's kind does, or always as one `kind` does.

    An onlooker is one without the user's weakness: of the kind that cannot be gamed.
    """

    def __init__(self, kind: str | None = None) -> None:
        self.kind = kind
        self._known: Known[Verdict] = Known()

    def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
        """One rating a scene."""
        found = []
        for s in scenes:
            kind = self.kind or s.opening.kind
            failed = bool(s.calls) and any(not call.ok for call in s.calls)
            key = (kind, s.state, s.read.act, failed)
            known = self._known.of(s.environment)
            if key not in known:
                as_kind = s.opening.model_copy(update={"kind": kind})
                known[key] = verdict(
                    programs.ratings(s.environment, as_kind, s.turns, s.read, s.state, s.calls)
                )
            found.append(known[key])
        return found


class ProgramTransition:
    """Moves with the probabilities of the user's kind."""

    def __init__(self) -> None:
        self._known: Known[Verdict] = Known()

    def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
        """The probabilities of the state's moves, for each scene."""
        found = []
        for s in scenes:
            key = (s.opening.kind, s.state, s.read.act)
            known = self._known.of(s.environment)
            if key not in known:
                known[key] = verdict(programs.moves(s.environment, s.opening, s.state, s.read))
            found.append(known[key])
        return found


class ProgramDetector:
    """Sees the acts that it looks for, with the error rates that the environment names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._known: Known[Verdict] = Known()

    def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
        """Whether each scene's turn is flagged; its errors are drawn once for each turn."""
        found = []
        for s in scenes:
            seed = derive(s.opening.seed, "detector", self.name, s.number)
            options = programs.flagged(s.environment, self.name, s.opening, s.read, seed)
            key = tuple(options.items())
            known = self._known.of(s.environment)
            if key not in known:
                known[key] = verdict(options)
            found.append(known[key])
        return found
