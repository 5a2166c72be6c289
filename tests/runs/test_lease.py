import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seedbed.core.errors import DiskError
from seedbed.runs import lease
from seedbed.runs.lease import Holder, held, read
from seedbed.runs.store import Store, part_of

HOLD = """
import sys
from pathlib import Path
from seedbed.runs.store import Store

def make(folder):
    (folder / "resume").write_text("half")
    print("held", flush=True)
    sys.stdin.read()

Store(Path(sys.argv[1])).stage("train", {}, make)
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "POLL_SECONDS", (0.002, 0.005))


@contextmanager
def _making(root: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has begun the stage "train" and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other
        if other.poll() is None:
            other.kill()


def _finish(folder: Path) -> None:
    assert (folder / "resume").read_text() == "half"
    (folder / "out").write_text("whole")


def _names(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir())


def _elsewhere(path: Path, beat: int = 3) -> Holder:
    """Make the lease one of a process on another machine."""
    head, _, _ = path.read_text().partition("\n")
    values = {**json.loads(head), "host": "far", "machine": "far boot space"}
    path.write_text(f"{json.dumps(values)}\n{beat:012d}\n")
    holder = read(path)
    assert holder is not None
    return holder


def test_a_killed_holder_is_succeeded_at_once_and_its_work_goes_on(tmp_path: Path) -> None:
    with _making(tmp_path) as other:
        assert part_of(Store(tmp_path).place("train", {})[1]).name.startswith("train-")
        # Not reaped yet: the process is a zombie of the system's process table.
        other.send_signal(signal.SIGKILL)
        stage = Store(tmp_path).stage("train", {}, _finish)
    assert not stage.taken
    assert _names(tmp_path) == [stage.folder.name]
    assert (stage.folder / "out").read_text() == "whole"


def test_a_living_holder_is_waited_for(tmp_path: Path) -> None:
    with _making(tmp_path) as other:
        assert other.stdin is not None
        threading.Timer(0.1, other.stdin.close).start()
        stage = Store(tmp_path).stage("train", {}, lambda _: pytest.fail("made twice"))
    assert stage.taken
    assert (stage.folder / "resume").read_text() == "half"


def test_a_process_id_that_another_process_has_now_is_no_holder(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with held(path):
        head, _, _ = path.read_text().partition("\n")
        path.write_text(json.dumps({**json.loads(head), "started": "1"}) + "\n")
        with held(path) as now:
            assert now.holder.after
            assert not now.holder.unsure


def test_a_holder_elsewhere_lives_while_its_beat_moves_and_is_dead_when_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    path, told = tmp_path / "x", list[str]()
    beat = 0

    def pass_time(_: float) -> None:
        nonlocal beat
        clock[0] += 50
        beat += clock[0] <= 200
        if beat and clock[0] <= 200:
            _elsewhere(path, beat)

    monkeypatch.setattr(time, "sleep", pass_time)
    with held(path):
        far = _elsewhere(path, 0)
        with held(path, lambda holder: told.append(holder.host)) as now:
            assert now.holder.after == (far.token,)
            assert now.holder.unsure
    # Every new beat was told, though 200 s had passed; then the beat stood still for 60 s.
    assert told == ["far"] * 4
    assert clock[0] >= 260


def test_a_lease_whose_writer_was_cut_off_is_taken_over_after_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.01)
    (tmp_path / "x").write_text("")
    with held(tmp_path / "x") as now:
        assert read(tmp_path / "x") == now.holder.__class__(
            **{**vars(now.holder), "beat": "0" * 12 + "\n"}
        )
    assert _names(tmp_path) == []


def _takes_over(root: Path, stop: threading.Event) -> Callable[[Path], None]:
    """A `make` during which another machine takes the stage over and works on it until `stop`."""

    def make(folder: Path) -> None:
        (path,) = root.glob(".*.lease")
        # To whoever waits, this holder is on another machine and does not move.
        _elsewhere(path)
        open_file = (folder / "log").open("w")
        begun = threading.Event()

        def other(part: Path) -> None:
            assert (part / "log").read_text() == ""
            begun.set()
            stop.wait(5)
            (part / "out").write_text("right")

        thread = threading.Thread(target=lambda: Store(root).stage("train", {}, other))
        thread.start()
        assert begun.wait(5)
        assert not folder.exists()
        open_file.write("written by one who was taken to be dead")
        open_file.close()
        # Files are written with their folders: the old name comes to life again.
        folder.mkdir()
        (folder / "out").write_text("wrong")
        stop.set()

    return make


def test_one_that_was_taken_over_and_wakes_up_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.01)
    stage = Store(tmp_path).stage("train", {}, _takes_over(tmp_path, threading.Event()))
    assert stage.taken
    assert (stage.folder / "out").read_text() == "right"
    assert (stage.folder / "log").read_text() == ""
    assert _names(tmp_path) == [stage.folder.name]


def test_what_one_raises_that_was_taken_over_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.01)
    taken = _takes_over(tmp_path, threading.Event())

    def fail(folder: Path) -> None:
        taken(folder)
        shutil.rmtree(folder)
        raise DiskError(f"{folder}: cannot write")

    assert Store(tmp_path).stage("train", {}, fail).taken
    assert len(_names(tmp_path)) == 1


def test_only_one_contender_succeeds_a_dead_holder(tmp_path: Path) -> None:
    made: list[str] = []
    working = threading.Lock()

    def make(folder: Path) -> None:
        assert working.acquire(blocking=False)
        _finish(folder)
        made.append(folder.name)
        working.release()

    with _making(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        found = []
        many = [
            threading.Thread(target=lambda: found.append(Store(tmp_path).stage("train", {}, make)))
            for _ in range(12)
        ]
        for thread in many:
            thread.start()
        for thread in many:
            thread.join()
    assert len(made) == 1
    assert sum(not stage.taken for stage in found) == 1
    assert len(_names(tmp_path)) == 1


def test_one_who_dies_while_taking_over_is_succeeded_too(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with held(path):
        head, _, _ = path.read_text().partition("\n")
        dead = {**json.loads(head), "started": "1"}
        path.write_text(json.dumps(dead) + "\n")
        gate = {**dead, "token": "gate", "after": [dead["token"]]}
        (tmp_path / f"x+{dead['token']}").write_text(json.dumps(gate) + "\n")
        with held(path) as now:
            assert now.holder.after == ("gate", dead["token"])
            assert _names(tmp_path) == ["x"]


def test_beats_move_and_stop_with_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.005)
    monkeypatch.setattr(lease, "_HEART", lease._Heart())
    with held(tmp_path / "x") as mine:
        first = read(tmp_path / "x")
        for _ in range(1000):
            time.sleep(0.005)
            if read(tmp_path / "x") != first:
                break
        assert read(tmp_path / "x") != first
        assert mine.mine()
        # The file of one who took it over is left alone.
        (tmp_path / "x").write_text("somebody else's")
        mine.renew()
        assert (tmp_path / "x").read_text() == "somebody else's"
    assert (tmp_path / "x").exists()


def test_what_an_interrupted_try_left_serves_the_next_machine_too(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def stop(folder: Path) -> None:
        (folder / "resume").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.stage("train", {}, stop)
    folder = store.place("train", {})[1]
    assert _names(tmp_path) == [f"{folder.name}.part"]
    assert part_of(folder).name == f"{folder.name}.part"
    store.stage("train", {}, _finish)
    assert _names(tmp_path) == [folder.name]


def test_a_folder_that_cannot_be_written_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), held(tmp_path / "none" / "x"):
        raise AssertionError("the folder does not exist")
    assert os.listdir(tmp_path) == []
