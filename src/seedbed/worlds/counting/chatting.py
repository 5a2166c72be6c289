"""Asking a chat model for JSON: replies checked, asked for again where unfit, their cost added up.

A backend that keeps its replies makes an interrupted loop go on without asking anything twice.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from seedbed.core.chat import Chat, Message, Reply, Request
from seedbed.core.rows import Row

PartT = TypeVar("PartT")
ATTEMPTS = 3
WARM = 0.8
"""The temperature at which models write examples and repeat unfit replies."""


class Cost(Row):
    """What a model's replies cost, those kept from an earlier call with them.

    `again` requests repeated an unfit reply, `failed` ones never came to anything; `dollars` is
    None where a price is unknown.
    """

    model: str = ""
    requests: int = 0
    again: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float | None = 0.0


class Asked:
    """A chat model and the cost of what it was asked."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.cost = Cost(model=chat.name)

    def parsed(
        self, requests: Sequence[Request], parse: Callable[[int, str], PartT]
    ) -> list[PartT | None]:
        """What `parse(index, text)` makes of each reply; None where no attempt was of use.

        `parse` raises ValueError for an unfit text, which is then asked for again with a new
        salt, ATTEMPTS times in all.
        """
        found: list[PartT | None] = [None] * len(requests)
        open_ = list(range(len(requests)))
        for attempt in range(ATTEMPTS):
            # At temperature 0 an unfit reply would come again as it was.
            warm = WARM if attempt else 0.0
            salted = [
                requests[i].model_copy(
                    update={
                        "salt": f"{requests[i].salt}/{attempt}",
                        "temperature": max(requests[i].temperature, warm),
                    }
                )
                for i in open_
            ]
            failed = []
            for i, reply in zip(open_, self.chat.ask(salted), strict=True):
                self._count(reply, again=attempt > 0)
                try:
                    if reply.error:
                        raise ValueError(reply.error)
                    found[i] = parse(i, reply.text)
                except ValueError:
                    failed.append(i)
            open_ = failed
        self.cost = self.cost.model_copy(update={"failed": self.cost.failed + len(open_)})
        return found

    def _count(self, reply: Reply, again: bool) -> None:
        cost = self.cost
        known = cost.dollars is not None and reply.dollars is not None
        self.cost = Cost(
            model=cost.model,
            requests=cost.requests + 1,
            again=cost.again + again,
            failed=cost.failed,
            prompt_tokens=cost.prompt_tokens + reply.prompt_tokens,
            completion_tokens=cost.completion_tokens + reply.completion_tokens,
            dollars=(cost.dollars or 0.0) + (reply.dollars or 0.0) if known else None,
        )


def request(
    system: str, user: str, form: dict[str, Any], tokens: int, salt: str, temperature: float = 0.0
) -> Request:
    """A request for a JSON object of a form."""
    messages = (Message(role="system", content=system), Message(role="user", content=user))
    return Request(
        messages=messages, form=form, max_tokens=tokens, salt=salt, temperature=temperature
    )


def json_object(text: str) -> dict[str, Any]:
    """The JSON object in a reply, fenced or with words around it; raises ValueError if none."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise ValueError("the reply holds no JSON object")
    try:
        value = json.loads(text[start : end + 1])
    except json.JSONDecodeError as error:
        raise ValueError(f"the reply is not JSON: {error.msg}") from error
    if not isinstance(value, dict):
        raise ValueError("the reply is not a JSON object")
    return value
