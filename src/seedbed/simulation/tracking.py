"""Metrics and transcripts of every iteration, sent to Weights & Biases or kept for it offline.

One run an arm; a run that is resumed goes on under its own id and sends nothing twice.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from seedbed.core.errors import ConfigError, InputError, MissingExtra
from seedbed.core.files import read_json, write_json
from seedbed.core.transcripts import Transcript
from seedbed.simulation.outcomes import numbers

STATE = "tracked.json"
COLUMNS = ("iteration", "user", "environment", "kind", "end", "conversation", "acts", "vetoed",
           "rating", "harm", "welfare")  # fmt: skip


class Tracker:
    """A run of Weights & Biases whose files lie under `folder`, and its id beside them.

    Offline it needs no key; `wandb sync` sends the files later. Raises MissingExtra without the
    package, ConfigError online without a key, InputError where the server cannot be reached.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        config: Mapping[str, Any],
        group: str = "",
        project: str = "seedbed",
        mode: Literal["offline", "online"] = "offline",
    ) -> None:
        if find_spec("wandb") is None:
            raise MissingExtra("wandb", "trackers")
        import wandb

        self._state = folder / STATE
        known = read_json(self._state) if self._state.exists() else {}
        self.id: str = known.get("id") or uuid.uuid4().hex[:12]
        self._done: list[int] = known.get("iterations", [])
        folder.mkdir(parents=True, exist_ok=True)
        _until_unused(folder / "wandb", self.id)
        write_json(self._state, {"id": self.id, "iterations": self._done})
        try:
            self._run = wandb.init(
                project=project, name=name, group=group or None, id=self.id, dir=folder,
                mode=mode, resume="allow", config=dict(config), reinit="create_new",
                settings=wandb.Settings(silent=True, console="off"),
            )  # fmt: skip
        except wandb.errors.UsageError as error:
            raise ConfigError(f"wandb: {error} (or use it offline)") from error
        except wandb.errors.CommError as error:
            raise InputError(f"wandb: {error}") from error
        self._table = wandb.Table
        self._run.define_metric("iteration")
        self._run.define_metric("*", step_metric="iteration")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run.finish(exit_code=int(error is not None))

    def log(
        self,
        iteration: int,
        metrics: Mapping[str, float | None],
        transcripts: Sequence[Transcript] = (),
        most: int = 200,
    ) -> None:
        """Log one iteration, once: metrics that are known, and at most `most` transcripts.

        Of more, they are taken at even distances, so that no environment is left out for its name.
        """
        if iteration in self._done:
            return
        known: dict[str, Any] = {k: v for k, v in metrics.items() if v is not None}
        if transcripts:
            count = min(most, len(transcripts))
            some = [transcripts[i * len(transcripts) // count] for i in range(count)]
            rows = [row_of(t) for t in some]
            known["transcripts"] = self._table(columns=list(COLUMNS), data=rows)
        self._run.log({"iteration": iteration, **known})
        self._done.append(iteration)
        write_json(self._state, {"id": self.id, "iterations": self._done})


def row_of(transcript: Transcript) -> list[str | int | float | bool | None]:
    """A transcript as a row of COLUMNS; the conversation with a role before each message."""
    known = numbers(transcript)
    opening = transcript.opening
    said = "\n".join(f"{s.role}: {s.content}" for s in transcript.said())
    acts = " ".join(turn.act or "?" for turn in transcript.turns)
    end = transcript.failure or transcript.end
    return [
        transcript.iteration, opening.id, opening.environment, opening.kind, end, said, acts,
        transcript.vetoed, *(known.get(name) for name in ("rating", "harm", "welfare")),
    ]  # fmt: skip


def _until_unused(folder: Path, key: str) -> None:
    """Wait until a new folder of this run would have a new name: names hold whole seconds."""
    while any(folder.glob(f"*run-{time.strftime('%Y%m%d_%H%M%S')}-{key}")):
        time.sleep(0.1)
