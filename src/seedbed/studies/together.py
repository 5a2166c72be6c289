"""Training one subject in several processes: a study's train stage under `accelerate launch`.

The stage's call goes to every process as a file; the first of them tells of progress line by
line. The processes end when whoever started them does.
"""

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import torch

from seedbed.core.errors import LostError
from seedbed.models import devices
from seedbed.runs.launch import Launch
from seedbed.training.loop import Progress

CALL, FAILED = "call.pickle", "failed-{}.pickle"
Fill = Callable[[Path, Progress | None], None]
"""Fills a folder and may report progress; it can be pickled."""


@dataclass(frozen=True)
class Together:
    """A call that `processes` run together, with the options of accelerate's file `config`."""

    fill: Fill
    processes: int
    config: Path | None
    device: str

    def __call__(self, folder: Path, progress: Progress | None) -> None:
        """Fill `folder`; raises what one of the processes raised, LostError if one was lost."""
        with TemporaryDirectory() as name, TemporaryFile("w+") as log:
            here = Path(name)
            call = (self.fill, folder.resolve(), self.device, torch.get_num_threads())
            (here / CALL).write_bytes(pickle.dumps(call))
            running = subprocess.Popen(
                [*_launch(self.processes, self.config), "-m", __name__, name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
            )  # fmt: skip
            try:
                assert running.stdout is not None
                for line in running.stdout:
                    if progress is not None and line.startswith("["):
                        progress(*json.loads(line))
                code = running.wait()
            finally:
                # They read their input, and leave at its end.
                assert running.stdin is not None
                running.stdin.close()
                running.wait()
                assert running.stdout is not None
                running.stdout.close()
            if code:
                log.seek(0)
                _raise(here, code, log.read())


def _raise(here: Path, code: int, log: str) -> None:
    for path in sorted(here.glob(FAILED.format("*"))):
        error: BaseException = pickle.loads(path.read_bytes())
        raise error
    told = [line.strip() for line in log.splitlines() if line.strip()]
    signs = ("Error:", "Signal ")
    last = next((t for t in told if any(s in t for s in signs)), told[-1] if told else "no message")
    raise LostError(f"train: one of its processes was lost (exit code {code}): {last}")


def _launch(processes: int, config: Path | None) -> list[str]:
    """The command that starts them; what `config` says comes before what is said here."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes",
               str(processes), "--main_process_port", str(_free_port())]  # fmt: skip
    if config is not None:
        return [*command, "--config_file", str(config)]
    # Without a GPU the flag means several processes on the CPU.
    return [*command, "--multi_gpu", "--num_machines", "1", "--mixed_precision", "no",
            "--dynamo_backend", "no"]  # fmt: skip


def _free_port() -> int:
    """A port of its own, so that several trainings share a machine."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


def wanted(launch: Launch) -> bool:
    """Whether a subject is trained by several processes."""
    return launch.processes > 1 or launch.accelerate is not None


def _fill(here: Path) -> None:
    """What each process does."""
    fill, folder, device, threads = pickle.loads((here / CALL).read_bytes())
    torch.set_num_threads(threads)
    threading.Thread(target=_leave_at_the_end, daemon=True).start()
    rank = os.environ.get("RANK", "0")

    def progress(done: int, total: int, text: str) -> None:
        if rank == "0":
            print(json.dumps([done, total, text]), flush=True)  # noqa: T201 (its parent reads it)

    try:
        with devices.using(device):
            fill(folder, progress)
    except Exception as error:
        _keep(here / FAILED.format(rank), error)
        # At once: the others wait for this one, and there is nothing to tidy.
        os._exit(1)


def _keep(path: Path, error: Exception) -> None:
    try:
        data = pickle.dumps(error)
        pickle.loads(data)
    except Exception:
        data = pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    path.write_bytes(data)


def _leave_at_the_end() -> None:
    """Whoever holds the other end of the input has ended."""
    # Python's own reader would be locked while the interpreter shuts down.
    while os.read(0, 1):
        pass
    os._exit(1)


def key(launch: Launch) -> dict[str, Any]:
    """What enters the stage's key: sums over processes differ in their last bits."""
    if not wanted(launch):
        return {}
    told: dict[str, Any] = {"count": launch.processes}
    if launch.accelerate is not None:
        told["accelerate"] = launch.accelerate.read_text(encoding="utf-8")
    return {"processes": told}


if __name__ == "__main__":
    _fill(Path(sys.argv[1]))
