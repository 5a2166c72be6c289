"""Inspect's provider `seedbed/PATH`: a subject in memory, whose concurrent calls share batches.

PATH is a model folder, a hub id or a fetchable name, as for `hf:PATH` elsewhere.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import anyio
from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from seedbed.core.chat import Message, Reply, Request
from seedbed.core.config import digest

if TYPE_CHECKING:
    from seedbed.models.subject import Subject

WRITTEN = 64  # tokens a reply, where nobody says otherwise


class InMemory(ModelAPI):
    """A subject as a model of Inspect.

    Whoever holds the lock answers all calls that have come in since it was taken, in one batch.
    Draws depend on the seed and the conversation, not on what shares the batch. Without a
    temperature in the config it is 1.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (frozen in use, Inspect's own way)
        batch: int = 64,
        subject: "Subject | None" = None,
    ) -> None:
        from seedbed.models.chat.local import Local, LocalOptions

        super().__init__(model_name, base_url, api_key, [], config)
        self.batch = batch
        self._local = Local(model_name, LocalOptions(batch=batch, seed=config.seed or 0), subject)
        self._lock = anyio.Lock()
        self._waiting: list[_Call] = []
        self._asked: Counter[str] = Counter()

    def max_connections(self) -> int:
        """As many calls at once as fit in a batch."""
        return self.batch

    def max_tokens(self) -> int:
        """The most tokens of a reply by default."""
        return WRITTEN

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002 (Inspect's name)
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """One reply. Tools are not offered to the model: its words are all there is.

        A conversation that the model cannot take (too long, unknown words, marks of the layout in
        a message) gets an error of its own. Raises InputError without a chat template.
        """
        heat = 1.0 if config.temperature is None else config.temperature
        most = config.max_tokens or WRITTEN
        plain = Request(messages=_messages(input), max_tokens=most, temperature=heat)
        key = digest(plain)
        # The same conversation asked again is another draw.
        call = _Call(plain.model_copy(update={"salt": str(self._asked[key])}))
        self._asked[key] += 1
        self._waiting.append(call)
        async with self._lock:
            if call.reply is None:
                await self._answer(call)
        assert call.reply is not None
        return _output(self.model_name, call.reply, most)

    async def _answer(self, own: "_Call") -> None:
        calls, self._waiting = self._waiting, []
        try:
            replies = await anyio.to_thread.run_sync(self._replies, [c.request for c in calls])
        except BaseException:
            # Each of the others asks again when the lock comes to it.
            self._waiting = [*(c for c in calls if c is not own), *self._waiting]
            raise
        for call, reply in zip(calls, replies, strict=True):
            call.reply = reply

    def _replies(self, requests: Sequence[Request]) -> list[Reply]:
        found = dict(self._local.replies(requests))
        return [found[i] for i in range(len(requests))]


class _Call:
    """A request that waits for its reply."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.reply: Reply | None = None


def _messages(given: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """Inspect's messages in the three roles that chat templates know, neighbours joined."""
    from seedbed.core.transcripts import Said, Speaker, as_messages

    roles: dict[str, Speaker] = {
        "system": "system", "user": "environment", "assistant": "agent", "tool": "tool"
    }  # fmt: skip
    return as_messages([Said(role=roles[m.role], content=m.text) for m in given])


def _output(model: str, reply: Reply, most: int) -> ModelOutput:
    usage = ModelUsage(
        input_tokens=reply.prompt_tokens, output_tokens=reply.completion_tokens,
        total_tokens=reply.prompt_tokens + reply.completion_tokens,
    )  # fmt: skip
    why: Literal["unknown", "max_tokens", "stop"] = "stop"
    if reply.error:
        why = "unknown"
    elif reply.completion_tokens >= most:
        why = "max_tokens"
    output = ModelOutput.from_content(model, reply.text, stop_reason=why, error=reply.error or None)
    output.usage = usage
    return output


@modelapi(name="seedbed")
def seedbed() -> Any:
    """The class behind `seedbed/PATH`."""
    return InMemory
