"""What squeue, scancel and sbatch are asked: one question for all jobs, ever more rarely."""

import io
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from seedbed.core.errors import ConfigError, LostError, MissingExtra
from seedbed.runs.launch import Launch, Told

LIVE = frozenset((
    "PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED",
    "RESIZING", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED", "RESV_DEL_HOLD",
))  # fmt: skip
"""States of jobs that run or may yet; COMPLETING is neither these nor an end."""
OURS = {
    "time": "minutes", "array": "workers", "cpus_per_task": "the study's threads",
    "output": "", "error": "", "signal": "", "open_mode": "",
}  # fmt: skip
"""Options of sbatch that seedbed sets, and what says them instead."""
POLLS = 1.0, 10.0
"""Seconds between two questions to squeue, from the first to the longest."""
GONE_SECONDS = 30
PATIENCE_SECONDS = 600
TELL_SECONDS = 60
Pilots = Sequence[Callable[[], Any]]


class Queue:
    """The jobs that were submitted and have not ended."""

    def __init__(self, told: Told) -> None:
        """Raises ConfigError if no SLURM answers here."""
        self.jobs: dict[str, float] = {}
        self.waiting: set[str] = set()
        """Jobs that waited to start when `ended` asked just now; empty if it did not ask."""
        self._told = told
        self._next, self._wait = 0.0, POLLS[0]
        self._answered = self._ran = time.monotonic()
        self._reason = ""
        if shutil.which("sbatch") is None:
            raise ConfigError("slurm: there is no sbatch here; run this where jobs are submitted")
        code, _, error = _ask("squeue", "-h", "-t", "PENDING", "--me")
        if code:
            raise ConfigError(f"slurm: squeue does not answer: {error}")

    def ended(self) -> list[tuple[str, str]]:
        """Jobs that ended since the last call, each with its state; asks only now and then."""
        clock = time.monotonic()
        self.waiting = set()
        if not self.jobs or clock < self._next:
            return []
        fresh_job = any(seen == 0 for seen in self.jobs.values())
        self._wait = POLLS[0] if fresh_job else min(self._wait * 1.3, POLLS[1])
        states = self._states()
        self._next = time.monotonic() + self._wait
        if states is None:
            return []
        self.waiting = {job for job, (state, _) in states.items() if state == "PENDING"}
        found = []
        for job, seen in list(self.jobs.items()):
            state = states.get(job, ("GONE", ""))[0]
            if state in LIVE or seen == 0:
                self.jobs[job] = clock
            if state in LIVE:
                continue
            # A job that is missing or on its way out gets time to leave what it did.
            if state not in ("GONE", "COMPLETING") or (seen and clock - seen > GONE_SECONDS):
                del self.jobs[job]
                found.append((job, state))
        self._tell_waiting(states, clock)
        return found

    def stop(self, *, interrupt: bool, seconds: float) -> None:
        """Have every job leave: those that wait are cancelled, those that run leave by themselves.

        `interrupt`: what runs is interrupted as by Ctrl-C; after `seconds` it is cancelled.
        """
        if not self.jobs:
            return
        names = list(self.jobs)
        _ask("scancel", "--state=PENDING", *names)
        if interrupt:
            _ask("scancel", "--state=RUNNING", "--signal=INT", *names)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if (states := self._states()) is not None:
                now = {state for job, (state, _) in states.items() if job in names}
                if not now & LIVE:
                    return
            time.sleep(0.3)
        _ask("scancel", *names)

    def _states(self) -> dict[str, tuple[str, str]] | None:
        """State and reason by job; None if squeue does not answer."""
        base = sorted({job.partition("_")[0] for job in self.jobs})
        # %i alone shows waiting members of an array as a range; -r gives each its line.
        code, text, error = _ask("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%r",
                                 "-j", ",".join(base))  # fmt: skip
        if code and "Invalid job id" not in error:
            silent = time.monotonic() - self._answered
            if silent > PATIENCE_SECONDS:
                raise LostError(f"slurm: squeue has not answered for {silent:.0f} s: {error}")
            return None
        self._answered = time.monotonic()
        rows = [line.split("|", 2) for line in text.splitlines() if line.count("|") >= 2]
        return {job: (state, reason) for job, state, reason in rows}

    def _tell_waiting(self, states: dict[str, tuple[str, str]], clock: float) -> None:
        now = [states[job] for job in self.jobs if job in states]
        if any(state != "PENDING" for state, _ in now) or not now:
            self._ran, self._reason = clock, ""
        elif clock - self._ran > TELL_SECONDS and now[0][1] != self._reason:
            self._reason = now[0][1]
            self._told(f"slurm: {len(now)} jobs wait to start ({self._reason})")


def submitter(launch: Launch, threads: int) -> Callable[[Path, Pilots], dict[str, float]]:
    """A function that submits pilots, several as one array, and gives their job ids.

    It takes the folder for logs, and raises ConfigError with what sbatch said. Raises
    MissingExtra without submitit, ConfigError for options that cannot be.
    """
    try:
        import submitit
        from submitit.core.utils import FailedJobError
        from submitit.helpers import clean_env
    except ImportError as error:
        raise MissingExtra("submitit", "slurm") from error
    parameters = _parameters(launch, threads)

    def send(logs: Path, pilots: Pilots) -> dict[str, float]:
        executor = submitit.SlurmExecutor(logs, max_num_timeout=10**6)
        executor.update_parameters(**parameters)
        conf = os.environ.get("SLURM_CONF")
        try:
            # Within a job, its own variables would become options of the new one.
            # submitit prints what sbatch says, which is raised below.
            with clean_env(), redirect_stderr(io.StringIO()):
                if conf is not None:
                    os.environ["SLURM_CONF"] = conf
                with executor.batch():
                    jobs = [executor.submit(pilot) for pilot in pilots]
        except FailedJobError as error:
            lines = [line.strip() for line in str(error).splitlines() if "error:" in line]
            said = lines[0] if lines else " ".join(str(error).split())
            raise ConfigError(f"slurm: sbatch refuses the job: {said}") from error
        return {str(job.job_id): 0.0 for job in jobs}

    return send


def _parameters(launch: Launch, threads: int) -> dict[str, Any]:
    options = {key.replace("-", "_"): value for key, value in launch.options.items()}
    for key in options:
        if key in OURS:
            said = f"; say '{OURS[key]}'" if OURS[key] else ""
            raise ConfigError(f"options.{key}: seedbed sets this one itself{said}")
    if launch.gpus != int(launch.gpus):
        raise ConfigError(f"gpus: SLURM gives whole GPUs only, not {launch.gpus:g}")
    found: dict[str, Any] = {
        "job_name": "seedbed",
        "time": launch.minutes,
        "cpus_per_task": threads,
        # srun does not take this over from sbatch.
        "srun_args": ["--cpus-per-task", str(threads)],
        # Seconds before its end that a job is told; a short job is told late enough to do some.
        "signal_delay_s": min(90, 15 * launch.minutes),
        "setup": list(launch.setup),
        "additional_parameters": options,
    }
    if launch.memory is not None:
        found["additional_parameters"] = {"mem": f"{launch.memory * 1024:.0f}M", **options}
    if launch.gpus:
        found["gpus_per_node"] = int(launch.gpus)
    return found


def _ask(*words: str) -> tuple[int, str, str]:
    """Exit code, output, and the last line of complaint."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    complaint = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return done.returncode, done.stdout, complaint[-1]
