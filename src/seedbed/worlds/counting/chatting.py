"""Asking a chat model for JSON: replies kept in files, checked, asked again, and their cost.

Kept replies make an interrupted loop go on where it stopped, whatever backend answers.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from seedbed.core.chat import Chat, Message, Reply, Request
from seedbed.core.config import digest
from seedbed.core.errors import DataError
from seedbed.core.files import read_json, write_json
from seedbed.core.rows import Row

PartT = TypeVar("PartT")
ATTEMPTS = 3
CHUNK = 32
"""So many requests are asked at once; their replies are kept before the next are asked."""


class Cost(Row):
    """What a model's replies cost; `dollars` is None where a price is unknown."""

    model: str = ""
    requests: int = 0
    again: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float | None = 0.0


class Asked:
    """A chat model whose replies are kept in a folder, one file a request."""

    def __init__(self, chat: Chat, folder: Path) -> None:
        self.chat, self.folder = chat, folder
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
            salted = [
                requests[i].model_copy(update={"salt": f"{requests[i].salt}/{attempt}"})
                for i in open_
            ]
            failed = []
            for i, reply in zip(open_, self._replies(salted), strict=True):
                try:
                    if reply.error:
                        raise ValueError(reply.error)
                    found[i] = parse(i, reply.text)
                except ValueError:
                    failed.append(i)
            self._count(requests=len(open_), again=len(open_) if attempt else 0)
            open_ = failed
        self._count(failed=len(open_))
        return found

    def _replies(self, requests: Sequence[Request]) -> list[Reply]:
        paths = [self._path(request) for request in requests]
        ask = [i for i, path in enumerate(paths) if not path.exists()]
        fresh: dict[int, Reply] = {}
        for start in range(0, len(ask), CHUNK):
            part = ask[start : start + CHUNK]
            replies = self.chat.ask([requests[i] for i in part])
            for i, reply in zip(part, replies, strict=True):
                fresh[i] = reply
                if not reply.error:
                    # Whether a backend's cache had it says nothing about the reply itself.
                    kept = reply.model_copy(update={"cached": False})
                    write_json(paths[i], kept.model_dump(mode="json"))
        replies = [fresh[i] if i in fresh else self._read(path) for i, path in enumerate(paths)]
        for reply in replies:
            dollars = self.cost.dollars
            known = dollars is not None and reply.dollars is not None
            self.cost = self.cost.model_copy(
                update={
                    "prompt_tokens": self.cost.prompt_tokens + reply.prompt_tokens,
                    "completion_tokens": self.cost.completion_tokens + reply.completion_tokens,
                    "dollars": (dollars or 0.0) + (reply.dollars or 0.0) if known else None,
                }
            )
        return replies

    def _read(self, path: Path) -> Reply:
        try:
            return Reply.model_validate(read_json(path))
        except ValidationError as error:
            raise DataError(path, None, "is no kept reply; remove it to ask again") from error

    def _path(self, request: Request) -> Path:
        key = digest({"model": self.chat.name, "request": request.model_dump(mode="json")})
        return self.folder / f"{key[:32]}.json"

    def _count(self, **more: int) -> None:
        now = {name: getattr(self.cost, name) + n for name, n in more.items()}
        self.cost = self.cost.model_copy(update=now)


def request(system: str, user: str, form: dict[str, Any], tokens: int, salt: str) -> Request:
    """A request for a JSON object of a form."""
    messages = (Message(role="system", content=system), Message(role="user", content=user))
    return Request(messages=messages, form=form, max_tokens=tokens, salt=salt)


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
