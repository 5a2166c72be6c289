"""Environments of peers: one a peer, in the user's cache, never mixed with seedbed's own.

An environment counts once its record is written, the last step; without it, what is there is
half-made and is removed by the next installation.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from filelock import FileLock

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json, write_json
from seedbed.finders.adapters.peers import PEERS, SHARED, Peer
from seedbed.models.fetch import cache_folder

Say = Callable[[str], None]
RECORD = "seedbed.json"
WHEELS = "https://download.pytorch.org/whl"


def peer_named(name: str) -> Peer:
    """The peer of that name; raises ConfigError with the near miss."""
    key = name.replace("-", "_")
    if key in PEERS:
        return PEERS[key]
    near = get_close_matches(key, PEERS, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(PEERS)}"
    raise ConfigError(f"no adapter is named {name!r}; {hint}")


def folder_of(peer: Peer) -> Path:
    """Where the environment of `peer` is or would be."""
    return cache_folder() / "envs" / peer.name


def python_of(peer: Peer) -> Path:
    """The interpreter of the environment of `peer`."""
    place = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return folder_of(peer).joinpath(*place)


def unavailable(peer: Peer) -> str:
    """Why `peer` cannot be called and what to do about it; "" if it can."""
    again = f"run `seedbed adapters install {peer.name}`"
    record = folder_of(peer) / RECORD
    if not record.is_file():
        return f"{peer.name} is not installed: {again}"
    found = read_json(record)
    if found != _wanted(peer):
        was = f"{found.get('pin')} with torch {found.get('torch')}"
        return f"{peer.name} is out of date ({was}): {again}"
    if not python_of(peer).exists():
        return f"{peer.name}: its environment has lost its Python: {again}"
    return ""


def install(peer: Peer, say: Say = lambda text: None) -> Path:
    """Make the environment of `peer` and try its import; nothing to do if it is there already.

    Raises InputError with pip's reason if a package cannot be had or the import fails; what
    was made so far is removed then.
    """
    folder = folder_of(peer)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{peer.name}.lock"):
        if not unavailable(peer):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _fill(peer, folder, say)
            write_json(folder / RECORD, _wanted(peer))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder


def remove(peer: Peer) -> bool:
    """Delete the environment of `peer`; False if there was none."""
    folder = folder_of(peer)
    if not folder.exists():
        return False
    with FileLock(folder.parent / f".{peer.name}.lock"):
        shutil.rmtree(folder)
    return True


def environment() -> dict[str, str]:
    """Variables for a process in another environment: nothing of ours leaks in, no network."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    kept = {k: v for k, v in os.environ.items() if k not in ours}
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "WANDB_MODE": "disabled"}
    return {**kept, **offline, "PYTHONNOUSERSITE": "1"}


def _wanted(peer: Peer) -> dict[str, Any]:
    return {"pin": peer.pin, "torch": _ours("torch"), "needs": list(peer.needs), "format": 1}


def _ours(project: str) -> str:
    return importlib.metadata.version(project)


def _fill(peer: Peer, folder: Path, say: Say) -> None:
    say("making the environment")
    _call(peer, [sys.executable, "-m", "venv", str(folder)], "cannot make an environment")
    torch = f"torch=={_ours('torch')}"
    say(f"installing {torch}")
    _install_torch(peer, torch)
    say(f"installing what {peer.project} needs")
    shared = [f"{name}=={_ours(name)}" for name in SHARED if _here(name)]
    # An exact torch in the constraints keeps pip from bringing another build of gigabytes.
    with tempfile.TemporaryDirectory() as scratch:
        limits = Path(scratch) / "constraints.txt"
        limits.write_text("\n".join([torch, *shared]), encoding="utf-8")
        _pip(peer, ["-c", str(limits), torch, "numpy", "transformers", *peer.needs])
    say(f"installing {peer.pin}")
    _pip(peer, ["--no-deps", peer.pin])
    say("trying the import")
    code = f"import torch, transformers, {peer.module}; print(torch.__version__)"
    found = _call(peer, [str(python_of(peer)), "-c", code], "its import fails").strip()
    if found.splitlines()[-1] != _ours("torch"):
        raise InputError(f"{peer.name}: got torch {found} instead of {torch}; nothing was kept")


def _install_torch(peer: Peer, torch: str) -> None:
    """Exactly our build, from the user's index or, for a build of PyTorch's own, from theirs."""
    _, _, build = torch.partition("+")
    try:
        _pip(peer, [torch])
    except InputError:
        if not build:
            raise
        _pip(peer, ["--extra-index-url", f"{WHEELS}/{build}", torch])


def _here(project: str) -> bool:
    try:
        importlib.metadata.version(project)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _pip(peer: Peer, wanted: Sequence[str]) -> None:
    quiet = ["--disable-pip-version-check", "--no-input", "--quiet", "--progress-bar=off"]
    command = [str(python_of(peer)), "-m", "pip", "install", *quiet, "--retries", "2", *wanted]
    _call(peer, command, "pip cannot install it")


def _call(peer: Peer, command: list[str], what: str) -> str:
    """Output of a command; raises InputError with its last line that names an error."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment()
        )
    except OSError as error:
        raise InputError(f"{peer.name}: {what}: {error}; nothing was kept") from error
    if done.returncode:
        lines = [s.strip() for s in (done.stderr + done.stdout).splitlines() if s.strip()]
        told = [s for s in lines if s.lower().startswith("error")] or lines[-1:]
        why = told[-1] if told else f"it ended with code {done.returncode}"
        raise InputError(f"{peer.name}: {what}: {why}; nothing was kept")
    return done.stdout
