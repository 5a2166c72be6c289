"""Figures of the measured truth: the two truths against each other, and removal curves.

Every function returns (title, note, size in inches, draw), or None without data for it.
"""

from collections.abc import Callable
from typing import Any

from seedbed.report import palette, wording
from seedbed.report.labels import apart, log_axis, place
from seedbed.report.leading import DECLARED, DROP, LDS, LEADING, MEASURED
from seedbed.report.plots import sample
from seedbed.report.ranked import best_on, ceiling, ranked_on
from seedbed.report.reader import Run
from seedbed.report.retraining import order_agreement
from seedbed.report.schema import CHANCE, CONTROLS, ORACLE, Score
from seedbed.scoring.rows import LABELS

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
_DASHED = (0, (4, 3))


def truths(run: Run) -> Made | None:
    """A point a finder: quality by declared truth (x) against LDS (y), bars both ways."""
    lead = LEADING[DECLARED]
    pairs = [
        (a, b)
        for a in ranked_on(run, DECLARED, lead, "all")
        if (b := run.score(a.finder, MEASURED, LDS, "all")) is not None and b.value is not None
    ]
    if not pairs:
        return None
    known = run.score(ORACLE, DECLARED, lead, "all"), run.score(LABELS, MEASURED, LDS, "all")
    top, chance = ceiling(run), run.base_rate(DECLARED, lead, "all")

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.set(xlabel=f"Declared truth: {wording.metric(lead)}", ylabel="Measured truth: LDS")
        low = min(0.0, *(b.low or 0.0 for _, b in pairs), 0.0)
        axis.set(xlim=(-0.03, 1.06), ylim=(low - 0.05, 1.06))
        _lines(axis, top, chance)
        names, points = [], []
        for i, (a, b) in enumerate(pairs):
            colour = palette.SERIES[i % len(palette.SERIES)]
            marker = palette.MARKERS[i % len(palette.MARKERS)]
            _cross(axis, a, b, colour, marker)
            names.append(a.finder)
            points.append((a.value or 0.0, b.value or 0.0))
        if known[0] is not None and known[1] is not None and known[1].value is not None:
            _cross(axis, known[0], known[1], palette.INK, "*")
            names.append(LABELS)
            points.append((known[0].value or 0.0, known[1].value))
        axis.grid()
        heights = [0.0] + ([top.value] if top is not None and top.value is not None else [])
        place(axis, names, points, heights)

    note = (
        f"{sample(run, MEASURED)}. Bars: 95 % intervals. Dashed lines: chance; green: ceiling of "
        f"LDS with its interval; star: the declared labels themselves. LDS: {wording.meaning(LDS)}."
    )
    return _truths_title(run), note, (7.6, 4.8), draw


def _truths_title(run: Run) -> str:
    first = best_on(run, DECLARED, LEADING[DECLARED], "all")
    second = best_on(run, MEASURED, LDS, "all")
    if first is None or second is None:
        return "Declared against measured truth."
    if first.finder == second.finder:
        said = f"{first.finder} is best under both truths"
    else:
        said = f"{first.finder} finds the evidence best, {second.finder} predicts retraining best"
    agreement = order_agreement(run)
    if agreement is not None:
        said += f"; the two orders correlate at {wording.number(agreement, 2)}"
    return f"{said}."


def _lines(axis: Any, top: Score | None, chance: float | None) -> None:
    axis.axhline(0, color=palette.INK, lw=1, ls=_DASHED, zorder=1.5)
    if chance is not None:
        axis.axvline(chance, color=palette.INK, lw=1, ls=_DASHED, zorder=1.5)
        low = axis.get_ylim()[0]
        text = {"fontsize": 8, "color": palette.MUTED, "va": "bottom"}
        axis.text(chance, low, " chance", **text)
        axis.text(axis.get_xlim()[1], 0, "chance ", ha="right", **text)
    if top is not None and top.value is not None:
        axis.axhline(top.value, color=palette.GREEN, lw=1.2, zorder=0.6)
        if top.low is not None and top.high is not None:
            axis.axhspan(top.low, top.high, color=palette.GREEN, alpha=0.1, lw=0, zorder=0.4)
        axis.text(
            axis.get_xlim()[0], top.value, " ceiling", fontsize=8, color=palette.MUTED, va="bottom"
        )


