"""Asking a chat model: equal requests once, replies kept on disk the moment they arrive.

A program that is killed and started again pays for nothing twice.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from seedbed.core.chat import Reply, Request
from seedbed.core.config import digest, first_problem
from seedbed.core.errors import DataError
from seedbed.core.files import read_json, write_json


class Backend(Protocol):
    """What answers: a server, a model of this machine, a script."""

    @property
    def name(self) -> str:
        """Backend and model, such as `openai:gpt-5-mini`."""

    @property
    def identity(self) -> dict[str, Any]:
        """All that tells its replies from another's, apart from the request: part of the key."""

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """(index, reply) of every request, in the order in which they arrive.

        Raises InputError where no request can succeed (no server, a wrong key or model).
        """


class ChatModel:
    """A backend with a cache: one JSON file a reply, named by the digest of what was asked.

    Replies with an error are never kept, so that asking again tries again.
    """

    def __init__(self, backend: Backend, cache: Path | None = None) -> None:
        self.backend, self.cache = backend, cache

    def __repr__(self) -> str:
        return f"ChatModel({self.name!r}, cache={self.cache})"

    @property
    def name(self) -> str:
        """Backend and model, such as `openai:gpt-5-mini`; equal names mean the same model."""
        return self.backend.name

    def key(self, request: Request) -> str:
        """SHA-256 (hex) of the request, the model, its server and its parameters."""
        return digest({"chat": self.backend.identity, "request": request.model_dump(mode="json")})

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in order; a failed one carries its `error`.

        Equal requests are asked once and the others count as cached. Raises InputError where no
        request can succeed, DataError for a damaged file of the cache.
        """
        keys = [self.key(request) for request in requests]
        known = {key: reply for key in dict.fromkeys(keys) if (reply := self._kept(key))}
        asked = {key: r for key, r in zip(keys, requests, strict=True) if key not in known}
        names = list(asked)
        for i, reply in self.backend.replies(list(asked.values())):
            known[names[i]] = reply
            self._keep(names[i], asked[names[i]], reply)
        found, seen = [], set()
        for key in keys:
            reply = known[key]
            again = key in seen and not reply.error
            found.append(reply.model_copy(update={"cached": True}) if again else reply)
            seen.add(key)
        return found

    def _file(self, key: str) -> Path | None:
        return self.cache / key[:2] / f"{key}.json" if self.cache else None

    def _kept(self, key: str) -> Reply | None:
        file = self._file(key)
        if file is None or not file.exists():
            return None
        value = read_json(file)
        try:
            reply = Reply.model_validate(value["reply"] if isinstance(value, dict) else value)
        except (KeyError, ValidationError) as error:
            what = first_problem(error, Reply) if isinstance(error, ValidationError) else "no reply"
            raise DataError(file, None, f"no kept reply ({what}); delete the file") from error
        return reply.model_copy(update={"cached": True})

    def _keep(self, key: str, request: Request, reply: Reply) -> None:
        file = self._file(key)
        if file is None or reply.error:
            return
        asked, said = request.model_dump(mode="json"), reply.model_dump(mode="json")
        write_json(file, {"chat": self.backend.identity, "request": asked, "reply": said})
