"""Who can be the agent: a subject, a chat model behind any backend, a person.

All get conversations and a seed for each, and answer them at once; a failure is told, not raised.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from seedbed.core.chat import Chat, Message, Request
from seedbed.core.conversation import before_marks
from seedbed.core.errors import InputError
from seedbed.core.transcripts import Said, as_messages
from seedbed.models.conversations import prompt_of
from seedbed.models.sampling import draw
from seedbed.models.subject import Subject
from seedbed.models.templates import has_template
from seedbed.models.tokens import encode_prompts

KEPT = 50_000  # conversations whose token ids are remembered

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Written:
    """What an agent says next; with an `error` it said nothing and `text` is ""."""

    text: str = ""
    error: str = ""


class Agent(Protocol):
    """Speaks after conversations, many at once."""

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """One reply for each conversation, in order, drawn from its own seed."""


class SubjectAgent:
    """A subject, asked through its chat template, at a temperature, for at most `most` tokens."""

    def __init__(self, subject: Subject, temperature: float = 1.0, most: int = 32) -> None:
        if not has_template(subject.tokenizer):
            raise InputError("the agent has no chat template, so it cannot take a conversation")
        self.subject, self.temperature, self.most = subject, temperature, most
        self._ids: dict[Key, tuple[int, ...] | str] = {}

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """Replies drawn token by token; batches change none of them.

        A reply ends at its end mark and before any other mark of a conversation. A conversation
        that the subject cannot read (too long, unknown words, refused by the
        template) gets an error of its own.
        """
        prompts = [self.prompt(conversation) for conversation in conversations]
        fit = [i for i, prompt in enumerate(prompts) if not isinstance(prompt, str)]
        made = draw(
            self.subject,
            [p for p in prompts if not isinstance(p, str)],
            self.most,
            self.temperature,
            [seeds[i] for i in fit],
        )
        found = [Written(error=p) if isinstance(p, str) else Written() for p in prompts]
        for i, said in zip(fit, made, strict=True):
            found[i] = Written(text=before_marks(said.text))
        return found

    def prompt(self, conversation: Sequence[Said]) -> tuple[int, ...] | str:
        """Token ids of a conversation up to where the agent speaks, or why there are none."""
        key = tuple([(said.role, said.content) for said in conversation])
        if key not in self._ids:
            if len(self._ids) >= KEPT:
                self._ids.clear()
            self._ids[key] = self._encoded(as_messages(conversation))
        return self._ids[key]

    def _encoded(self, messages: Sequence[Message]) -> tuple[int, ...] | str:
        text = ""
        try:
            tokenizer = self.subject.tokenizer
            text = prompt_of(tokenizer, messages)
            ids = encode_prompts(tokenizer, [text])[0]
        except (InputError, ValueError) as error:
            # Reasons are counted, so they must not hold what differs from prompt to prompt.
            return str(error).removeprefix(f"{text!r}: ")
        if len(ids) + self.most > self.subject.context:
            return (
                f"too long: with max_tokens {self.most} a conversation passes the agent's context"
                f" of {self.subject.context} tokens"
            )
        return ids


class ChatAgent:
    """A chat model behind a backend; servers that cannot be seeded draw as they like."""

    def __init__(self, chat: Chat, temperature: float = 1.0, most: int = 256) -> None:
        self.chat, self.temperature, self.most = chat, temperature, most

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """Replies of the model; a request that failed, or came back blank, carries its error."""
        requests = [
            Request(
                messages=as_messages(conversation),
                max_tokens=self.most,
                temperature=self.temperature,
                salt=f"agent/{seed}",
            )
            for conversation, seed in zip(conversations, seeds, strict=True)
        ]
        found = []
        for reply in self.chat.ask(requests):
            text = reply.text.strip()
            why = reply.error or ("" if text else f"{self.chat.name} said nothing")
            found.append(Written(error=why) if why else Written(text=text))
        return found


class PersonAgent:
    """A person: `ask` is shown a conversation and gives the line that was typed."""

    def __init__(self, ask: Callable[[Sequence[Said]], str]) -> None:
        self.ask = ask

    def replies(
        self, conversations: Sequence[Sequence[Said]], seeds: Sequence[int]
    ) -> list[Written]:
        """One line for each conversation; the end of the input is an error of the episode."""
        found = []
        for conversation in conversations:
            try:
                found.append(Written(text=self.ask(conversation).strip()))
            except EOFError:
                found.append(Written(error="the person left"))
        return found