def _cross(axis: Any, a: Score, b: Score, colour: str, marker: str) -> None:
    x, y = a.value or 0.0, b.value or 0.0
    if a.low is not None and a.high is not None:
        axis.plot([a.low, a.high], [y, y], color=colour, lw=1.1, alpha=0.75)
    if b.low is not None and b.high is not None:
        axis.plot([x, x], [b.low, b.high], color=colour, lw=1.1, alpha=0.75)
    axis.plot(x, y, marker, color=colour, ms=11 if marker == "*" else 7, zorder=3)


def removal(run: Run) -> Made | None:
    """Fall of the answer against how many top documents were left out, a line a finder."""
    sizes = [int(m.removeprefix(DROP)) for m in run.metrics if m.startswith(DROP)]
    if not sizes:
        return None
    last = f"{DROP}{sizes[-1]}"
    finders = [row.finder for row in ranked_on(run, MEASURED, last, "all")]
    names = [*finders, *(c for c in run.controls(MEASURED) if c in (CHANCE, LABELS))]
    curves = {
        name: [
            row
            for k in sizes
            if (row := run.score(name, MEASURED, f"{DROP}{k}", "all")) and row.value is not None
        ]
        for name in names
    }
    curves = {name: rows for name, rows in curves.items() if rows}

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        if len(sizes) > 1:
            log_axis(axis.xaxis, subs=(1,))
        axis.set_xticks(sizes, [str(k) for k in sizes])
        axis.set_xticks([], minor=True)
        axis.set(xlabel="Top documents left out (log)", ylabel="Fall of log p(answer), nats")
        axis.axhline(0, color=palette.MUTED, lw=0.8, zorder=0.6)
        looks = {name: _look(i, name) for i, name in enumerate(curves)}
        for i, (name, rows) in enumerate(curves.items()):
            # Points stand a little apart, so that bars at one k can be told from each other.
            shift = 1 + 0.03 * (i - (len(curves) - 1) / 2)
            xs = [int(r.metric.removeprefix(DROP)) * shift for r in rows]
            axis.plot(xs, [r.value for r in rows], ms=5.5, **looks[name])
            for x, r in zip(xs, rows, strict=True):
                if r.low is not None and r.high is not None:
                    axis.plot([x, x], [r.low, r.high], color=looks[name]["color"], lw=1, alpha=0.6)
        axis.grid(axis="y")
        figure.draw_without_rendering()
        ends = [rows[-1].value or 0.0 for rows in curves.values()]
        low, high = axis.get_ylim()
        heights = apart([(e - low) / (high - low) for e in ends], 0.06)
        for name, height in zip(curves, heights, strict=True):
            axis.annotate(
                name, (1.02, height), xycoords="axes fraction", fontsize=8.5, va="center",
                color=palette.MUTED if name in CONTROLS else palette.INK, annotation_clip=False,
            )  # fmt: skip
            axis.plot(
                [1.0, 1.015], [height] * 2, color=looks[name]["color"], lw=2.4,
                transform=axis.transAxes, clip_on=False,
            )  # fmt: skip

    note = (
        f"{wording.plural(len(curves), 'line')}; {sample(run, MEASURED)}, of which a few were "
        "retrained for. Mean over those questions and retrainings, bars: 95 % intervals. "
        "Dashed: random documents (chance) and the declared evidence (labels) left out."
    )
    return _removal_title(run, finders, last), note, (7.6, 4.2), draw


def _look(index: int, name: str) -> dict[str, Any]:
    if name in CONTROLS:
        colour = palette.MUTED if name == CHANCE else palette.INK
        return {"color": colour, "marker": "*", "ls": _DASHED, "lw": 1.4}
    colour = palette.SERIES[index % len(palette.SERIES)]
    return {"color": colour, "marker": palette.MARKERS[index % len(palette.MARKERS)], "lw": 1.6}


def _removal_title(run: Run, finders: list[str], metric: str) -> str:
    k = metric.removeprefix(DROP)
    if not finders:
        return "No finder's top documents were left out."
    best = run.score(finders[0], MEASURED, metric, "all")
    assert best is not None
    return (
        f"Without {best.finder}'s top {k} the answer loses {wording.number(best.value, 2)} nats, "
        f"without a random {k} {wording.number(best.chance, 2)}."
    )
