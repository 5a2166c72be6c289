"""How exact gradient scores grow with the number of documents: seconds and peak memory.

Run: python benchmarks/growth.py [--json FILE] [--most N]. One thread; a process for each size;
documents are the 400 of benchmarks/work.py over and over, which nothing here notices.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from seedbed.finders.products import gradient_products, store_for
from table import Row, show
from work import QUESTIONS, Work

SIZES = (400, 4_000, 40_000)


def peak() -> float:
    """MiB at the peak of this program; getrusage would count what started it too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def measure(count: int) -> dict[str, float]:
    """Seconds of processor time and MiB at the peak, scores streamed to a folder."""
    torch.set_num_threads(1)
    work = Work("text")
    rows = (work.rows * (count // len(work.rows) + 1))[:count]
    work.ours()
    before = peak()
    names = [str(i) for i in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        asked = [q.id for q in work.questions]
        store = store_for(asked, names, norms=True, folder=Path(folder) / "store")
        gradient_products(work.subject, rows, work.asked, norms=True, store=store)
        seconds = time.process_time() - started
    return {"seconds": seconds, "peak": peak(), "more": peak() - before}


def growth_rows(most: int = SIZES[-1]) -> list[Row]:
    """A row for each size up to `most`."""
    rows: list[Row] = []
    first: dict[str, float] = {}
    for size in (s for s in SIZES if s <= most):
        command = [sys.executable, __file__, "--size", str(size)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found: dict[str, float] = json.loads(text.splitlines()[-1])
        first = first or found
        times, scale = found["seconds"] / first["seconds"], size / SIZES[0]
        rows.append(
            Row(f"{size} documents", f"{SIZES[0]} documents", found["seconds"], first["seconds"],
                scale / times, "CPU s",
                f"{scale:.0f}× the documents, {times:.1f}× the time; peak {found['peak']:.0f} MiB,"
                f" {found['more']:.0f} more than for 400 without a folder")
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="documents of the last size")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.size:
        print(json.dumps(measure(given.size)))
        return
    rows = growth_rows(given.most)
    title = f"dot product and norms, {QUESTIONS} questions; ratio: how much of linear growth"
    show(rows, title, given.json)


if __name__ == "__main__":
    main()
