"""The training figure: loss of every seed and group, and accuracy against the gate."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from seedbed.report import palette, wording
from seedbed.report.gate import accuracies
from seedbed.report.labels import apart, log_axis
from seedbed.report.reader import Run

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
_LOG_FROM = 20
_WINDOWS = 50


def training(run: Run) -> Made | None:
    """Loss against step (left) and accuracy by slice against the gate (right)."""
    trained = any(seed.history for seed in run.seeds)
    if not trained and not run.gate:
        return None

    def draw(figure: Any) -> None:
        if trained and run.gate:
            left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
            _loss(left, run)
            _accuracy(right, run)
        else:
            axis = figure.subplots()
            (_loss if trained else _accuracy)(axis, run)

    groups = accuracies(run)
    failed = [wording.slice_words(g.slice) for g in groups if not g.passed]
    seeds = wording.plural(len(run.seeds), "seed")
    if failed:
        title = f"The gate is not passed at {wording.listed(failed)}"
    else:
        title = f"What was planted was learned: all {seeds} pass the gate"
    counts = ", ".join(f"{g.n:,} at {wording.slice_words(g.slice)}" for g in groups)
    note = f"{seeds}; questions over all seeds: {counts}. One line or dot a seed."
    note += " Bars: 95 % intervals; their lower end must reach the gate."
    return f"{title}.", note, (9.2, 3.6), draw


def _loss(axis: Any, run: Run) -> None:
    names = sorted({name for seed in run.seeds for row in seed.history for name in row.groups})
    said = _group_noun(run.config)
    lines: dict[str, list[tuple[list[int], list[float]]]] = {"whole loss": []}
    for seed in run.seeds:
        steps, losses = [row.step for row in seed.history], [row.loss for row in seed.history]
        lines["whole loss"].append((steps, losses))
        for name in names:
            rows = [row for row in seed.history if name in row.groups]
            lines.setdefault(name, []).append(
                ([row.step for row in rows], [row.groups[name] for row in rows])
            )
    colours = [palette.INK, *(palette.SERIES[i % len(palette.SERIES)] for i in range(len(names)))]
    window = max(1, max(len(seed.history) for seed in run.seeds) // _WINDOWS)
    values = [v for c in lines.values() for _, losses in c for v in smooth(losses, window)]
    for colour, (name, curves) in zip(colours, lines.items(), strict=True):
        for steps, losses in curves:
            width = 1.7 if name == "whole loss" else 1.0
            axis.plot(steps, smooth(losses, window), color=colour, lw=width, alpha=0.85)
    if min(values) > 0 and max(values) / min(values) > _LOG_FROM:
        log_axis(axis.yaxis, subs=(1, 2, 5))
    axis.set(xlabel="Training step", ylabel="Loss")
    axis.grid(axis="y")
    title = "Loss, whole and by group" if names else "Loss"
    axis.set_title(title + (f" (mean of {window} steps)" if window > 1 else ""))
    ends = {
        name: [(steps, smooth(losses, window)) for steps, losses in curves]
        for name, curves in lines.items()
    }
    names_at_the_end(axis, ends, colours, said)


def smooth(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and up to `window` - 1 before it; same length."""
    totals = [0.0, *accumulate(values)]
    starts = [max(0, i + 1 - window) for i in range(len(values))]
    return [(totals[i + 1] - totals[s]) / (i + 1 - s) for i, s in enumerate(starts)]


def _group_noun(config: dict[str, Any]) -> str:
    """What the groups of documents are, such as `hop depth`; documents are grouped by it."""
    found: Any = config
    for key in ("training", "order", "group"):
        found = found.get(key) if isinstance(found, dict) else None
    return str(found or "group").replace("_", " ")


def names_at_the_end(
    axis: Any,
    lines: dict[str, list[tuple[list[int], list[float]]]],
    colours: list[str],
    noun: str,
) -> None:
    """A name for each line right of the axis, level with where the line ends."""
    ends, names = [], []
    for name, curves in lines.items():
        last = [losses[-1] for _, losses in curves if losses]
        if last:
            ends.append(sum(last) / len(last))
            names.append(name)
    axis.figure.draw_without_rendering()
    right = max(steps[-1] for curves in lines.values() for steps, _ in curves if steps)
    heights = [
        axis.transAxes.inverted().transform(axis.transData.transform((right, e)))[1] for e in ends
    ]
    for name, height, colour in zip(names, apart(heights, 0.075), colours, strict=False):
        shown = f"{noun} {name}" if name.lstrip("-").isdigit() else name.replace("=", " ")
        axis.plot(
            [1.01, 1.04],
            [height] * 2,
            color=colour,
            lw=2.2,
            transform=axis.transAxes,
            clip_on=False,
        )
        axis.annotate(
            shown, (1.055, height), xycoords="axes fraction", fontsize=8.5, va="center",
            annotation_clip=False,
        )  # fmt: skip


def _accuracy(axis: Any, run: Run) -> None:
    slices = list(dict.fromkeys(row.slice for row in run.gate))
    seeds = sorted({row.seed for row in run.gate})
    for row in run.gate:
        centre = slices.index(row.slice)
        shift = (seeds.index(row.seed) - (len(seeds) - 1) / 2) * min(0.16, 0.6 / len(seeds))
        colour = palette.BLUE if row.passed else palette.RED
        axis.plot([centre + shift] * 2, [row.low, row.high], color=colour, lw=1.5)
        face = colour if row.passed else palette.PAPER
        axis.plot(centre + shift, row.accuracy, "o", color=colour, mfc=face, ms=5, mew=1.3)
        axis.plot(
            [centre - 0.36, centre + 0.36], [row.bar] * 2, color=palette.ORANGE, lw=1.8, zorder=0.6
        )
        axis.plot(
            [centre - 0.36, centre + 0.36], [row.chance] * 2, color=palette.MUTED, lw=1,
            ls=(0, (4, 3)), zorder=0.6,
        )  # fmt: skip
    last = [row for row in run.gate if row.slice == slices[-1]][-1]
    for value, name in ((last.bar, "gate"), (last.chance, "chance")):
        axis.text(
            len(slices) - 1 + 0.4, value, name, fontsize=8.5, color=palette.MUTED, va="center"
        )
    axis.set(xlim=(-0.6, len(slices) - 0.1), ylim=(-0.03, 1.05), ylabel="Share answered correctly")
    axis.set_xticks(range(len(slices)), [wording.slice_words(s) for s in slices])
    axis.grid(axis="y")
    axis.set_title("Accuracy against the gate")
