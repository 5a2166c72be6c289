"""Everything that computes gives on another device what it gives on the CPU.

The device is the double of double.py, registered in one process for all cases.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seedbed.finders.base import FINDERS

ROOT = Path(__file__).parents[2]
TOLERANCE, KL, LOW = 2e-5, 1e-3, 5e-2
"""Greatest differences, relative to the largest size: of float32, whose sums other kernels add
in another order, and of bfloat16, whose 8 bits are 4e-3 in each of several operations."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Differences by case, or why there is none."""
    file = tmp_path_factory.mktemp("elsewhere") / "cases.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.other_device.cases", str(file)],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "benchmarks")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    made: dict[str, Any] = json.loads(file.read_text())
    return made


@pytest.mark.parametrize("kind", FINDERS.names())
def test_a_finder_claims_the_same(found: dict[str, Any], kind: str) -> None:
    _holds(found[f"finder {kind}"], TOLERANCE)


def test_at_most_a_few_finders_are_left_out(found: dict[str, Any]) -> None:
    finders = {k: v for k, v in found.items() if k.startswith("finder ")}
    assert sum(isinstance(v, float) for v in finders.values()) >= 28


@pytest.mark.parametrize("case", [
    *(f"train {kind}" for kind in ("mixed", "without", "weighted", "kl", "contrast", "projection",
                                   "subtraction")),
    "train lora", "train one block", "train a recurrent subject", "expert iteration", "kto",
    "episodes", "answers", "answers of a recurrent subject", "answers of an hrm", "decision map",
    "states", "recurrences", "mediation", "steering",
])  # fmt: skip
def test_training_measuring_and_simulating_give_the_same(found: dict[str, Any], case: str) -> None:
    # Where training begins nothing diverges: Adam makes steps of what rounding leaves.
    _holds(found[case], KL if case == "train kl" else TOLERANCE)


def test_the_agreement_of_the_gpu_benchmark(found: dict[str, Any]) -> None:
    """All claims, crossed ones too, are well within what it allows; a planted fault is not."""
    assert found["agreement"] <= 0.1
    compared = found["compared"].splitlines()
    for what in ("loss of answers, nats", "bm25: scores", "cell: loss of answers, nats",
                 "cell: patching: AP", "input: ablation: scores"):  # fmt: skip
        assert what in compared
    assert found["planted"].splitlines() == ["cell: patching: scores"]


def test_the_gpu_benchmark_ends_with_1_where_a_tolerance_is_exceeded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu
    from gpu_agreement import Difference

    found = [Difference("scores", 0.5, 0.1), Difference("loss", 0.0, 0.1)]
    monkeypatch.setattr(gpu, "compare", lambda *_: found)
    monkeypatch.setattr(gpu, "throughput", lambda *_, **__: [])
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--quick"])
    assert gpu.main() == 1
    assert "FAIL scores" in capsys.readouterr().out
    found.pop(0)
    assert gpu.main() == 0


def test_bfloat16_stays_near(found: dict[str, Any]) -> None:
    _holds(found["train in bfloat16"], LOW)


def test_the_double_refuses_what_cuda_refuses(found: dict[str, Any]) -> None:
    assert found["refused"] == "ok"


def _holds(value: float | str, tolerance: float) -> None:
    if isinstance(value, str) and value.startswith("skipped: "):
        pytest.skip(value.removeprefix("skipped: "))
    assert isinstance(value, float), value
    assert value <= tolerance
