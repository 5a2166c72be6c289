"""Calls for tests of launchers; a worker elsewhere imports them by name."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from seedbed.core.errors import ConfigError, GateError
from seedbed.runs.launch import Report
from seedbed.runs.spool import job_name


@dataclass
class Square:
    number: int

    def __call__(self, report: Report) -> int:
        for done in (1, 2, 3):
            report(self.number, "square", done, 3, "counting")
        return self.number**2


@dataclass
class Watched:
    """Reports until the file appears that says the report was heard."""

    heard: Path

    def __call__(self, report: Report) -> str:
        report(7, "watched", 1, 2, "half")
        for _ in range(600):
            if self.heard.exists():
                return "heard"
            time.sleep(0.1)
        return "not heard"


@dataclass
class DiesAtFirst:
    """Kills its process in the first `times` tries."""

    folder: Path
    times: int

    def __call__(self, report: Report) -> int:
        tries = len(list(self.folder.glob("try-*")))
        (self.folder / f"try-{tries}").touch()
        if tries < self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return tries


@dataclass
class JobEndsAtFirst:
    """In the first try does to its own job what SLURM or an administrator may do, and waits."""

    folder: Path
    command: tuple[str, ...]

    def __call__(self, report: Report) -> tuple[str, str]:
        tries = len(list(self.folder.glob("try-*")))
        (self.folder / f"try-{tries}").write_text(job_name())
        if not tries:
            subprocess.run([*self.command, job_name()], check=True)
            time.sleep(60)
        return job_name(), os.environ.get("SLURM_RESTART_COUNT", "0")


def refuse(report: Report) -> None:
    raise ConfigError("study.yaml: no such thing")


def stop_at_the_gate(report: Report) -> None:
    raise GateError("not learned")


class Odd(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def fail_oddly(report: Report) -> None:
    raise Odd("what it said", "and more")


@dataclass
class Marked:
    """Runs until it is interrupted, and then lets go as a stage does."""

    mark: Path

    def __call__(self, report: Report) -> None:
        self.mark.touch()
        try:
            for _ in range(3000):
                time.sleep(0.1)
        finally:
            self.mark.write_text("let go")


def wait(report: Report) -> None:
    time.sleep(300)


def visible_gpus(report: Report) -> str:
    return os.environ["CUDA_VISIBLE_DEVICES"]
