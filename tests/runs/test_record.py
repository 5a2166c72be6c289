import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seedbed.core.errors import DiskError, LockedError
from seedbed.runs.record import (
    LEASE,
    let_go,
    locked,
    manifest,
    now,
    set_aside,
    write_config,
)

HOLD = """
import sys
from pathlib import Path
from seedbed.runs.record import LEASE, locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        who = rf"another process .*\(process {other.pid} on {re.escape(platform.node())}\)"
        with pytest.raises(LockedError, match=who), locked(tmp_path):
            raise AssertionError("the lock was given twice")
        other.kill()
    with locked(tmp_path):
        assert [p.name for p in tmp_path.iterdir()] == [LEASE]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError), locked(tmp_path / "file" / "run"):
        raise AssertionError("the folder cannot exist")


def test_config_and_manifest(tmp_path: Path) -> None:
    write_config(tmp_path, {"b": [1, 2], "a": {"x": None}})
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {"b": [1, 2], "a": {"x": None}}
    made = manifest(now(), 1.5, threads=1)
    assert {"seedbed", "python", "packages", "git", "started", "seconds", "threads"} <= set(made)
    assert made["packages"]["torch"]


def test_results_of_a_finished_run_stay_until_there_are_new_ones(tmp_path: Path) -> None:
    names = ("scores.json", "manifest.json", "seeds")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "config.yaml").write_text("name: a\n")
    (tmp_path / "scores.json").write_text("1")
    # An unfinished run's results are no results.
    set_aside(tmp_path, names)
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]
    for name in ("scores.json", "manifest.json"):
        (tmp_path / name).write_text("2")
    set_aside(tmp_path, names)
    assert [p.name for p in tmp_path.iterdir() if p.name[0] != "."] == ["config.yaml"]
    # A second try that ends as early changes nothing of what is kept.
    (tmp_path / "scores.json").write_text("3")
    set_aside(tmp_path, names)
    kept = {p.name: p.read_text() for p in (tmp_path / ".before").iterdir()}
    assert kept == {"scores.json": "2", "manifest.json": "2", "config.yaml": "name: a\n"}
    let_go(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]
