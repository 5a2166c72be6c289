"""Calls on a Ray of this machine, and a study on two nodes of which one is killed."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runs import distant_calls as calls
from tests.runs.conftest import scores_of

from seedbed.core.errors import ConfigError, GateError, LostError, SeedbedError
from seedbed.core.files import read_json
from seedbed.runs.launch import Launch
from seedbed.runs.on_ray import OBJECTS, OnRay
from seedbed.studies import run
from seedbed.studies.study import Study

ray: Any = pytest.importorskip("ray")
pytestmark = [
    # Ray leaves sockets and files of its own to the end of the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray of two nodes on this machine, which `on: ray` joins."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node = {"num_cpus": 1, "object_store_memory": OBJECTS, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.second = cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        yield cluster
    finally:
        del os.environ["RAY_ADDRESS"]
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def joined(cluster: Any) -> Any:
    if not ray.is_initialized():
        ray.init(cluster.address, logging_level=logging.CRITICAL, log_to_driver=False)
    return cluster


def test_calls_come_back_as_what_they_are(
    joined: Any, tmp_path: Path, report: Callable[..., None], reports: list[tuple[Any, ...]]
) -> None:
    told: list[str] = []

    def hear(*row: Any) -> None:
        report(*row)
        (tmp_path / "heard").touch()

    (tmp_path / "once").mkdir()
    (tmp_path / "twice").mkdir()
    launcher = OnRay(Launch(on="ray", retries=1, memory=0.1), 1, tmp_path, hear, told.append)
    squares = [launcher.submit(calls.Square(i), f"square {i}") for i in range(6)]
    watched = launcher.submit(calls.Watched(tmp_path / "heard"), "watched")
    refused = launcher.submit(calls.refuse, "refused")
    gate = launcher.submit(calls.stop_at_the_gate, "gate")
    odd = launcher.submit(calls.fail_oddly, "odd")
    once = launcher.submit(calls.DiesAtFirst(tmp_path / "once", 1), "dies once")
    twice = launcher.submit(calls.DiesAtFirst(tmp_path / "twice", 2), "dies twice")
    assert [future.result() for future in squares] == [0, 1, 4, 9, 16, 25]
    assert watched.result() == "heard"
    with pytest.raises(ConfigError, match=r"^study.yaml: no such thing$") as wrong:
        refused.result()
    assert "in refuse" in str(wrong.value.__cause__)
    with pytest.raises(GateError, match="not learned"):
        gate.result()
    with pytest.raises(SeedbedError, match="Odd: what it said"):
        odd.result()
    assert once.result() == 1
    with pytest.raises(LostError, match="dies twice: its worker was lost 2 times"):
        twice.result()
    launcher.close()
    assert (7, "watched", 1, 2, "half") in reports
    assert sorted(line.split(":")[0] for line in told) == ["dies once", "dies twice"]
    assert all(line.endswith("tried again (1 of 1)") for line in told)
    assert list((tmp_path / ".jobs").iterdir()) == []


def test_a_call_that_no_node_has_room_for_is_told_at_once(
    joined: Any, tmp_path: Path, report: Callable[..., None]
) -> None:
    told: list[str] = []
    launcher = OnRay(Launch(on="ray", gpus=1), 1, tmp_path, report, told.append)
    launcher.close()
    assert told == ["ray: no node has what a worker needs: 1 CPU (most: 1 CPU),"
                    " 1 GPU (most: 0 GPU); waiting for one"]  # fmt: skip


def test_giving_up_stops_what_runs(
    joined: Any, tmp_path: Path, report: Callable[..., None]
) -> None:
    launcher = OnRay(Launch(on="ray", workers=1), 1, tmp_path, report, print)
    running = launcher.submit(calls.Marked(tmp_path / "begun"), "runs")
    waiting = launcher.submit(calls.wait, "waits")
    while not (tmp_path / "begun").exists():
        time.sleep(0.1)
    launcher.close(cancel=True)
    assert waiting.cancelled()
    with pytest.raises(LostError, match="runs: stopped"):
        running.result(timeout=0)
    # The worker is interrupted, and writes while this process goes on.
    until = time.monotonic() + 30
    while not (tmp_path / "begun").read_text() and time.monotonic() < until:
        time.sleep(0.05)
    assert (tmp_path / "begun").read_text() == "let go"


def test_a_study_with_a_node_killed_midway_gives_the_same_scores(
    joined: Any, tmp_path: Path, hops_small: Study, scores_here: str
) -> None:
    store = tmp_path / ".store"
    killed = threading.Event()

    def kill() -> None:
        # Each node has one core: where none is free, the second node makes something too.
        while not list(store.glob("train-*")) or ray.available_resources().get("CPU", 0):
            time.sleep(0.05)
        joined.remove_node(joined.second, allow_graceful=False)
        killed.set()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    folder = run(hops_small, tmp_path / "run", launch=Launch(on="ray"))
    assert killed.is_set()
    assert scores_of(folder) == scores_here
    losses = read_json(folder / "manifest.json")["losses"]
    assert len(losses) == 1
    assert "its worker was lost" in losses[0]
    assert losses[0].endswith("tried again (1 of 2)")
