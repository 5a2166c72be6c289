"""One torch thread and no network for every test, and the smallest study that runs whole."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from seedbed.cli.start import new_command


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def own_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the world and finder that `seedbed new` writes: colours.py, overlap.py."""
    folder = tmp_path_factory.mktemp("own")
    new_command("world", "colours", folder)
    new_command("finder", "overlap", folder)
    return folder


@pytest.fixture
def small_study(own_kinds: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes small.yaml (seconds to run), with changes by key, and returns its path."""

    def write(**changes: Any) -> Path:
        values: dict[str, Any] = {
            "world": {"kind": f"{own_kinds / 'colours.py'}:Colours", "people": 12,
                      "gate": {"by": "topic", "margin": 0.2}},
            "subject": {"kind": "tiny", "layers": 1, "width": 32},
            "training": {"steps": 120, "batch": 18, "optimizer": {"lr": 1e-2},
                         "checkpoint_every": 20},
            "finders": [{"kind": f"{own_kinds / 'overlap.py'}:Overlap", "label": "overlap"},
                        {"kind": "bm25"}],
            "seeds": [0, 1],
            "questions": 12,
        }  # fmt: skip
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump({**values, **changes}))
        return path

    return write


@dataclass
class ChatServer:
    """A real OpenAI-compatible server on this machine, with faults on demand.

    `says(body)` makes the reply's text. `faults` are (status, headers, JSON) that the next
    requests get instead; `refuses` are keys of the body that get a 400; `delay` is in seconds.
    `seen` are the (path, headers, body) that arrived, `most` the most that were open at once.
    """

    says: Callable[[dict[str, Any]], str] = lambda body: (
        f"you said {body['messages'][-1]['content']}"
    )
    faults: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    refuses: tuple[str, ...] = ()
    delay: float = 0.0
    seen: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    url: str = ""
    open: int = 0
    most: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def answer(
        self, path: str, headers: dict[str, str], body: Any
    ) -> tuple[int, dict[str, str], Any]:
        with self.lock:
            self.seen.append((path, headers, body))
            self.open += 1
            self.most = max(self.most, self.open)
            fault = self.faults.pop(0) if self.faults else None
        try:
            time.sleep(self.delay)
            if fault:
                return fault
            for name in self.refuses:
                if name in body:
                    return 400, {}, {"error": {"message": f"Unsupported parameter: '{name}'"}}
            text = self.says(body)
        finally:
            with self.lock:
                self.open -= 1
        counts = {"prompt_tokens": 10, "completion_tokens": len(text.split())}
        message = {"role": "assistant", "content": text}
        return 200, {}, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                         "usage": counts}  # fmt: skip


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A running `ChatServer`; `url` is what base_url wants."""
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            status, headers, value = state.answer(self.path, dict(self.headers.items()), body)
            text = (value if isinstance(value, str) else json.dumps(value)).encode()
            try:
                self.send_response(status)
                for name, content in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, content)
                self.end_headers()
                self.wfile.write(text)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client gave up waiting, which is what a slow reply tests

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its own name)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
