"""Exact residual patching beside transformer-lens, nnsight, pyvene and plain hooks.

Run: python benchmarks/patching.py [--only WORK ...] [--peers NAME ...] [--repeat N] [--json FILE].
One thread, float32, patches a CPU second, the ways in turn; peers patch a few cells of each work,
drawn by a seed, since each of theirs costs the same. Needs `seedbed fetch smollm2`.

Operations, in tokens × blocks (T = 39 tokens, L = 30 blocks; a forward pass is T·L = 1,170):
last position, 16 pairs: 480 passes = 561,600 plainly; here 32 base runs and, a pair, 1 token from
each block up, 32·T·L + 16·L(L+1)/2 = 44,880: 12.5 times fewer, 14.6 with the head, which a plain
pass runs at T positions. Full grid of one pair: 1,170 passes = 1,368,900; here
T(T+1)/2 · L(L+1)/2 = 362,700: 3.8 times fewer, 4.8 with the head; the rest of the ratio is larger
matrices. Pairs with a common beginning: cells before it are not run, and it is run once.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from patching_peers import PEERS, Peer, peer
from patching_work import (
    PAIRS,
    TOKENS,
    Cell,
    Work,
    counting_runs,
    grid,
    smollm2,
    tiny,
    unlike_runs,
)
from seedbed.core.seeds import stream
from seedbed.runs.cost import measured
from table import Row, missing, show

UNIT = "patches/s"
# Positions whose mean is that of all 39, so that a pass of 16 pairs stays short.
SOME = list(range(1, TOKENS, 6))


@dataclass(frozen=True)
class Plan:
    """A row: what is patched, how many cells a peer runs of it, and the ratio that is wanted."""

    title: str
    make: Callable[[Any, Any], Work]
    sample: int
    wanted: float | None
    tier: Literal["auto", "prefix", "full"] = "auto"


def _last(runs: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Work]:
    def make(model: Any, tokenizer: Any) -> Work:
        layers = model.config.num_hidden_layers
        return Work(model, runs(model, tokenizer), grid(layers, [TOKENS - 1]), prune=True)

    return make


def _unlike(count: int) -> Callable[[Any, Any], Any]:
    return lambda model, _: unlike_runs(model.config.vocab_size, count)


def _grid(runs: Callable[[Any, Any], Any], places: list[int]) -> Callable[[Any, Any], Work]:
    def make(model: Any, tokenizer: Any) -> Work:
        cells = grid(model.config.num_hidden_layers, places)
        return Work(model, runs(model, tokenizer), cells, prune=True)

    return make


def _counting(_: Any, tokenizer: Any) -> Any:
    return counting_runs(tokenizer, PAIRS)


ALL = list(range(TOKENS))
PLANS: dict[str, Plan] = {
    "last": Plan(f"last position, {PAIRS} unlike pairs", _last(_unlike(PAIRS)), 4, 12),
    "last-counting": Plan(f"last position, {PAIRS} counting pairs", _last(_counting), 4, None),
    "grid": Plan("full grid, one unlike pair", _grid(_unlike(1), ALL), 24, 8),
    "grid16": Plan(f"grid, {PAIRS} unlike pairs", _grid(_unlike(PAIRS), SOME), 4, 4),
    "grid16-counting": Plan(f"grid, {PAIRS} counting pairs", _grid(_counting, SOME), 4, None),
    "tiny": Plan("full grid, one unlike pair, tiny model", _grid(_unlike(1), ALL), 60, 8),
    "last-prefix": Plan(
        "last position, tier prefix", _last(_unlike(PAIRS)), 4, None, tier="prefix"
    ),
    "grid-prefix": Plan("full grid, tier prefix", _grid(_unlike(1), ALL), 24, None, tier="prefix"),
}


def rows_of(name: str, peers: list[str], repeat: int) -> list[Row]:
    """A row a peer: our rate, theirs, the median ratio of the turns, and how far logits differ."""
    plan = PLANS[name]
    model, tokenizer = _models(name)
    work = plan.make(model, tokenizer)
    some = _sample(work, plan.sample)
    # transformer-lens changes its model, so every peer has one of its own.
    ready = {p: peer(p, _models(name)[0], *work.batch(), tokenizer) for p in peers}
    usable = {p: made for p, made in ready.items() if isinstance(made, Peer)}
    ours = work.ours(some, plan.tier).logits
    alike: dict[str, str] = {}
    for p, made in usable.items():
        logits = made.cells(some)[..., list(work.answers)]
        worst = float((logits - ours.view_as(logits)).abs().max())
        alike[p] = f"logits up to {float(ours.abs().max()):.0f} differ by {worst:.0e} at most"
    mine: list[float] = []
    theirs: dict[str, list[float]] = {p: [] for p in usable}
    for _ in range(repeat):
        mine.append(work.count / _seconds(lambda: work.ours(tier=plan.tier)))
        for p, made in usable.items():
            count = len(some) * len(work.runs)
            theirs[p].append(count / _seconds(partial(made.cells, some)))
    rows = []
    for p, found in ready.items():
        if isinstance(found, str):
            rows.append(missing(plan.title, p, UNIT, found))
            continue
        ratio = statistics.median(a / b for a, b in zip(mine, theirs[p], strict=True))
        goal = f"; wanted ≥ {plan.wanted:g}" if plan.wanted and p == "transformer-lens" else ""
        rows.append(Row(plan.title, p, statistics.median(mine), statistics.median(theirs[p]),
                        ratio, UNIT, alike[p] + goal))  # fmt: skip
    return rows


def memory_rows(peers: list[str]) -> list[Row]:
    """Peak memory above the loaded model, each way in a process of its own."""
    rows = []
    for name in ("last", "grid16"):
        found = {way: _memory_of(name, way) for way in ("ours", *peers)}
        mine = found.pop("ours")
        for p, peak in found.items():
            title = f"peak memory, {PLANS[name].title}"
            if isinstance(peak, str) or isinstance(mine, str):
                rows.append(missing(title, p, "MiB", str(peak)))
            else:
                rows.append(Row(title, p, mine, peak, peak / mine, "MiB", "above the model"))
    return rows


def _memory_of(name: str, way: str) -> float | str:
    command = [sys.executable, __file__, "--memory", name, way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: float | str = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure_memory(name: str, way: str) -> float | str:
    model, tokenizer = _models(name)
    plan = PLANS[name]
    work = plan.make(model, tokenizer)
    for weight in model.parameters():
        # Weights come into memory when they are first used, and they are nobody's cost here.
        weight.sum()
    with measured() as cost:
        if way == "ours":
            work.ours(tier=plan.tier)
        else:
            made = peer(way, model, *work.batch(), tokenizer)
            if isinstance(made, str):
                return made
            made.cells(_sample(work, 2))
    return cost.peak_mib


def _models(name: str) -> tuple[Any, Any]:
    model, tokenizer = smollm2()
    return (tiny() if name == "tiny" else model), tokenizer


def _sample(work: Work, count: int) -> list[Cell]:
    rng = stream(0, "benchmark", "patching", "cells")
    return sorted(rng.sample(work.cells, min(count, len(work.cells))))


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*PLANS, "memory"], metavar="WORK",
                        help=", ".join([*PLANS, "memory"]))  # fmt: skip
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--repeat", type=int, default=3, help="turns of each row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--memory", nargs=2, metavar=("WORK", "WAY"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.memory:
        print(json.dumps(_measure_memory(*given.memory)))
        return
    rows: list[Row] = []
    for name in given.only or [*PLANS, "memory"]:
        rows += (
            memory_rows(given.peers)
            if name == "memory"
            else rows_of(name, given.peers, given.repeat)
        )
    show(rows, f"SmolLM2-135M, {TOKENS} tokens, one thread; ratio: how many times faster or"
         " smaller ours is", given.json)  # fmt: skip


if __name__ == "__main__":
    main()
