"""What a role looks at: one moment of an episode, after the agent has spoken.

Roles get scenes and nothing else, whether they are programs or language models.
"""

from dataclasses import dataclass

from seedbed.core.errors import InputError
from seedbed.core.transcripts import Opening, Said, ToolCall, Transcript, Turn
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.grammar import Read, grammar_of


@dataclass(frozen=True)
class Scene:
    """One moment: `turns` are the finished ones, `said` the agent's words now ("" before any).

    `state` is the environment's, `read` what the grammar decoded of `said`, `calls` the tools
    that it ran, `number` the turn's, from 0. `heard` is what followed `said` already: tools'
    results and messages on entry into a state.
    """

    environment: Environment
    opening: Opening
    turns: tuple[Turn, ...]
    state: str
    said: str
    read: Read
    calls: tuple[ToolCall, ...] = ()
    number: int = 0
    heard: tuple[Said, ...] = ()

    def conversation(self) -> list[Said]:
        """All that was said up to here, by everybody, in order."""
        said = list(self.opening.said)
        for turn in self.turns:
            said += [Said(role="agent", content=turn.said), *turn.after]
        now = [Said(role="agent", content=self.said)] if self.said else []
        return [*said, *now, *self.heard]


def scenes_of(transcript: Transcript, environment: Environment) -> list[Scene]:
    """The scene of every turn of a finished episode, as its raters saw it.

    Of what followed a turn they saw the tools' results only: the next state's messages and the
    user's reply came later. Raises InputError where the environment lacks the sub-environment or
    a state of the transcript.
    """
    grammar = grammar_of(environment, transcript.opening.sub)
    found = []
    for i, turn in enumerate(transcript.turns):
        if turn.state not in environment.states:
            raise InputError(
                f"transcript {transcript.id!r}: environment {environment.name!r} has no state"
                f" {turn.state!r}"
            )
        heard = tuple(said for said in turn.after if said.role == "tool")
        found.append(
            Scene(environment=environment, opening=transcript.opening,
                  turns=transcript.turns[:i], state=turn.state, said=turn.said,
                  read=grammar.read(turn.said), calls=turn.calls, number=turn.number, heard=heard)
        )  # fmt: skip
    return found
