"""Asking a server: several requests at once, tried again when it is busy, never the key shown.

httpx2 comes with transformers; the makers' own packages would add dozens of others to speak
to one server each, where one POST speaks to all of them.
"""

import json
import os
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from seedbed.core.chat import Reply, Request, Weighing
from seedbed.core.config import Config
from seedbed.core.errors import ConfigError, InputError, MissingExtra
from seedbed.models.chat.pace import Pace, backoff, retry_after
from seedbed.models.chat.wire import FORM, Speech

BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
LOCAL = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})
CHARACTERS_PER_TOKEN = 4  # rough; corrected by what the server counts


class ServerOptions(Config):
    """How a server is asked.

    `concurrency` requests at once, each given up after `timeout` seconds and tried `retries`
    times more, waiting `wait` seconds, then twice as long and so on, at most `longest_wait`.
    `requests_per_minute` and `tokens_per_minute` are limits. `prices` are dollars for a million
    prompt and a million completion tokens. `extra` is merged into every request's JSON. `continues`
    says that the server goes on with an answer that was begun for it (vLLM, llama.cpp).
    """

    concurrency: int = Field(default=8, ge=1, le=256)
    timeout: float = Field(default=120, gt=0)
    retries: int = Field(default=6, ge=0)
    wait: float = Field(default=1.0, gt=0)
    longest_wait: float = Field(default=60, gt=0)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    prices: tuple[float, float] | None = None
    extra: dict[str, Any] = Field(default={}, description="merged into the JSON")
    continues: bool = False


