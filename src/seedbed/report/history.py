"""Over training: accuracy and loss by axis at the checkpoints, mean and band over seeds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedbed.core.history import Snapshot
from seedbed.report import palette, wording
from seedbed.report.axes import axis_words, in_order
from seedbed.report.curves import names_at_the_end
from seedbed.report.reader import Run
from seedbed.scoring.intervals import Bootstrap

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]


@dataclass(frozen=True)
class Curve:
    """One axis over training: at each step the mean over seeds and its interval."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


def curves(run: Run, measure: str) -> list[Curve]:
    """`accuracy` or `loss` by slice, over the steps that every seed has."""
    told = [seed.snapshots for seed in run.seeds if seed.snapshots]
    if not told:
        return []
    bootstrap = Bootstrap([["seed"]] * len(told))
    found = []
    for name in in_order(row.slice for rows in told for row in rows):
        by_seed = [{r.step: r for r in rows if r.slice == name} for rows in told]
        steps = sorted(set.intersection(*(set(rows) for rows in by_seed)))
        spreads = [
            bootstrap.interval([np.array([_of(rows[step], measure)]) for rows in by_seed])
            for step in steps
        ]
        found.append(
            Curve(name, tuple(steps), tuple(s.value for s in spreads),
                  tuple(s.low for s in spreads), tuple(s.high for s in spreads))
        )  # fmt: skip
    return [curve for curve in found if curve.steps]


def _of(row: Snapshot, measure: str) -> float:
    return row.accuracy if measure == "accuracy" else row.loss


def over_training(run: Run) -> Made | None:
    """Accuracy (left) and loss (right) against the step, a line an axis."""
    both = {measure: curves(run, measure) for measure in ("accuracy", "loss")}
    if not both["accuracy"]:
        return None

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 2)
        for axis, (measure, found) in zip(axes, both.items(), strict=True):
            colours = [palette.SERIES[i % len(palette.SERIES)] for i in range(len(found))]
            for curve, colour in zip(found, colours, strict=True):
                axis.fill_between(curve.steps, curve.lows, curve.highs, color=colour, alpha=0.18,
                                  lw=0)  # fmt: skip
                axis.plot(curve.steps, curve.values, color=colour, lw=1.6, marker="o", ms=3)
            axis.set(xlabel="Training step")
            axis.set_title("Accuracy" if measure == "accuracy" else "Loss of the answer, nats")
            axis.grid(axis="y")
            axis.set_ylim(bottom=0, top=1.03 if measure == "accuracy" else None)
            if axis is axes[-1]:
                lines = {axis_words(c.name): [(list(c.steps), list(c.values))] for c in found}
                names_at_the_end(axis, lines, colours, "")

    seeds = [s for s in run.seeds if s.snapshots]
    first = [row for row in seeds[0].snapshots if row.step == seeds[0].snapshots[0].step]
    counts = ", ".join(f"{axis_words(row.slice)} {row.n:,}" for row in first)
    note = (
        f"{wording.plural(len(seeds), 'seed')}; questions a seed: {counts}, the same at every "
        "checkpoint. Bands: 95 % bootstrap intervals over seeds. Loss counts the tokens of the "
        "right answer alone."
    )
    return _title(both["accuracy"]), note, (9.2, 3.6), draw


def _title(found: list[Curve]) -> str:
    last = sorted(found, key=lambda c: -c.values[-1])
    said = [f"{axis_words(c.name)} {wording.number(c.values[-1], 2)}" for c in last]
    return f"Accuracy after step {found[0].steps[-1]:,}: {wording.listed(said)}."
