"""The folder through which jobs of SLURM take calls, and what a job runs: a pilot, which takes
one call after the other. Taking a call is one rename, so no two pilots run the same one.

calls/N-T payload of call N, try T · taken/N-T.JOB · done/N-T.JOB its outcome ·
lost/N-T.JOB.WHY put back by the job itself · stop: every pilot leaves
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.runs.distant import Ground, carry_out, fresh, put

CALLS, TAKEN, DONE, LOST, STOP = "calls", "taken", "done", "lost", "stop"
ENDED, RESTARTED = "ended", "restarted"
"""Why a job put a call back: its time was over or others came first; its node had failed."""
IDLE_SECONDS = 30
WAITS = 0.05, 1.0
"""Seconds between two looks for a call, from the first to the longest."""


@dataclass
class Pilot:
    """What a job runs: calls from the spool until there are none for `idle` seconds."""

    ground: Ground
    idle: float = IDLE_SECONDS
    left: bool = False

    def __call__(self) -> int:
        """Run calls; how many."""
        job, spool, count = job_name(), self.ground.folder, 0
        for path in _taken(spool, job):
            # An earlier life of this job ended without a word, and SLURM has started it again.
            _put_back(path, RESTARTED)
        idle_since, wait = time.monotonic(), WAITS[0]
        while not (spool / STOP).exists():
            found = self._take(job)
            if found is None:
                if time.monotonic() - idle_since > self.idle:
                    break
                time.sleep(wait)
                wait = min(wait * 1.5, WAITS[1])
                continue
            taken, payload = found
            outcome = carry_out(payload, self.ground)
            if self.left:
                # The signal came while a call ran, which took it for an exception of its own.
                raise SystemExit(1)
            put(spool / DONE / taken.name, outcome)
            with suppress(FileNotFoundError):
                taken.unlink()
            idle_since, wait, count = time.monotonic(), WAITS[0], count + 1
        return count

    def checkpoint(self) -> Any:
        """Called by submitit when the job's time is over: put the call back, run again later."""
        from submitit.helpers import DelayedSubmission

        self.left = True
        for path in _taken(self.ground.folder, job_name()):
            _put_back(path, ENDED)
        return DelayedSubmission(Pilot(self.ground, self.idle))

    def _take(self, job: str) -> tuple[Path, bytes] | None:
        spool = self.ground.folder
        for path in fresh(spool / CALLS):
            target = spool / TAKEN / f"{path.name}.{job}"
            try:
                path.rename(target)
                return target, target.read_bytes()
            except FileNotFoundError:
                # Another pilot was quicker.
                continue
        return None


def job_name() -> str:
    """The job that this process belongs to, as squeue names it: 12, or 12_3 of an array."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array is not None:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ["SLURM_JOB_ID"]


def _taken(spool: Path, job: str) -> list[Path]:
    return [p for p in fresh(spool / TAKEN) if p.name.endswith(f".{job}")]


def _put_back(taken: Path, why: str) -> None:
    with suppress(FileNotFoundError):
        taken.rename(taken.parents[1] / LOST / f"{taken.name}.{why}")
