"""Work of stages for tests of workers; a worker process imports it by name."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import torch

from seedbed.core.errors import ConfigError
from seedbed.training.loop import Progress


@dataclass
class Counts:
    """Writes a number a step and goes on from what is there; its process dies at `dies`."""

    steps: int
    dies: int = -1

    def __call__(self, folder: Path, progress: Progress | None) -> None:
        log = folder / "log"
        done = len(log.read_text().split()) if log.exists() else 0
        for step in range(done, self.steps):
            with log.open("a") as file:
                file.write(f"{step * torch.get_num_threads()}\n")
            if progress:
                progress(step + 1, self.steps, "counting")
            if step == self.dies:
                os.kill(os.getpid(), signal.SIGKILL)


def refuse(folder: Path, progress: Progress | None) -> None:
    raise ConfigError("loss is not finite")
