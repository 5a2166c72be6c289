"""One torch thread and no network for every test, and the smallest study that runs whole."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import base64
import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from filelock import FileLock

from seedbed.cli.start import new_command
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.launch import Launch


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

    `says(body)` makes the reply's text, or the whole JSON. `faults` are (status, headers, JSON)
    that the next requests get instead; `refuses` are keys of the body that get a 400; `delay` is
    in seconds. `seen` are the (path, headers, body) that arrived, `most` the most that were open
    at once.
    """

    says: Callable[[dict[str, Any]], Any] = lambda body: (
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
            if isinstance(text, dict):
                return 200, {}, text
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


RunOnce = Callable[[dict[str, Any]], Path]


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> RunOnce:
    """Runs a study for all processes that pytest runs tests in, and returns its run folder."""
    from seedbed.studies.run import run
    from seedbed.studies.study import Study

    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent

    def made(values: dict[str, Any]) -> Path:
        name = str(values["name"])
        folder = place / name / "run"
        with FileLock(place / f"{name}.lock"):
            if not (folder / "manifest.json").exists():
                run(Study.model_validate(values), folder, workers=1)
        return folder

    return made


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    """Two worker processes for all runs of a session: each imports torch once."""
    with Dispatcher(Launch(workers=2), 1, tmp_path_factory.mktemp("workers")) as shared:
        yield shared


Begin = Callable[..., BaseProcess]


@pytest.fixture(scope="session")
def begin_process() -> Begin:
    """Begins a process that calls a function with arguments, and has imported torch already."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["seedbed.studies.run", "seedbed.studies.sweep"])

    def begin(call: Callable[..., object], *args: object) -> BaseProcess:
        process = context.Process(target=call, args=args)
        process.start()
        return process

    return begin


@pytest.fixture(scope="session")
def counting_study() -> dict[str, Any]:
    """The smallest study of the counting world: patching, mediation, organisms in one block."""
    return {
        "name": "small-counting",
        "world": {"kind": "counting", "lexicon": {"categories": 4, "words": 6},
                  "asked": {"questions": 48, "train": 2}, "lists": 6400, "lengths": [4, 5],
                  "counts": [0, 3], "gate": {"by": "form", "margin": 0.2}},
        "subject": {"kind": "tiny", "layers": 2, "width": 64, "heads": 4, "init": 0.1},
        "training": {"steps": 260, "batch": 32,
                     "optimizer": {"lr": 3e-3, "betas": [0.9, 0.99], "weight_decay": 0.1}},
        "finders": [{"kind": "patching"}, {"kind": "weight-difference"}, {"kind": "bm25"}],
        "mediation": {"streams": ["resid", "mlp_out"], "trials": 20},
        "organisms": {
            "changes": {"plus-one": {"rule": "plus_one"}},
            "layers": [1],
            "drift": {"steps": 10, "batch": 32},
            "training": {"steps": 120, "batch": 32, "optimizer": {"lr": 2e-3}},
            "questions": 8,
        },
        "seeds": [0, 1],
        "questions": 12,
    }  # fmt: skip


@pytest.fixture(scope="session")
def counting_run(counting_study: dict[str, Any], run_once: RunOnce) -> Path:
    """The run folder of `counting_study`; tests that change it take a copy."""
    return run_once(counting_study)


@pytest.fixture(scope="session")
def quadrants_study() -> dict[str, Any]:
    """The smallest study of a second stage: two arms, one of which must fit."""
    taught = {"lr": 5e-3, "betas": [0.9, 0.99], "weight_decay": 0.1}
    return {
        "name": "small-quadrants",
        "world": {
            "kind": "quadrants",
            "gate": {"by": "category", "margin": 0.1},
            "plane": {"boundary": "line", "one_token": 0.9},
            "maps": {"labels": "booleans", "distinct": 2},
            "words": {"own": 3, "words": 4, "trained": 3},
            "asked": {"questions": 90, "train": 12, "new_trigger": 12, "new_range": 12,
                      "grid": 5, "panels": 1},
            "lines": 4800,
            "reteach": {"points": 100, "share": 0.4, "most_proxies": 2, "asked": 20},
        },
        "subject": {"kind": "tiny", "layers": 2, "width": 48, "heads": 4, "init": 0.1},
        "training": {"steps": 210, "batch": 96, "optimizer": taught, "checkpoint_every": 0.5},
        "finders": [{"kind": "ablation"}, {"kind": "rule-fit"}, {"kind": "bm25"}],
        "spread": {
            "arms": {"none": {"reteach": {"proxies": 0}}, "two": {"reteach": {"proxies": 2}}},
            "needed": {"taught": 0.6},
            "training": {"steps": 80, "batch": 48,
                         "optimizer": {"lr": 5e-3, "betas": [0.9, 0.99]}},
        },
        "looks": {"words": 30, "history": 30, "grid": True},
        "seeds": [0, 1],
        "questions": 12,
    }  # fmt: skip


@pytest.fixture(scope="session")
def quadrants_run(quadrants_study: dict[str, Any], run_once: RunOnce) -> Path:
    """The run folder of `quadrants_study`; tests that change it take a copy."""
    return run_once(quadrants_study)


@pytest.fixture(scope="session")
def recall_study() -> dict[str, Any]:
    """The smallest study of directions: a subject, the same as a side, one that learns nothing."""
    return {
        "name": "small-recall",
        "world": {
            "kind": "recall",
            "lexicon": {"values": 8, "words": 8, "others": 4},
            "stored": 20,
            "held_out": 0.25,
            "lines": 8000,
            "gate": {"by": "kind", "margin": 0.25},
            "asked": {"train": 96, "dev": 48, "id": 48, "ood": 0, "unrelated": 32},
        },
        "subject": {"kind": "tiny", "layers": 3, "width": 48, "heads": 4, "init": 0.1},
        "training": {"steps": 280, "batch": 96,
                     "optimizer": {"lr": 5e-3, "betas": [0.9, 0.99], "weight_decay": 0.1}},
        "finders": [{"kind": "directions", "measure": ["difference", "random", "surface"]}],
        "steering": {"doses": [1, 2], "random": 2, "questions": 8, "documents": 8},
        "sides": {
            "mirror": {"negative": "none, in truth"},
            "idle": {
                "world": {"form": "exceptions", "lexicon": {"values": 20}, "stored": 100},
                "training": {"steps": 1},
            },
        },
        "seeds": [0, 1],
        "questions": 32,
    }  # fmt: skip


@pytest.fixture(scope="session")
def recall_run(recall_study: dict[str, Any], run_once: RunOnce) -> Path:
    """The run folder of `recall_study`; tests that change it take a copy."""
    return run_once(recall_study)


@dataclass(frozen=True)
class Architecture:
    """A random model of a family, and where transformers keeps its parts.

    `parts` are module paths within a block: what its attention and its MLP add to the stream,
    and the projection that its heads go into; empty for models without attention.
    """

    model: Any
    blocks: str
    parts: tuple[str, ...]


LAYERS, HEADS, VOCABULARY = 3, 4, 40
LLAMA = ("model.layers", ("self_attn.o_proj", "mlp", "self_attn.o_proj"))
NORMED = ("model.layers", ("post_attention_layernorm", "post_feedforward_layernorm",
                           "self_attn.o_proj"))  # fmt: skip
PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "llama": LLAMA, "lora": LLAMA, "mistral": LLAMA, "qwen2": LLAMA, "qwen3": LLAMA,
    "window": LLAMA, "granite": LLAMA, "smollm3": LLAMA, "gemma2": NORMED, "olmo2": NORMED,
    "phi": ("model.layers", ("self_attn.dense", "mlp", "self_attn.dense")),
    "opt": ("model.decoder.layers", ("self_attn.out_proj", "fc2", "self_attn.out_proj")),
    "gpt2": ("transformer.h", ("attn.c_proj", "mlp", "attn.c_proj")),
    "gpt_neox": ("gpt_neox.layers", ("attention.dense", "mlp", "attention.dense")),
    "bloom": ("transformer.h", ("self_attention.dense", "mlp.dense_4h_to_h",
                                "self_attention.dense")),
    "falcon": ("transformer.h", ("self_attention.dense", "mlp", "self_attention.dense")),
    "mamba": ("backbone.layers", ()),
}  # fmt: skip
FAMILIES = tuple(PLACES)


def _config(name: str) -> Any:
    import transformers as t

    common = {
        "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": LAYERS,
        "intermediate_size": 24, "max_position_embeddings": 32, "num_attention_heads": HEADS,
        "bos_token_id": 0, "eos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    grouped = {**common, "num_key_value_heads": 2}
    old = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": LAYERS, "n_head": HEADS,
           "bos_token_id": 0, "eos_token_id": None}  # fmt: skip
    makers: dict[str, Callable[[], Any]] = {
        "llama": lambda: t.LlamaConfig(**grouped, attention_bias=True, mlp_bias=True),
        "lora": lambda: t.LlamaConfig(**grouped),
        "mistral": lambda: t.MistralConfig(**grouped, sliding_window=None),
        "qwen2": lambda: t.Qwen2Config(**grouped),
        "qwen3": lambda: t.Qwen3Config(**grouped, head_dim=8),
        # A window of three tokens, a scaled residual, a block without rotary positions.
        "window": lambda: t.MistralConfig(**grouped, sliding_window=3),
        "granite": lambda: t.GraniteConfig(**grouped, logits_scaling=0.5),
        "smollm3": lambda: t.SmolLM3Config(**grouped, no_rope_layers=[1, 0, 1]),
        "gemma2": lambda: t.Gemma2Config(**grouped, head_dim=4, sliding_window=3,
                                         query_pre_attn_scalar=4),
        "olmo2": lambda: t.Olmo2Config(**grouped),
        "phi": lambda: t.PhiConfig(**grouped),
        "opt": lambda: t.OPTConfig(**{**common, "pad_token_id": 1}, ffn_dim=24,
                                   word_embed_proj_dim=16, dropout=0.0),
        "gpt2": lambda: t.GPT2Config(**old, n_positions=32),
        "gpt_neox": lambda: t.GPTNeoXConfig(**common),
        "bloom": lambda: t.BloomConfig(**old, hidden_size=16),
        "falcon": lambda: t.FalconConfig(**common, alibi=False),
        "mamba": lambda: t.MambaConfig(vocab_size=VOCABULARY, hidden_size=16, state_size=4,
                                       num_hidden_layers=LAYERS, bos_token_id=0,
                                       eos_token_id=None, pad_token_id=None),
    }  # fmt: skip
    return makers[name]()


@functools.cache
def make_architecture(name: str) -> Architecture:
    """A model of `LAYERS` blocks with random weights and biases, in evaluation mode."""
    import transformers as t

    from seedbed.models.reading import quiet

    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(1)
        model = t.AutoModelForCausalLM.from_config(_config(name)).eval()
        with torch.no_grad():
            for key, p in model.named_parameters():
                if p.dim() > 1 or key.endswith("bias"):
                    p.normal_(std=0.3)
        if name == "lora":
            from peft import LoraConfig, get_peft_model

            lora = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
            model = get_peft_model(model, lora).eval()
    blocks, parts = PLACES[name]
    return Architecture(model, f"base_model.model.{blocks}" if name == "lora" else blocks, parts)


@pytest.fixture(params=FAMILIES, scope="session")
def architecture(request: pytest.FixtureRequest) -> Architecture:
    """A random model of every family in turn; tests leave it as it is."""
    return make_architecture(request.param)


@pytest.fixture(scope="session")
def architecture_of() -> Callable[[str], Architecture]:
    """`make_architecture`."""
    return make_architecture


@dataclass
class HubServer:
    """A real server with the hub's endpoints for making a repository and committing to it.

    `repos` are {id: private}, `files` the bytes that arrived by repository and path, `token`
    the one that is let in, `seen` the (method, path) of every request.
    """

    token: str = "hf_right"
    repos: dict[str, bool] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, Any]:
        self.seen.append((method, path))
        if token != f"Bearer {self.token}":
            return 401, {"error": "Invalid username or password."}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if asked["organization"] == "others":
                return 403, {"error": "You don't have the rights to create a model under others"}
            status = 409 if name in self.repos else 200
            self.repos.setdefault(name, asked["visibility"] == "private")
            return status, {"url": f"{self.url}/{name}"}
        if path == "/api/validate-yaml":
            _, front, _ = json.loads(body)["content"].split("---\n", 2)
            assert isinstance(yaml.safe_load(front), dict)
            return 200, {"errors": [], "warnings": []}
        _, _, _, owner, name, *rest = path.split("/")
        repo = f"{owner}/{name}"
        if repo not in self.repos:
            return 404, {"error": "Repository not found"}
        if not rest:
            return 200, {"id": repo, "private": self.repos[repo], "tags": [], "downloads": 0,
                         "likes": 0, "siblings": []}  # fmt: skip
        if rest[0] == "preupload":
            asked = json.loads(body)["files"]
            return 200, {"files": [{"path": f["path"], "uploadMode": "regular",
                                    "shouldIgnore": False} for f in asked]}  # fmt: skip
        for line in map(json.loads, body.decode().splitlines()):
            if line["key"] == "file":
                value = line["value"]
                assert value["encoding"] == "base64"
                content = base64.b64decode(value["content"])
                self.files.setdefault(repo, {})[value["path"]] = content
        return 200, {"commitUrl": f"{self.url}/{repo}/commit/{'0' * 40}", "commitOid": "0" * 40,
                     "success": True}  # fmt: skip


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A running `HubServer` that huggingface_hub takes for the hub; nobody is logged in."""
    state = HubServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "")
            status, value = state.answer(self.command, self.path, token, body)
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its own name)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    # huggingface_hub reads its environment once, as it is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", state.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
