"""On a GPU machine: do scores agree with the CPU's, and how fast is each part beside its peer?

Run: python benchmarks/gpu.py [--device cuda] [--quick] [--json FILE]. Ends with exit code 1 if a
tolerance is exceeded.

Agreement: each world's study of the matrix at smoke size, with finders of every kind of site, is
run on the CPU; from the same weights of its first seed, answers and every claim are then made again
on the device (tolerances stand in gpu_agreement.py). After that each study is run whole on the
device in float32 and in bfloat16: its gate must pass, and no finder's average precision may leave
the interval that the seeds on the CPU give it by more than the tolerance. Throughput: training
steps beside Hugging Face's Trainer, choices scored beside lm-eval, gradient products beside
torch.func's per-document gradients, each on the device in the same process; wall seconds between
synchronisations, since the processor only waits.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gpu_agreement import MARK, Difference, differences
from gpu_peers import throughput
from seedbed.core.errors import GateError
from seedbed.core.files import read_json, write_json
from seedbed.models import devices
from seedbed.studies import run
from seedbed.studies.study import Study, load_study
from table import Row, show

ROOT = Path(__file__).parents[1]
STUDIES = ("hops", "users", "counting", "quadrants", "recall")


def main() -> int:
    """Print both tables; 0 if every difference is within its tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default=devices.CUDA)
    parser.add_argument("--quick", action="store_true", help="two studies, short timings")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    found: list[Difference] = []
    with TemporaryDirectory() as folder:
        for name in STUDIES[:2] if given.quick else STUDIES:
            found += compare(name, Path(folder) / name, given.device)
    for row in found:
        mark = "ok  " if row.fine else "FAIL"
        print(f"{mark} {row.what:<60} {row.value:.2e}  (allowed {row.allowed:.0e})")
    rows = throughput(given.device, quick=given.quick, timed=timed)
    agreement = [Row(d.what, "the CPU", d.value, None, None, "difference",
                     "within tolerance" if d.fine else "EXCEEDED") for d in found]  # fmt: skip
    show(rows, f"Throughput on {_called(given.device)}")
    if given.json is not None:
        write_json(given.json, [asdict(row) for row in (*agreement, *rows)])
    return 0 if all(d.fine for d in found) else 1


def compare(name: str, folder: Path, device: str) -> list[Difference]:
    """Same weights on both devices, then the whole study on the device in two precisions."""
    study = _study(name)
    ours = run(study, folder / "cpu")
    found = [Difference(f"{name}, {d.what}", d.value, d.allowed)
             for seed in study.seeds[:1] for d in differences(ours, seed, device)]  # fmt: skip
    intervals = _marks(ours)
    for precision in ("float32", "bfloat16"):
        other = _study(name, f"device={device}", f"training.precision={precision}")
        try:
            theirs = _marks(run(other, folder / precision, workers=1))
        except GateError:
            found.append(Difference(f"{name}, {precision}: gate not passed", 1.0, 0.0))
            continue
        for finder, (low, high) in intervals.items():
            value = theirs[finder]
            outside = max(low - value[1], value[0] - high, 0.0)
            found.append(Difference(f"{name}, {precision}: {finder}, AP interval", outside, MARK))
    return found


def _study(name: str, *sets: str) -> Study:
    path = ROOT / "studies" / "smoke" / f"matrix-{name}.yaml"
    return load_study(path, sets or (f"device={devices.CPU}",))


def _marks(folder: Path) -> dict[str, tuple[float, float]]:
    """Finder → interval of its average precision over all questions."""
    return {
        r["finder"]: (r["low"], r["high"])
        for r in read_json(folder / "scores.json")
        if (r["truth"], r["metric"], r["slice"]) == ("declared", "average_precision", "all")
        and r["low"] is not None
    }  # fmt: skip


def timed(work: Callable[[], object], device: str, repeat: int = 3) -> float:
    """Median wall seconds of a call, the device waited for; one call beforehand warms up."""
    spent = []
    for _ in range(repeat + 1):
        _wait(device)
        started = time.perf_counter()
        work()
        _wait(device)
        spent.append(time.perf_counter() - started)
    return sorted(spent[1:])[len(spent[1:]) // 2]


def _wait(device: str) -> None:
    if torch.device(device).type == devices.CUDA:
        torch.cuda.synchronize()


def _called(device: str) -> str:
    if torch.device(device).type == devices.CUDA:
        return torch.cuda.get_device_name(device)
    return device


if __name__ == "__main__":
    sys.exit(main())
