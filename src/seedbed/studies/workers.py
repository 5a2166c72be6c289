"""Running chains of stages on a launcher, one seed's chain or one finder each.

Results do not depend on the launcher or the number of its workers: each call uses the study's
thread count, and leaves its stages in the store.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Protocol, Self

import torch

from seedbed.models import devices
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.launch import Launch, Report
from seedbed.runs.store import Stage, Store
from seedbed.studies.plan import DEVICE, Task

PAUSE = 0.2
"""Seconds between two messages of one stage, but for its last."""


class Reporter(Protocol):
    """Told what happens, for a progress display."""

    def stage(self, task: Task, stage: Stage) -> None:
        """A stage was made or taken."""

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        """A running stage got this far."""

    def lost(self, line: str) -> None:
        """A worker, node or job was lost; the line says what is tried again."""


class Quiet:
    """A reporter that says nothing."""

    def stage(self, task: Task, stage: Stage) -> None:
        """Nothing."""

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        """Nothing."""

    def lost(self, line: str) -> None:
        """Nothing."""


class Workers:
    """Runs what is not in the store yet on a launcher of its own, or on one that runs share.

    Its own is started when first needed and closed with the block; a shared one stays. `label`
    tells the run's calls from those of others in messages, `planned` is told what is to be run.
    """

    def __init__(
        self,
        store: Store,
        threads: int,
        reporter: Reporter,
        launch: Launch | None = None,
        shared: Dispatcher | None = None,
        label: str = "",
        planned: Callable[[Sequence[Task]], None] | None = None,
    ) -> None:
        self.store, self.threads, self.reporter = store, threads, reporter
        self._planned = planned
        self.label = f"{label} " if label else ""
        self.made = self.taken = 0
        self.losses: list[str] = []
        self._own = shared is None
        self.dispatcher = shared or Dispatcher(launch or Launch(), threads, store.root)
        self._token: int | None = None

    def __enter__(self) -> Self:
        self._token = self.dispatcher.enter(self.reporter.progress, self._lost)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._own:
            self.dispatcher.close(cancel=kind is not None)
        assert self._token is not None
        self.dispatcher.leave(self._token)

    @property
    def launch(self) -> Launch:
        """Where calls run."""
        return self.dispatcher.launch

    @property
    def count(self) -> int | None:
        """So many calls run at once; None: as many as there is room for."""
        return self.dispatcher.workers

    def ready(self, chains: Sequence[Sequence[Task]]) -> None:
        """Start the launcher if any of the chains is still to be made; raises what the start does.

        So a place that cannot be reached is known before anything is written.
        """
        if any(self._take(chain) is None for chain in chains):
            self.dispatcher.begin()

    def run(self, chains: Sequence[Sequence[Task]], told: bool = True) -> list[tuple[Task, Stage]]:
        """Every task with its stage, in the order given; each chain runs in its own order.

        Without `told` stages are neither counted nor reported. Raises what a chain raises,
        LostError if a chain's workers were lost too often; chains that do not run yet are then
        given up. What another run on the same launcher makes already is waited for and taken.
        """
        assert self._token is not None, "workers are used in a with block"
        if self._planned is not None and told:
            self._planned([task for chain in chains for task in chain])
        finished: dict[int, list[Stage]] = {}
        running: dict[int, Future[list[Stage]]] = {}
        ended: SimpleQueue[int] = SimpleQueue()
        try:
            begun = range(len(chains))
            while begun or len(finished) < len(chains):
                for i in begun:
                    # One worker runs a call where it is submitted: what fails stops the next.
                    if (stages := self._take(chains[i])) is None:
                        stages = self._begin(i, chains[i], running, ended)
                    if stages is not None:
                        finished[i] = self._count(chains[i], stages, told)
                begun = range(0)
                if len(finished) < len(chains):
                    i = ended.get()
                    if i in running:
                        finished[i] = self._count(chains[i], running.pop(i).result(), told)
                    else:
                        begun = range(i, i + 1)
        except BaseException:
            for future in running.values():
                future.cancel()
            raise
        pairs = [zip(chain, finished[i], strict=True) for i, chain in enumerate(chains)]
        return [pair for chain in pairs for pair in chain]

    def _begin(
        self,
        i: int,
        chain: Sequence[Task],
        running: dict[int, Future[list[Stage]]],
        ended: "SimpleQueue[int]",
    ) -> list[Stage] | None:
        """Submit a chain, or wait for the run that makes it; its stages if it has run already."""
        assert self._token is not None
        key, _ = self.store.place(chain[-1].stage, chain[-1].key)
        if (other := self.dispatcher.reserve(key)) is not None:
            other.add_done_callback(lambda _: ended.put(i))
            return None
        try:
            call = partial(_run_chain, self.store, chain, self.threads)
            future = self.dispatcher.submit(self._token, call, self._name(chain))
        except BaseException:
            self.dispatcher.release(key)
            raise
        future.add_done_callback(lambda _: self.dispatcher.release(key))
        if future.done():
            return future.result()
        running[i] = future
        future.add_done_callback(lambda _: ended.put(i))
        return None

    def _take(self, chain: Sequence[Task]) -> list[Stage] | None:
        stages = [self.store.take(t.stage, t.key) for t in chain]
        found = [s for s in stages if s is not None]
        return found if len(found) == len(stages) else None

    def _name(self, chain: Sequence[Task]) -> str:
        first, last = chain[0], chain[-1]
        names = first.name if first is last else f"{first.name} to {last.name}"
        code, _ = self.store.place(last.stage, last.key)
        return f"{self.label}seed {first.seed}, {names} ({code[:8]})"

    def _count(self, chain: Sequence[Task], stages: list[Stage], told: bool) -> list[Stage]:
        if not told:
            return stages
        for task, stage in zip(chain, stages, strict=True):
            self.taken += stage.taken
            self.made += not stage.taken
            self.reporter.stage(task, stage)
        return stages

    def _lost(self, line: str) -> None:
        self.losses.append(line)
        self.reporter.lost(line)


def launch_with(launch: Launch | None, workers: int | None) -> Launch:
    """`launch` (default: here) with so many workers, where a number is given."""
    found = launch or Launch()
    return found if workers is None else found.model_copy(update={"workers": workers})


def _run_chain(store: Store, chain: Sequence[Task], threads: int, report: Report) -> list[Stage]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return [_run(store, task, report) for task in chain]
    finally:
        torch.set_num_threads(before)


def _run(store: Store, task: Task, report: Report) -> Stage:
    last, told = 0.0, -PAUSE

    def progress(done: int, total: int, text: str) -> None:
        nonlocal last, told
        # A message a percent and a few a second are enough; each costs its reader's time.
        now = time.monotonic()
        if done == total or (done / total - last >= 0.01 and now - told >= PAUSE):
            last, told = done / total, now
            report(task.seed, task.name, done, total, text)

    with devices.using(task.key.get(DEVICE, devices.CPU)):
        return store.stage(task.stage, task.key, lambda part: task.work(part, progress))