class Served:
    """A model behind a server.

    The key is taken from the environment once; `repr`, errors and cache never show it.
    """

    def __init__(
        self, model: str, speech: Speech, base_url: str | None, options: ServerOptions
    ) -> None:
        self.model, self.speech, self.options = model, speech, options
        self.url = (base_url or speech.home).rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"base_url {self.url!r}: write it as http://HOST:PORT/v1")
        if parts.username or parts.password:
            raise ConfigError("base_url: holds a password; keys belong in the environment")
        self._local = parts.hostname in LOCAL
        self._key = os.environ.get(speech.key) or None
        if self._key is None and base_url is None:
            raise ConfigError(
                f"{self.name}: {speech.key} is not set in the environment (a server of your own"
                " needs no key, but a base_url)"
            )
        self._httpx = _client_package()
        self.without: frozenset[str] = frozenset()
        self._answered = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pace = Pace(options.requests_per_minute, options.tokens_per_minute)
        self._rng = random.Random()

    def __repr__(self) -> str:
        return f"Served({self.name!r}, {self.url!r})"

    @property
    def name(self) -> str:
        """Backend and model."""
        return f"{self.speech.backend}:{self.model}"

    @property
    def identity(self) -> dict[str, Any]:
        """Model, server and further parameters: two servers may hold two models of one name."""
        return {"name": self.name, "url": self.url, "extra": self.options.extra}

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """(index, reply) as they arrive. Raises InputError: no server, a wrong key or model."""
        if not requests:
            return
        self._stop.clear()
        client = self._httpx.Client(
            headers=self.speech.headers(self._key),
            timeout=self.options.timeout,
            # A proxy for the outside world does not know this machine's servers.
            trust_env=not self._local,
            limits=self._httpx.Limits(max_connections=self.options.concurrency),
        )
        with client, ThreadPoolExecutor(self.options.concurrency) as pool:
            waiting = {pool.submit(self._one, client, r): i for i, r in enumerate(requests)}
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, client: Any, request: Request) -> Reply:
        """One request until it succeeds, cannot, or has been tried often enough."""
        attempt, why = 0, ""
        while not self._stop.is_set():
            sent = self.without
            body = {**self.speech.body(self.model, request, sent), **self.options.extra}
            guess = len(json.dumps(body)) / CHARACTERS_PER_TOKEN + request.max_tokens
            self._pace.wait(guess)
            asked: float | None = None
            try:
                answer = client.post(self.url + self.speech.path, json=body)
            except self._httpx.RequestError as error:
                why = self._failure(error)
                if isinstance(error, self._httpx.ConnectError | self._httpx.UnsupportedProtocol):
                    self._nobody_there(why, attempt)
            else:
                self._answered = True
                if answer.status_code == 200:
                    reply = self._read(answer, guess, request)
                    if request.form is None or not self._ignored(sent, body, reply):
                        return reply
                    continue
                why = f"{answer.status_code} {self._message(answer)}"
                if answer.status_code in (400, 422) and self._do_without(body, sent, answer):
                    continue
                if answer.status_code not in BUSY:
                    return self._give_up(answer.status_code, why)
                asked = retry_after(answer.headers.get("retry-after"))
                if asked is not None and asked > self.options.longest_wait:
                    return Reply(error=f"the server asks to wait {asked:.0f} s: {why}")
                if answer.status_code == 429:
                    self._pace.hold(asked or 0.0)
            if attempt >= self.options.retries:
                return Reply(error=f"{why} (tried {attempt + 1} times)")
            pause = backoff(attempt, self.options.wait, self.options.longest_wait, self._rng)
            self._stop.wait(max(pause, asked or 0.0))
            attempt += 1
        return Reply(error="stopped")

    def _read(self, answer: Any, guess: float, request: Request) -> Reply:
        try:
            value = answer.json()
        except ValueError:
            return Reply(error="the server sent no JSON")
        reply = self.speech.reply(value)
        if isinstance(request, Weighing) and not reply.error:
            try:
                reply = reply.model_copy(update={"weighed": self.speech.weighed(value)})
            except ValueError as error:
                reply = reply.model_copy(update={"text": "", "error": str(error)})
        self._pace.correct(reply.prompt_tokens + reply.completion_tokens - guess)
        if self.options.prices is None:
            return reply
        tokens = (reply.prompt_tokens, reply.completion_tokens)
        dollars = sum(n * price / 1e6 for n, price in zip(tokens, self.options.prices, strict=True))
        return reply.model_copy(update={"dollars": dollars})

    def _do_without(self, body: dict[str, Any], sent: frozenset[str], answer: Any) -> bool:
        """Whether something that the server refused was left out since `sent`."""
        part = self.speech.refused(answer.text, body)
        if part is None or part in sent:
            return False
        with self._lock:
            self.without |= {part}
        return True

    def _ignored(self, sent: frozenset[str], body: dict[str, Any], reply: Reply) -> bool:
        """Whether a server took a form and wrote free text; the form is asked for in words then.

        Text that begins like JSON may have been cut, which another asking does not mend.
        """
        form = FORM not in sent and self.speech.refused("", body) == FORM
        if not form or reply.error or reply.text.lstrip().startswith(("{", "[")):
            return False
        with self._lock:
            self.without |= {FORM}
        return True

    def _give_up(self, status: int, why: str) -> Reply:
        """An error that asking again cannot mend: of this request, or of all of them."""
        if status in (401, 403):
            if self._key:
                raise InputError(f"{self.url}: does not take the key of {self.speech.key}: {why}")
            raise InputError(f"{self.url}: wants a key; {self.speech.key} is not set: {why}")
        if status == 404:
            raise InputError(f"{self.url}: knows no model {self.model!r} or no such address: {why}")
        return Reply(error=why)

    def _nobody_there(self, why: str, attempt: int) -> None:
        # A server that has answered before may be restarting; one that never has is not there.
        if not self._answered and attempt >= min(2, self.options.retries):
            raise InputError(f"{self.url}: no server answers ({why})")

    def _failure(self, error: Exception) -> str:
        if isinstance(error, self._httpx.TimeoutException):
            return f"no answer within {self.options.timeout:g} s"
        return self._safe(str(error) or type(error).__name__)

    def _message(self, answer: Any) -> str:
        """What the server says about an error, in one short line without the key."""
        try:
            value = answer.json()
            error = value.get("error", value.get("detail", value))
            text = str(error.get("message", error) if isinstance(error, dict) else error)
        except (ValueError, AttributeError):
            text = answer.text
        return self._safe(text)

    def _safe(self, text: str) -> str:
        line = " ".join(text.split())
        if self._key:
            line = line.replace(self._key, "[key]")
        return line if len(line) <= 300 else line[:297] + "..."


def _client_package() -> ModuleType:
    try:
        import httpx2
    except ModuleNotFoundError as error:
        raise MissingExtra("httpx2", "chat") from error
    return httpx2
