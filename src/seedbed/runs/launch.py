"""Launching: where chains of stages run. What is ours is that a study file does not change.

A launcher takes calls and gives futures; here, on Ray and under SLURM the same calls leave the
same stages in the store, so results do not depend on it.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import Field, field_validator, model_validator

from seedbed.core.config import Config, read_yaml, validate

T = TypeVar("T")
Report = Callable[[int, str, int, int, str], None]
"""Told of progress: seed, name of the stage, done, total, text."""
Call = Callable[[Report], T]
"""What a worker runs; it can be pickled, and running it twice leaves what running it once does."""
Told = Callable[[str], None]
"""Told of what was lost and is tried again, in a line that holds the name of the call."""

PLACES = ("here", "ray", "slurm")


class Launch(Config):
    """Where and with what a study's stages run; all but `processes` changes no result.

    `on` is here, ray, ray://HOST:PORT or slurm. `workers`: so many at once (here: by cores and
    `memory`; ray and slurm: as many as there is room for). `memory` is GiB and `gpus` GPUs that a
    worker needs. `retries`: so often is a call tried again whose worker, node or job was lost.
    The rest is for SLURM: `minutes` a job may take before it is requeued to go on, and `options`
    of sbatch by their long names (`{partition: gpu, account: mine}`); `setup` are shell lines
    before a job's own. With `processes` above 1 a study's subjects are trained by so many, each on
    a GPU of its own if there are any, started as the file `accelerate` says (see docs/gpu.md).
    """

    on: str = "here"
    workers: int | None = Field(default=None, ge=1)
    memory: float | None = Field(default=None, gt=0)
    gpus: float = Field(default=0, ge=0)
    retries: int = Field(default=2, ge=0)
    minutes: int = Field(default=240, ge=1)
    options: dict[str, Annotated[str | int, Field(union_mode="left_to_right")]] = Field(
        default_factory=dict
    )
    setup: tuple[str, ...] = ()
    processes: int = Field(default=1, ge=1)
    accelerate: Path | None = None

    @field_validator("on")
    @classmethod
    def _known(cls, value: str) -> str:
        if value.startswith("ray://"):
            if not re.fullmatch(r"ray://[^/\s]+:\d+/?", value):
                raise ValueError(f"'{value}' names no machine and port, as ray://head:10001 does")
        elif value not in PLACES:
            near = get_close_matches(value, PLACES, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "there are: here, ray, ray://…, slurm"
            raise ValueError(f"'{value}' is no place to run; {hint}")
        return value

    @field_validator("accelerate")
    @classmethod
    def _there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"{value}: no such file")
        return value and value.resolve()

    @model_validator(mode="after")
    def _several(self) -> "Launch":
        if self.accelerate is not None and self.processes == 1:
            raise ValueError("accelerate: goes with processes, the number of processes")
        if self.gpus and self.processes > 1 and self.gpus != self.processes:
            raise ValueError(f"processes: {self.processes} need as many gpus, not {self.gpus:g}")
        return self


class Launcher(Protocol):
    """Runs calls somewhere and reports on them."""

    @property
    def broken(self) -> Exception | None:
        """Why it runs nothing any more; every call that has not ended then raises this."""

    def submit(self, call: Call[T], name: str) -> "Future[T]":
        """Have `call` run; `name` is for messages. What the call raises, the future raises.

        A worker that is lost is not an exception of the call: the call is tried again, and
        LostError is raised after the last try.
        """

    def close(self, *, cancel: bool = False) -> None:
        """Wait for what runs (`cancel`: give up what does not run yet) and let go of workers."""


def read_launch(
    on: str | None = None, file: Path | None = None, workers: int | None = None
) -> Launch:
    """The options of `--on`, `--launch FILE` and `--workers`; raises ConfigError in one line.

    What is given on the command line comes before what the file says.
    """
    given: dict[Any, Any] = read_yaml(file) if file is not None else {}
    # YAML reads a bare `on` as true.
    values = {"on" if key is True else key: value for key, value in given.items()}
    if on is not None:
        values["on"] = on
    if workers is not None:
        values["workers"] = workers
    return validate(Launch, values, file or "--on")


def start(launch: Launch, threads: int, folder: Path, report: Report, told: Told) -> Launcher:
    """A launcher of the place that `launch` names.

    `threads` are torch threads a worker; `folder` is the store's, which every worker can reach.
    Raises MissingExtra where the place needs a package that is not installed, ConfigError where
    the place cannot be reached.
    """
    if launch.on == "here":
        from seedbed.runs.here import start_here

        return start_here(launch, threads, report, told)
    if launch.on == "slurm":
        from seedbed.runs.on_slurm import OnSlurm

        return OnSlurm(launch, threads, folder, report, told)
    from seedbed.runs.on_ray import OnRay

    return OnRay(launch, threads, folder, report, told)
