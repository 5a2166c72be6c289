"""What servers are sent and what they send back: OpenAI's chat completions, Anthropic's messages.

A server that refuses a parameter is asked again without it; what was refused is remembered.
"""

import json
import math
from typing import Any, Protocol

from seedbed.core.chat import Reply, Request, Weighed, Weighing
from seedbed.core.seeds import derive

FORM, SEED, TEMPERATURE, MAX_TOKENS = "form", "seed", "temperature", "max_tokens"


_NOTHING = -9999.0
_ROUNDING = 1e-2  # servers round log-probabilities, of half-precision models at that


class Speech(Protocol):
    """A server's manner of speaking."""

    backend: str
    home: str
    path: str
    key: str

    def headers(self, key: str | None) -> dict[str, str]:
        """What is sent beside every request."""

    def body(self, model: str, request: Request, without: frozenset[str]) -> dict[str, Any]:
        """The request as JSON, leaving out what the server refuses."""

    def reply(self, value: Any) -> Reply:
        """The reply in what the server sent; an error if there is no text in it."""

    def weighed(self, value: Any) -> tuple[Weighed, ...]:
        """The tokens of the reply with their log-probabilities.

        Raises ValueError, saying what is wrong, where there are none or they make no sense.
        """

    def refused(self, message: str, body: dict[str, Any]) -> str | None:
        """Which part of the body a 400 complains about, if it is one we can do without."""


class OpenAI:
    """Chat completions, as OpenAI and all compatible servers take them."""

    backend, home, path = "openai", "https://api.openai.com/v1", "/chat/completions"
    key = "OPENAI_API_KEY"

    def headers(self, key: str | None) -> dict[str, str]:
        """The key as a bearer token."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, model: str, request: Request, without: frozenset[str]) -> dict[str, Any]:
        """`max_tokens` becomes `max_completion_tokens` where the former is refused."""
        limit = "max_completion_tokens" if MAX_TOKENS in without else "max_tokens"
        body: dict[str, Any] = {
            "model": model,
            "messages": messages(request, plain=FORM in without),
            limit: request.max_tokens,
        }
        if TEMPERATURE not in without:
            body["temperature"] = request.temperature
        if request.temperature and SEED not in without:
            body["seed"] = derive(0, "chat", request.salt) % 2**31
        if request.form is not None and FORM not in without:
            form = {"name": "reply", "schema": request.form, "strict": strict(request.form)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if isinstance(request, Weighing):
            body |= {"logprobs": True, "top_logprobs": request.tops}
            if request.begun:
                # vLLM's names; llama.cpp goes on with a last message of the assistant anyway.
                body["messages"].append({"role": "assistant", "content": request.begun})
                body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    def reply(self, value: Any) -> Reply:
        """The first choice's text; a refusal is an error."""
        try:
            message = value["choices"][0]["message"]
            text, refusal = message.get("content"), message.get("refusal")
        except (KeyError, IndexError, TypeError, AttributeError):
            return Reply(error="the server sent no choices[0].message")
        counts = _counts(value, "prompt_tokens", "completion_tokens")
        if refusal or not isinstance(text, str):
            return Reply(error=f"refused: {refusal}" if refusal else "an empty message", **counts)
        return Reply(text=text, **counts)

    def weighed(self, value: Any) -> tuple[Weighed, ...]:
        """`choices[0].logprobs.content`, checked to be probabilities."""
        try:
            places = value["choices"][0]["logprobs"]["content"]
        except (KeyError, IndexError, TypeError):
            places = None
        if not places:
            raise ValueError("the server sent no log-probabilities")
        try:
            found = tuple(_place(one) for one in places)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("the server's log-probabilities cannot be read") from error
        for one in found:
            total = math.fsum(math.exp(min(p, 1.0)) for p in one.tops.values())
            if not total <= 1 + _ROUNDING:
                raise ValueError(
                    f"the server's log-probabilities are none: together {total:.4g} at a token"
                )
        return found

    def refused(self, message: str, body: dict[str, Any]) -> str | None:
        """By the names that stand in the message, the more specific first."""
        if MAX_TOKENS in body and "max_completion_tokens" in message:
            return MAX_TOKENS
        for part in (TEMPERATURE, SEED):
            if part in body and part in message:
                return part
        return FORM if "response_format" in body else None


