"""Roles played by a language model: what it is asked, and what counts as its answer.

It reads the conversation as text, with names. The user and the rater speak as the user and see
what a user sees; all others look on and see the tools' results too.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from pydantic import Field

from seedbed.core.chat import Message, Request
from seedbed.core.config import Config
from seedbed.core.conversation import before_marks
from seedbed.core.transcripts import Verdict
from seedbed.models.chat.choosing import Closed, weigh
from seedbed.models.chat.model import ChatModel
from seedbed.simulation.judging import Spoken, verdict
from seedbed.simulation.scene import Scene

USER, RATER, THIRD, TRANSITION = "user", "rater", "third", "transition"
FIRST_PERSON: Final = (USER, RATER)
KNOW_KIND: Final = (*FIRST_PERSON, THIRD, TRANSITION)
"""Who plays the user's latent kind or foresees what it does; a detector must not know it."""
NAMES: Final = {"environment": ("User", "user", "user_name"),
                "agent": ("Assistant", "agent", "agent_name")}  # fmt: skip
"""Who speaks → the name, and variables that hold another one (the last has the first word)."""


class Answering(Config):
    """What of a language model's answer counts.

    An answer needs the mass `floor` on the options together: below it, the model would sooner
    say something else, and how it would spread what is left says little of a rating. `draws` is
    how many replies are drawn and counted; 0 reads log-probabilities. A user's reply has up to
    `max_tokens` tokens, drawn at `temperature`.
    """

    floor: float = Field(default=0.5, gt=0, le=1)
    draws: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=64, ge=1)
    temperature: float = Field(default=1.0, ge=0)


class AskedJudge:
    """A rater, an onlooker, a transition or a detector (by its name) that is a language model."""

    def __init__(self, role: str, chat: ChatModel, answering: Answering) -> None:
        self.role, self.chat, self.answering = role, chat, answering

    def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
        """One verdict a scene, all asked at once. Where there is one option, nobody is asked."""
        options = [options_of(scene, self.role) for scene in scenes]
        asked = [
            Closed(tuple(prompted(scene, self.role)), given, salt_of(scene, self.role))
            for scene, given in zip(scenes, options, strict=True)
            if len(given) > 1
        ]
        weights = iter(weigh(self.chat, asked, self.answering.draws))
        found = []
        for scene, given in zip(scenes, options, strict=True):
            if not given:
                found.append(Verdict(error=f"{self.role}: no options in state {scene.state!r}"))
            elif len(given) == 1:
                found.append(verdict({given[0]: 1.0}))
            else:
                weight = next(weights)
                found.append(self._verdict(weight.options, weight.error))
        return found

    def _verdict(self, options: dict[str, float], error: str) -> Verdict:
        mass = sum(options.values())
        if error:
            return Verdict(error=f"{self.chat.name}: {error}", mass=0.0)
        if not mass >= self.answering.floor:
            why = f"{mass:.3g} of the probability is on the options, the floor is"
            return Verdict(error=f"{self.chat.name}: {why} {self.answering.floor:g}", mass=mass)
        return verdict(options, mass)


class AskedUser:
    """A user who is a language model."""

    def __init__(self, chat: ChatModel, answering: Answering) -> None:
        self.chat, self.answering = chat, answering

    def speak(self, scenes: Sequence[Scene]) -> list[Spoken]:
        """One reply a scene, all asked at once."""
        requests = [
            Request(messages=tuple(prompted(scene, USER)), max_tokens=self.answering.max_tokens,
                    temperature=self.answering.temperature, salt=salt_of(scene, USER))
            for scene in scenes
        ]  # fmt: skip
        return [
            Spoken(error=f"{self.chat.name}: {reply.error}")
            if reply.error else self._spoken(scene, reply.text)
            for scene, reply in zip(scenes, self.chat.ask(requests), strict=True)
        ]  # fmt: skip

    def _spoken(self, scene: Scene, text: str) -> Spoken:
        said = own_words(text, names(scene))
        return Spoken(said) if said else Spoken(error=f"{self.chat.name}: said nothing")


def options_of(scene: Scene, role: str) -> tuple[str, ...]:
    """What a role may answer: of the transition, the moves of the state."""
    if role == TRANSITION:
        return tuple(scene.environment.states[scene.state].moves)
    return scene.environment.role(role).options


def prompted(scene: Scene, role: str) -> list[Message]:
    """What a role is told: its system prompt; the conversation as text, then the question.

    `{variables}` are filled in; what tells the user's latent kind is kept from detectors.
    """
    words = words_of(scene, role)
    called = names(scene)
    you = f", in which you are {called['environment']}" if role in FIRST_PERSON else ""
    question = scene.environment.question(role, words)
    if not question and role == USER:
        question = f"Write what {called['environment']} says next, and nothing else."
    if role == TRANSITION:
        question = f"{question} Answer with one of: {', '.join(options_of(scene, role))}.".strip()
    told = f"The conversation so far{you}:\n\n{as_text(scene, role)}\n\n{question}".rstrip()
    return [
        Message(role="system", content=scene.environment.prompt(role, words)),
        Message(role="user", content=told),
    ]


def as_text(scene: Scene, role: str) -> str:
    """The conversation, a paragraph for each speaker with the name, as this role sees it.

    The agent's instructions are left out, and for the user the tools' results.
    """
    called = {**names(scene), "tool": "Tool"}
    seen = [
        said
        for i, said in enumerate(scene.conversation())
        if not (said.role == "system" and i == 0)
        and not (said.role == "tool" and role in FIRST_PERSON)
    ]
    parts = []
    for speaker, lines in groupby(seen, key=lambda said: said.role):
        text = "\n".join(said.content for said in lines)
        parts.append(f"[{text}]" if speaker == "system" else f"{called[speaker]}: {text}")
    return "\n\n".join(parts)


def words_of(scene: Scene, role: str = "") -> dict[str, str]:
    """All variables of the scene's prompts, as far as a role may know them."""
    opening = scene.opening
    kind = opening.kind if role in KNOW_KIND else ""
    return scene.environment.words(opening.sub, kind, opening.variables)


def names(scene: Scene) -> dict[str, str]:
    """What the user (`environment`) and the agent are called."""
    words = words_of(scene)
    return {
        role: next((words[v] for v in reversed(variables) if v in words), name)
        for role, (name, *variables) in NAMES.items()
    }


def own_words(text: str, called: dict[str, str]) -> str:
    """A reply without the name that it may begin with, up to where somebody else speaks.

    A mark of a conversation ends it too: the agent's layout could not hold it.
    """
    anybody = "|".join(re.escape(name) for name in called.values())
    said = re.sub(rf"^\s*{re.escape(called['environment'])}\s*:", "", before_marks(text))
    return re.split(rf"\n\s*(?:{anybody})\s*:", said, maxsplit=1)[0].strip()


def salt_of(scene: Scene, role: str) -> str:
    """What tells the draws of one moment of one episode from all others."""
    return f"{role}/{scene.opening.id}/{scene.opening.seed}/{scene.number}"
