"""Launching on Ray: a Ray of this machine, or a cluster. Ray places calls on nodes; what is ours
is that lost workers are counted and told, and that a call's own exceptions stay what they are.
"""

import logging
import os
import pickle
import queue
import shutil
import tempfile
import threading
import time
import warnings
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seedbed.core.errors import ConfigError, LostError, MissingExtra, SeedbedError
from seedbed.runs.distant import Ground, Progress, begin, carry_out, settle
from seedbed.runs.launch import Call, Launch, Report, T, Told
from seedbed.runs.memory import cores

OBJECTS = 100 * 2**20
"""Bytes of the object store of a Ray of one's own: outcomes are small, results are files."""
LOOK_SECONDS = 0.5
STOP_SECONDS = 10


@dataclass
class _Call:
    name: str
    payload: bytes
    future: "Future[Any]"
    losses: int = 0


class OnRay:
    """Runs each call as one Ray task.

    `on: ray` joins the cluster of RAY_ADDRESS, and without one starts a Ray of this machine that
    ends with the launcher; `ray://HOST:PORT` connects to a cluster from outside it.
    """

    def __init__(
        self, launch: Launch, threads: int, folder: Path, report: Report, told: Told
    ) -> None:
        self._launch, self._told = launch, told
        self._ray = _ray(launch.on)
        self._own = _connect(self._ray, launch, threads)
        self._ground = Ground.under(folder)
        self._progress = Progress(self._ground, report)
        needs = {"num_cpus": threads, "num_gpus": launch.gpus}
        if launch.memory is not None:
            needs["memory"] = int(launch.memory * 2**30)
        self._task = self._ray.remote(carry_out).options(max_retries=0, **needs)
        self._waiting: deque[_Call] = deque()
        self._running: dict[Any, _Call] = {}
        self._events: queue.SimpleQueue[tuple[_Call, Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closing = self._cancelled = False
        self._broken: Exception | None = None
        self._thread = threading.Thread(target=self._attend, name="on-ray", daemon=True)
        self._thread.start()
        self._check_room(needs)

    @property
    def broken(self) -> Exception | None:
        """What ended the connection, if anything did."""
        return self._broken

    def submit(self, call: Call[T], name: str) -> "Future[T]":
        """Have a worker of the cluster run `call`."""
        future: Future[T] = Future()
        with self._lock:
            if self._broken is not None:
                raise self._broken
            if self._closing:
                raise RuntimeError("the launcher is closed")
            self._waiting.append(_Call(name, pickle.dumps(call), future))
        self._events.put(None)
        return future

    def close(self, *, cancel: bool = False) -> None:
        """Wait for what was submitted; `cancel`: stop it, and its stages go on another time."""
        with self._lock:
            self._closing, self._cancelled = True, cancel
            waiting = [c for c in self._waiting if cancel]
        for call in waiting:
            call.future.cancel()
        self._events.put(None)
        self._thread.join(None if not cancel else 0.1)
        until = time.monotonic() + STOP_SECONDS
        while self._thread.is_alive() and time.monotonic() < until:
            # Not by force at first: a worker that is interrupted lets go of the stage it makes.
            # Again and again: Ray forgets what reaches a task just when it starts.
            force = until - time.monotonic() < STOP_SECONDS / 2
            with self._lock:
                running = list(self._running)
            for ref in running:
                self._ray.cancel(ref, force=force)
            self._thread.join(1)
        for call in list(self._running.values()):
            if begin(call.future):
                call.future.set_exception(LostError(f"{call.name}: stopped"))
        if self._own is not None:
            self._ray.shutdown()
            shutil.rmtree(self._own, ignore_errors=True)
        shutil.rmtree(self._ground.folder, ignore_errors=True)

    def _attend(self) -> None:
        try:
            self._serve()
        except Exception as error:
            # Whoever waits for a future must hear of it.
            with self._lock:
                self._closing, self._broken = True, LostError(f"{self._launch.on}: {_line(error)}")
                calls = [*self._waiting, *self._running.values()]
            for call in calls:
                if begin(call.future):
                    call.future.set_exception(self._broken)

    def _serve(self) -> None:
        while True:
            self._dispatch()
            with self._lock:
                if self._closing and not self._waiting and not self._running:
                    return
            try:
                event = self._events.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                event = None
            if event is not None:
                self._finish(*event)
            elif self._running:
                self._progress.look()

    def _dispatch(self) -> None:
        with self._lock:
            while self._waiting and len(self._running) < (self._launch.workers or 2**31):
                call = self._waiting.popleft()
                if begin(call.future):
                    ref = self._task.remote(call.payload, self._ground)
                    self._running[ref] = call
                    done = partial(self._done, call, ref)
                    ref.future().add_done_callback(done)

    def _done(self, call: _Call, ref: Any, _: Any) -> None:
        # Ray calls this on a thread of its own, which must not wait.
        self._events.put((call, ref))

    def _finish(self, call: _Call, ref: Any) -> None:
        with self._lock:
            del self._running[ref]
        try:
            settle(call.future, self._ray.get(ref))
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            self._failed(call, error)

    def _failed(self, call: _Call, error: Exception) -> None:
        errors = self._ray.exceptions
        if self._cancelled:
            call.future.set_exception(LostError(f"{call.name}: stopped"))
        elif isinstance(error, errors.RayTaskError):
            what = f"{call.name}: a Ray worker cannot run it: {_line(error.cause)}"
            call.future.set_exception(SeedbedError(what))
        elif isinstance(error, errors.RuntimeEnvSetupError | errors.TaskUnschedulableError):
            call.future.set_exception(SeedbedError(f"{call.name}: {_line(error)}"))
        else:
            self._lost(call, _line(error))

    def _lost(self, call: _Call, why: str) -> None:
        call.losses += 1
        if call.losses > self._launch.retries:
            times = "once" if call.losses == 1 else f"{call.losses} times"
            call.future.set_exception(
                LostError(f"{call.name}: its worker was lost {times}; the last time: {why}")
            )
        else:
            self._told(
                f"{call.name}: its worker was lost ({why});"
                f" tried again ({call.losses} of {self._launch.retries})"
            )
            with self._lock:
                self._waiting.append(call)

    def _check_room(self, needs: dict[str, float]) -> None:
        names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
        wanted = {names[key]: amount for key, amount in needs.items() if amount}
        nodes = [n["Resources"] for n in self._ray.nodes() if n["Alive"]]
        if any(all(n.get(k, 0) >= v for k, v in wanted.items()) for n in nodes):
            return
        most = {k: max((n.get(k, 0) for n in nodes), default=0) for k in wanted}
        text = ", ".join(
            f"{_amount(k, v)} (most: {_amount(k, most[k])})" for k, v in wanted.items()
        )
        what = f"{self._launch.on}: no node has what a worker needs: {text}"
        if self._own is not None:
            self.close()
            raise ConfigError(what)
        # A cluster that grows by itself may yet get one.
        self._told(f"{what}; waiting for one")


def _ray(on: str) -> Any:
    if on.startswith("ray://") and _has_token():
        # Ray's client, unlike all else of Ray, sends a token only where the mode says so, and
        # Ray reads the mode when it is imported.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


def _connect(ray: Any, launch: Launch, threads: int) -> Path | None:
    """Connect to a Ray; the folder of a Ray of one's own, None for a cluster of others."""
    if ray.is_initialized():
        return None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray hides GPUs from tasks that ask for none; not saying so warns at every start.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    quiet: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    address = launch.on if launch.on != "ray" else os.environ.get("RAY_ADDRESS", "")
    own = None
    try:
        if address:
            with warnings.catch_warnings():
                # It warns of what it then raises.
                warnings.filterwarnings("ignore", "Ray Client connection timed out")
                ray.init(address, namespace="seedbed", **quiet)
        else:
            # Sockets lie in it, and their paths must be short.
            own = Path(tempfile.mkdtemp(prefix="sb-ray-", dir="/tmp"))
            ray.init(
                "local", num_cpus=max(threads, (launch.workers or cores() // threads) * threads),
                include_dashboard=False, object_store_memory=OBJECTS, _temp_dir=str(own), **quiet,
            )  # fmt: skip
    except ImportError as error:
        raise MissingExtra("grpcio", "ray") from error
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        place = address or "a Ray of this machine"
        raise ConfigError(f"--on: {place} cannot be reached: {_line(error)}") from error
    return own


def _has_token() -> bool:
    given = any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return given or (Path.home() / ".ray" / "auth_token").is_file()


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # The first sentence; Ray goes on with advice about its own log files.
    return lines[0].split(". ")[0].rstrip(".") if lines else type(error).__name__


def _amount(name: str, value: float) -> str:
    return f"{value / 2**30:.1f} GiB memory" if name == "memory" else f"{value:g} {name}"