class Anthropic:
    """Anthropic's messages; a form is a tool whose input the model must fill in."""

    backend, home, path = "anthropic", "https://api.anthropic.com/v1", "/messages"
    key = "ANTHROPIC_API_KEY"

    def headers(self, key: str | None) -> dict[str, str]:
        """The key and the version of the interface."""
        return {"anthropic-version": "2023-06-01", **({"x-api-key": key} if key else {})}

    def body(self, model: str, request: Request, without: frozenset[str]) -> dict[str, Any]:
        """The system message stands apart; seeds do not exist."""
        # A tool's input is always an object.
        formed = request.form is not None and FORM not in without
        formed = formed and (request.form or {}).get("type") == "object"
        told = messages(request, plain=not formed)
        system = "\n\n".join(m["content"] for m in told if m["role"] == "system")
        body: dict[str, Any] = {
            "model": model,
            "messages": [m for m in told if m["role"] != "system"],
            "max_tokens": request.max_tokens,
        }
        if system:
            body["system"] = system
        if TEMPERATURE not in without:
            body["temperature"] = request.temperature
        if formed:
            tool = {"name": "reply", "description": "The reply.", "input_schema": request.form}
            body["tools"] = [tool]
            body["tool_choice"] = {"type": "tool", "name": "reply"}
        return body

    def reply(self, value: Any) -> Reply:
        """The tool's input as JSON, or else the text blocks."""
        try:
            blocks = [(b["type"], b) for b in value["content"]]
        except (KeyError, TypeError):
            return Reply(error="the server sent no content")
        counts = _counts(value, "input_tokens", "output_tokens")
        for kind, block in blocks:
            if kind == "tool_use":
                return Reply(text=json.dumps(block.get("input"), ensure_ascii=False), **counts)
        text = "".join(str(b.get("text", "")) for kind, b in blocks if kind == "text")
        if not text:
            return Reply(error=f"no text ({value.get('stop_reason')})", **counts)
        return Reply(text=text, **counts)

    def weighed(self, value: Any) -> tuple[Weighed, ...]:
        """Never: this server gives no log-probabilities."""
        raise ValueError("the server gives no log-probabilities")

    def refused(self, message: str, body: dict[str, Any]) -> str | None:
        """Temperature by name; otherwise the tool, if there is one."""
        if TEMPERATURE in body and TEMPERATURE in message:
            return TEMPERATURE
        return FORM if "tools" in body else None


def messages(request: Request, *, plain: bool) -> list[dict[str, str]]:
    """Messages as JSON; `plain` asks for the form in words, after the last message."""
    told = [{"role": m.role, "content": m.content} for m in request.messages]
    if plain and request.form is not None:
        form = json.dumps(request.form, ensure_ascii=False, sort_keys=True)
        told[-1]["content"] += (
            f"\n\nReply with JSON only, nothing before or after it. Its JSON schema: {form}"
        )
    return told


def strict(form: Any) -> bool:
    """Whether OpenAI's strict mode takes a schema: closed objects with all keys required."""
    if isinstance(form, list):
        return all(strict(part) for part in form)
    if not isinstance(form, dict):
        return True
    if form.get("type") == "object":
        keys = set(form.get("properties", {}))
        if form.get("additionalProperties") is not False or set(form.get("required", ())) != keys:
            return False
    return all(strict(part) for part in form.values())


def _place(value: dict[str, Any]) -> Weighed:
    """One token as servers send it: itself and a list of the likeliest there."""
    likeliest = [*value["top_logprobs"], {"token": value["token"], "logprob": value["logprob"]}]
    if not all(isinstance(one["logprob"], int | float) for one in likeliest):
        raise TypeError("a log-probability is no number")
    # Some servers send −∞, which JSON has no number for.
    tops = {str(one["token"]): max(float(one["logprob"]), _NOTHING) for one in likeliest}
    return Weighed(token=str(value["token"]), tops=tops)


def _counts(value: Any, prompt: str, completion: str) -> dict[str, Any]:
    usage = value.get("usage")
    known = usage if isinstance(usage, dict) else {}
    counts = {"prompt_tokens": known.get(prompt), "completion_tokens": known.get(completion)}
    return {name: n if isinstance(n, int) else 0 for name, n in counts.items()}
