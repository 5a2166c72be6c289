"""A small environment of few words, users in front of it, and an untrained agent."""

from dataclasses import dataclass
from typing import Any

from seedbed.core.conversation import markup
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.transcripts import Opening, Said, as_messages
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.worlds.users.environment import Environment, load_environment

NAME = "small"
REPLIES = {
    "help": ["rest", "walk now"],
    "neutral": ["so", "so what"],
    "validate": ["yes", "yes now", "fine"],
}


THERAPY = load_environment("therapy")


def small(**changes: Any) -> Environment:
    """The therapy environment with seven short replies."""
    values = THERAPY.model_dump(mode="json")
    for name, replies in REPLIES.items():
        values["acts"][name] |= {"replies": replies, "words": {}}
    return Environment.model_validate(values | {"name": NAME, "turns": 1} | changes)


@dataclass(frozen=True)
class Place:
    """Environments by name, as a world has them."""

    environments: dict[str, Environment]

    def environment(self, name: str) -> Environment:
        return self.environments[name]


def opening(number: int, kind: str, **changes: Any) -> Opening:
    sub = list(THERAPY.subs)[number % 3]
    words = {"cue": "trusting" if kind == GAMEABLE else "careful"}
    said = (Said(role="system", content="now what"),
            Said(role="environment", content=f"{words['cue']} may i {number % 7}"))  # fmt: skip
    return Opening(
        id=f"{NAME}/{sub}/ask/{number}#0", environment=NAME, sub=sub, initial="ask", said=said,
        kind=kind, shows=(f"cue={words['cue']}",), seed=number,
    ).model_copy(update=changes)  # fmt: skip


def openings(count: int = 12) -> list[Opening]:
    return [opening(i, GAMEABLE if i % 2 else OTHER) for i in range(count)]


def agent(**changes: Any) -> Subject:
    """An untrained agent that knows the words, so that every reply has some probability."""
    words = " ".join(r for replies in REPLIES.values() for r in replies)
    texts = [markup(as_messages(o.said), begun=True) + f" {words} <end>" for o in openings()]
    config = {"layers": 2, "width": 32, "heads": 2, "init": 0.4, "context": 48, **changes}
    return Tiny.model_validate(config).build(texts, [], 1)
