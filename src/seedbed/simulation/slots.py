"""One episode while it is played: where it stands, what was said, what is left to do.

All chances are drawn from the opening's seed, the turn's number and the role's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seedbed.core.errors import InputError
from seedbed.core.seeds import derive
from seedbed.core.transcripts import End, Opening, Said, ToolCall, Transcript, Turn, Verdict
from seedbed.simulation.agents import Written
from seedbed.simulation.roles import Spoken
from seedbed.simulation.scene import Scene
from seedbed.simulation.tools import Registry
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.grammar import Grammar, Read, grammar_of
from seedbed.worlds.users.programs import effects


@dataclass
class Episode:
    """An episode in a slot; `place` is its opening's. `end` is None while it goes on."""

    place: int
    opening: Opening
    environment: Environment
    tools: Registry
    iteration: int
    grammar: Grammar = field(init=False)
    state: str = field(init=False)
    said: list[Said] = field(init=False)
    turns: tuple[Turn, ...] = ()
    end: End | None = None
    failure: str = ""
    now: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        opening, environment = self.opening, self.environment
        self.grammar = grammar_of(environment, opening.sub)
        initials = environment.initial_states(opening.sub)
        if opening.initial not in initials:
            raise InputError(
                f"opening {opening.id!r}: environment {environment.name!r} has no initial state"
                f" {opening.initial!r}"
            )
        self.state = initials[opening.initial].state or environment.start
        self.said = list(opening.said)

    @property
    def seed(self) -> int:
        """Of the agent's words in this turn."""
        return derive(self.opening.seed, "agent", len(self.turns))

    def hear(self, written: Written) -> Scene | None:
        """Take the agent's words: read them and run their tools; None where there are none."""
        if written.error:
            self.fail(f"agent: {written.error}")
            return None
        number = len(self.turns)
        read = self.grammar.read(written.text)
        calls = self.tools.run(read.calls, self.opening.seed, number) if read.calls else ()
        heard = tuple(Said(role="tool", content=call.result) for call in calls)
        self.now = {
            "number": number, "state": self.state, "said": written.text, "act": read.act,
            "unread": read.unread, "claims": read.claims, "calls": calls,
        }  # fmt: skip
        self.said = [*self.said, Said(role="agent", content=written.text), *heard]
        return self._scene(read, calls, heard)

    def move(self, moves: Verdict, judged: Mapping[str, object]) -> str:
        """Take what the roles judged and go to the next state; its name, "" after a failure."""
        self.now |= judged
        if moves.error:
            self.fail(f"transition: {moves.error}")
            return ""
        known = self.environment.states[self.state].moves
        if unknown := [name for name in moves.options if name not in known]:
            self.fail(f"transition: state {self.state!r} has no move {unknown[0]!r}")
            return ""
        moved = self._drawn(moves.options)
        self.now |= {"moves": moves.options, "moved": moved}
        return known[moved]

    def arrive(self, state: str, scene: Scene, turns: int) -> Scene | None:
        """Enter a state and count what the turn did; None where the episode ends with it.

        The scene returned is what the user answers to; `turns` are the most there are.
        """
        entry = () if state == self.state else self._entry(state)
        terminal = self.environment.states[state].terminal
        last = terminal or len(self.turns) + 1 >= turns
        if self.environment.scripted:
            welfare, harm = effects(
                self.environment, self.opening, self.turns, scene.read, self.state, scene.calls,
                last=last,
            )  # fmt: skip
            self.now |= {"welfare": welfare, "harm": harm}
        heard = (*scene.heard, *entry)
        self.said = [*self.said, *entry]
        self.now["after"] = heard
        self.state = state
        if last:
            self._close("terminal" if terminal else "length")
            return None
        return Scene(
            environment=self.environment, opening=self.opening, turns=self.turns,
            state=self.now["state"], said=scene.said, read=scene.read, calls=scene.calls,
            number=scene.number, heard=heard,
        )  # fmt: skip

    def answer(self, spoken: Spoken, heard: tuple[Said, ...]) -> None:
        """Take the user's words, after which the next turn begins."""
        if spoken.error:
            self.fail(f"user: {spoken.error}")
            return
        said = Said(role="environment", content=spoken.text)
        self.said = [*self.said, said]
        self.now["after"] = (*heard, said)
        self._finish_turn()

    def fail(self, why: str) -> None:
        """End the episode here; what there is of this turn stays."""
        self.failure = why
        self._close("failed")

    def transcript(self) -> Transcript:
        """The finished episode."""
        assert self.end is not None
        return Transcript.model_construct(
            opening=self.opening, turns=self.turns, iteration=self.iteration, end=self.end,
            failure=self.failure,
        )  # fmt: skip

    def _drawn(self, moves: Mapping[str, float]) -> str:
        names = [name for name, p in moves.items() if p > 0]
        if len(names) == 1:
            return names[0]
        # The digest itself is the uniform number: a generator would be made for one draw.
        at = derive(self.opening.seed, "transition", len(self.turns)) / 2**63
        for name in names[:-1]:
            if (at := at - moves[name]) < 0:
                return name
        return names[-1]

    def _close(self, end: End) -> None:
        self.end = end
        if self.now:
            self._finish_turn()

    def _finish_turn(self) -> None:
        # All values were made here or by rows that check themselves.
        self.turns = (*self.turns, Turn.model_construct(**self.now))
        self.now = {}

    def _entry(self, state: str) -> tuple[Said, ...]:
        says = self.environment.states[state].says
        if not says:
            return ()
        opening = self.opening
        words = self.environment.words(opening.sub, opening.kind, opening.variables)
        return self.environment.on_entry(state, words)

    def _scene(self, read: Read, calls: tuple[ToolCall, ...], heard: tuple[Said, ...]) -> Scene:
        return Scene(
            environment=self.environment, opening=self.opening, turns=self.turns,
            state=self.state, said=self.now["said"], read=read, calls=calls,
            number=len(self.turns), heard=heard,
        )  # fmt: skip
