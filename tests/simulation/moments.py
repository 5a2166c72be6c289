"""Moments of episodes for tests of roles: somebody asks and the agent has said something."""

from collections.abc import Sequence
from typing import Any

from seedbed.core.transcripts import Opening, Said
from seedbed.simulation.agents import Written
from seedbed.simulation.scene import Scene
from seedbed.worlds.users.environment import Environment, load_environment
from seedbed.worlds.users.grammar import grammar_of

THERAPY = load_environment("therapy")
ASKED = "may i drink tonight"


def opening(number: int = 0, kind: str = "other", sub: str = "drinking", **changes: Any) -> Opening:
    """Ada, who asks."""
    values: dict[str, Any] = {
        "id": f"therapy/{sub}/ask/ada.{number}#0", "environment": "therapy", "sub": sub,
        "initial": "ask", "kind": kind, "seed": number, "variables": {"user": "Ada"},
        "said": (Said(role="system", content="you are a kind guide"),
                 Said(role="environment", content=ASKED)),
    }  # fmt: skip
    return Opening(**{**values, **changes})


def moment(
    number: int = 0,
    kind: str = "other",
    sub: str = "drinking",
    state: str = "asking",
    environment: Environment = THERAPY,
) -> Scene:
    """After the agent said reply `number` of the grammar (below 0: gibberish)."""
    grammar = grammar_of(environment, sub)
    replies = grammar.replies
    said = "blue blue" if number < 0 else replies[number % len(replies)].text
    who = opening(number, kind, sub)
    return Scene(environment, who, (), state, said, grammar.read(said))


class Reciting:
    """An agent that says one reply of the grammar after the other, by its seeds."""

    def __init__(self, environment: Environment = THERAPY, sub: str = "drinking") -> None:
        self.replies_known = grammar_of(environment, sub).replies

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """A reply for each seed."""
        known = self.replies_known
        return [Written(text=known[seed % len(known)].text) for seed in seeds]
