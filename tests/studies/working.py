"""Work of stages for tests of workers, and runs to kill; other processes import it by name."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import torch

from seedbed.core.errors import ConfigError
from seedbed.studies.run import run
from seedbed.studies.study import load_study
from seedbed.studies.sweep import load_sweep, run_sweep
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


def run_study(path: Path, folder: Path) -> None:
    """Run a study file."""
    run(load_study(path), folder, workers=1)


def run_arms(path: Path, folder: Path) -> None:
    """Run a sweep file."""
    run_sweep(*load_sweep(path), folder, workers=1)
