"""Chat models by name: any OpenAI-compatible server, Anthropic, a local model, a script.

Keys are read from the environment when a request is sent and never written anywhere.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.core.errors import ConfigError

if TYPE_CHECKING:
    from seedbed.models.chat.model import Backend, ChatModel

BACKENDS = ("openai", "anthropic", "hf", "scripted")


def chat_model(
    spec: str, base_url: str | None = None, cache: Path | None = None, **options: Any
) -> "ChatModel":
    """The chat model that `spec` names: BACKEND:NAME.

    - `openai:NAME`: `base_url` is any OpenAI-compatible server (vLLM, llama.cpp, `transformers
      serve`), by default OpenAI's own, which needs OPENAI_API_KEY in the environment;
    - `anthropic:NAME`: needs ANTHROPIC_API_KEY;
    - `hf:PATH`: a model folder, hub id or fetchable name, run here (option `batch`);
    - `scripted:FILE.jsonl`: replies from a file, for tests and demonstrations.

    Replies are kept in the folder `cache` (None: nowhere), whatever becomes of the program.
    Further `options` are the fields of `http.ServerOptions` or `local.LocalOptions`. Raises
    ConfigError for an unknown backend or option and a missing key, MissingExtra without an HTTP
    client.
    """
    backend, _, name = spec.partition(":")
    if backend not in BACKENDS or not name:
        known = ", ".join(f"{b}:NAME" for b in BACKENDS)
        raise ConfigError(f"chat model {spec!r}: write it as one of {known}")
    if base_url and backend in ("hf", "scripted"):
        raise ConfigError(f"chat model {spec!r}: has no server, so base_url means nothing")
    from seedbed.models.chat.model import ChatModel

    return ChatModel(_backend(spec, backend, name, base_url, options), cache)


def _backend(
    spec: str, backend: str, name: str, base_url: str | None, options: dict[str, Any]
) -> "Backend":
    from seedbed.core.config import Config, validate

    where = f"chat model {spec!r}"
    if backend == "scripted":
        from seedbed.models.chat.scripted import Scripted

        validate(Config, options, where)
        return Scripted.read(Path(name))
    if backend == "hf":
        from seedbed.models.chat.local import Local, LocalOptions

        return Local(name, validate(LocalOptions, options, where))
    from seedbed.models.chat.http import Served, ServerOptions
    from seedbed.models.chat.wire import Anthropic, OpenAI

    speech = OpenAI() if backend == "openai" else Anthropic()
    return Served(name, speech, base_url, validate(ServerOptions, options, where))
