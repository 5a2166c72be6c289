"""What a chat model is asked and what it says, so that worlds can use one without knowing any.

Backends live in `seedbed.models`; whoever starts a run hands one to the world.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from pydantic import Field

from seedbed.core.rows import Row


class Message(Row):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Request(Row):
    """One question to a chat model.

    `form` is a JSON schema that the reply must fulfil (None: free text); backends that can
    enforce it do, and the caller checks all the same. `salt` tells otherwise equal requests
    apart, so that a cache does not answer a second attempt with the first.
    """

    messages: tuple[Message, ...] = Field(min_length=1)
    form: dict[str, Any] | None = None
    max_tokens: int = Field(default=512, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    salt: str = ""


class Weighing(Request):
    """A request for the log-probabilities of the likeliest `tops` tokens at each place besides.

    `begun` is what the assistant has said already and now goes on with.
    """

    tops: int = Field(default=20, ge=1)
    begun: str = ""


class Weighed(Row):
    """One token that was said and the log-probabilities (nats) of the likeliest there."""

    token: str
    tops: dict[str, float]


class Reply(Row):
    """What came back: `error` is "" or why there is no text, after all retries.

    `dollars` is None where no price is known; `cached` replies cost nothing again; `weighed` are
    the reply's tokens where a `Weighing` asked for them.
    """

    text: str = ""
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float | None = None
    cached: bool = False
    weighed: tuple[Weighed, ...] = ()


class Chat(Protocol):
    """A chat model that answers many requests at once."""

    @property
    def name(self) -> str:
        """Backend and model, such as `openai:gpt-5-mini`; equal names mean the same model."""

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in order; a failed one carries its `error`."""
