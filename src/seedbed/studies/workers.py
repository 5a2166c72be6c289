"""Running chains of stages in worker processes, one seed's chain or one finder each.

Results do not depend on the number of workers: each process uses the study's thread count,
and one worker means this very process.
"""

import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Protocol, Self

import torch

from seedbed.core.errors import SeedbedError
from seedbed.runs.store import Stage, Store
from seedbed.studies.plan import Task


class Reporter(Protocol):
    """Told what happens, for a progress display."""

    def stage(self, task: Task, stage: Stage) -> None:
        """A stage was made or taken."""

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        """A running stage got this far."""


class Quiet:
    """A reporter that says nothing."""

    def stage(self, task: Task, stage: Stage) -> None:
        """Nothing."""

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        """Nothing."""


_channel: Any = None


class Workers:
    """A pool that starts only when something is not in the store yet."""

    def __init__(self, store: Store, threads: int, count: int | None, reporter: Reporter) -> None:
        self.store, self.threads, self.reporter = store, threads, reporter
        self.count = count or max(1, (os.cpu_count() or 1) // threads)
        self.made = self.taken = 0
        self._pool: ProcessPoolExecutor | None = None
        self._listener: threading.Thread | None = None
        self._messages: Any = None
        self._manager: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._messages.put(None)
            assert self._listener is not None
            self._listener.join()
            self._manager.shutdown()

    def run(self, chains: Sequence[Sequence[Task]]) -> list[tuple[Task, Stage]]:
        """Every task with its stage, in the order given; each chain runs in its own order."""
        finished: dict[int, list[Stage]] = {}
        missing: list[int] = []
        for i, chain in enumerate(chains):
            stages = [self.store.take(t.stage, t.key) for t in chain]
            if all(s is not None for s in stages):
                finished[i] = [s for s in stages if s is not None]
                self._count(chain, finished[i])
            else:
                missing.append(i)
        if missing and self.count == 1:
            before = torch.get_num_threads()
            torch.set_num_threads(self.threads)
            try:
                for i in missing:
                    finished[i] = [
                        _run(self.store, task, self.reporter.progress) for task in chains[i]
                    ]
                    self._count(chains[i], finished[i])
            finally:
                torch.set_num_threads(before)
        elif missing:
            pool = self._start()
            futures: dict[Future[list[Stage]], int] = {
                pool.submit(_run_chain, self.store, chains[i]): i for i in missing
            }
            try:
                for future in as_completed(futures):
                    i = futures[future]
                    finished[i] = future.result()
                    self._count(chains[i], finished[i])
            except BrokenProcessPool as error:
                raise SeedbedError(
                    "a worker process died (out of memory?); run again to go on, "
                    "with fewer --workers if memory is short"
                ) from error
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        pairs = [zip(chain, finished[i], strict=True) for i, chain in enumerate(chains)]
        return [pair for chain in pairs for pair in chain]

    def _count(self, chain: Sequence[Task], stages: Sequence[Stage]) -> None:
        for task, stage in zip(chain, stages, strict=True):
            self.taken += stage.taken
            self.made += not stage.taken
            self.reporter.stage(task, stage)

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = get_context("spawn")
            self._manager = context.Manager()
            self._messages = self._manager.Queue()
            self._pool = ProcessPoolExecutor(
                self.count, mp_context=context, initializer=_begin,
                initargs=(self.threads, self._messages),
            )  # fmt: skip
            self._listener = threading.Thread(target=self._listen, daemon=True)
            self._listener.start()
        return self._pool

    def _listen(self) -> None:
        while (message := self._messages.get()) is not None:
            self.reporter.progress(*message)


def _begin(threads: int, messages: Any) -> None:
    global _channel  # noqa: PLW0603 (a worker process has one channel, set once at its start)
    _channel = messages
    torch.set_num_threads(threads)


def _run_chain(store: Store, chain: Sequence[Task]) -> list[Stage]:
    def send(seed: int, name: str, done: int, total: int, text: str) -> None:
        try:
            _channel.put_nowait((seed, name, done, total, text))
        except queue.Full:
            # A lost progress message is repeated by the next one.
            return

    return [_run(store, task, send) for task in chain]


def _run(store: Store, task: Task, report: Any) -> Stage:
    last = 0.0

    def progress(done: int, total: int, text: str) -> None:
        nonlocal last
        # A message a percent is enough; each costs a round trip between processes.
        if done == total or done / total - last >= 0.01:
            last = done / total
            report(task.seed, task.name, done, total, text)

    return store.stage(task.stage, task.key, lambda part: task.work(part, progress))
