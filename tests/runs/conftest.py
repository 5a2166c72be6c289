"""What tests of launching share: one small study, its scores from here, and a two-node SLURM."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seedbed.studies.study import Study, load_study

ROOT = Path(__file__).parents[2]
COSTS = ("seconds", "peak_mib", "epochs")


def scores_of(folder: Path) -> str:
    """scores.json as text, less what was measured of time and memory."""
    rows = json.loads((folder / "scores.json").read_text())
    return json.dumps([{k: v for k, v in row.items() if k not in COSTS} for row in rows])


@pytest.fixture(scope="session")
def hops_small() -> Study:
    sets = ("seeds=[0, 1]", "finders=[{kind: bm25}]", "world.bases=4", "training.steps=80",
            "training.optimizer={lr: 6.0e-3, weight_decay: 0.3}",
            "training.checkpoint_every=10", "questions=4", "name=hops-launched")  # fmt: skip
    return load_study(ROOT / "studies" / "smoke" / "hops.yaml", sets)


@pytest.fixture(scope="session")
def scores_here(hops_small: Study, run_once: Callable[[dict[str, Any]], Path]) -> str:
    return scores_of(run_once(hops_small.model_dump(mode="json")))


@pytest.fixture
def reports() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def report(reports: list[tuple[Any, ...]]) -> Callable[..., None]:
    def add(*row: Any) -> None:
        reports.append(row)

    return add


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a two-node SLURM of this machine, which commands reach while it is up."""
    folder = tmp_path_factory.mktemp("slurm")
    script = str(ROOT / "tools" / "two_node_slurm.sh")
    done = subprocess.run(
        [script, "up", str(folder), str(_free_port())], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        yield folder
    finally:
        del os.environ["SLURM_CONF"]
        subprocess.run([script, "down", str(folder)], check=True, capture_output=True)


def _free_port() -> int:
    """The first of three ports that nobody listens at."""
    for first in range(21000, 30000, 3):
        with socket.socket() as a, socket.socket() as b, socket.socket() as c:
            try:
                for offset, s in enumerate((a, b, c)):
                    s.bind(("127.0.0.1", first + offset))
            except OSError:
                continue
            return first
    raise OSError("no free ports")
