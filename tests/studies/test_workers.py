import threading
from pathlib import Path

import pytest
import torch
from tests.studies.working import Counts, refuse

from seedbed.core.errors import ConfigError
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.launch import Launch
from seedbed.runs.store import Stage, Store
from seedbed.studies.plan import Task
from seedbed.studies.workers import Workers, launch_with


class Told:
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.reached: list[tuple[int, str, int]] = []
        self.losses: list[str] = []

    def stage(self, task: Task, stage: Stage) -> None:
        self.stages.append(task.name)

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        self.reached.append((seed, name, done))

    def lost(self, line: str) -> None:
        self.losses.append(line)


def _chain(seed: int, dies: int = -1) -> list[Task]:
    # What kills a worker is no part of the result, so it is none of the key.
    return [
        Task(seed, "count", "one", {"seed": seed, "name": "one"}, Counts(4)),
        Task(seed, "count", "two", {"seed": seed, "name": "two"}, Counts(4, dies)),
    ]


def _bytes(pairs: list[tuple[Task, Stage]]) -> list[bytes]:
    return [(stage.folder / "log").read_bytes() for _, stage in pairs]


def test_runs_share_a_launcher_that_loses_a_worker(tmp_path: Path) -> None:
    runs = {label: Told() for label in ("first", "second")}
    found: dict[str, list[bytes]] = {}
    counts: dict[str, tuple[int, int]] = {}

    def go(label: str, chains: list[list[Task]]) -> None:
        store = Store(tmp_path / label)
        with Workers(store, 2, runs[label], shared=shared, label=label) as workers:
            found[label] = _bytes(workers.run(chains))
            counts[label] = workers.made, workers.taken
            assert workers.losses == runs[label].losses

    with Dispatcher(Launch(workers=2), 1, tmp_path) as shared:
        threads = [
            threading.Thread(target=go, args=("first", [_chain(0), _chain(1, dies=2)])),
            threading.Thread(target=go, args=("second", [_chain(2), _chain(3)])),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shared._launcher is not None
        # What fails ends its own run only.
        with pytest.raises(ConfigError, match=r"^loss is not finite$"):
            go("second", [[Task(0, "x", "x", {}, refuse)], _chain(2)])

    with Workers(Store(tmp_path / "alone"), 2, Told(), Launch(workers=1)) as workers:
        alone = _bytes(workers.run([_chain(0), _chain(1)]))
    assert found["first"] == found["second"] == alone
    assert alone[0] == b"0\n2\n4\n6\n"
    # The first stage of the chain that was tried again was there by then.
    assert counts == {"first": (3, 1), "second": (4, 0)}
    (line,) = runs["first"].losses
    assert line.startswith("first seed 1, one to two (")
    assert line.endswith("tried again (1 of 2)")
    assert runs["second"].losses == []
    assert {seed for seed, _, _ in runs["first"].reached} == {0, 1}
    assert {seed for seed, _, _ in runs["second"].reached} == {2, 3}


def test_what_is_in_the_store_starts_no_worker(tmp_path: Path) -> None:
    before, told = torch.get_num_threads(), Told()
    with Workers(Store(tmp_path), 2, told, Launch(workers=1)) as workers:
        made = workers.run([_chain(0), _chain(1)])
    assert torch.get_num_threads() == before
    assert told.stages == ["one", "two", "one", "two"]
    assert told.reached[0] == (0, "one", 1)
    assert {(seed, name, 4) for seed in (0, 1) for name in ("one", "two")} <= set(told.reached)
    with Workers(Store(tmp_path), 2, Told(), Launch(workers=2)) as workers:
        assert _bytes(workers.run([_chain(0), _chain(1)])) == _bytes(made)
        assert (workers.made, workers.taken) == (0, 4)
        assert workers.dispatcher._launcher is None


def test_what_a_stage_raises_ends_the_run_before_the_next_begins(tmp_path: Path) -> None:
    told = Told()
    chains = [_chain(0), [Task(0, "x", "x", {}, refuse)], _chain(1)]
    with (
        pytest.raises(ConfigError, match=r"^loss is not finite$"),
        Workers(Store(tmp_path), 1, told, Launch(workers=1)) as workers,
    ):
        workers.run(chains)
    assert told.stages == ["one", "two"]


def test_a_number_of_workers_goes_before_the_launch_file() -> None:
    assert launch_with(None, None) == Launch()
    assert launch_with(Launch(on="ray", workers=3), 2) == Launch(on="ray", workers=2)
    assert launch_with(Launch(workers=3), None).workers == 3
