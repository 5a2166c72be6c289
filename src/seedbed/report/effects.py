"""Figures of the measured truth: the two truths against each other, and removal curves.

Every function returns (title, note, size in inches, draw), or None without data for it.
"""

from collections.abc import Callable
from typing import Any

from seedbed.report import palette, wording
from seedbed.report.labels import apart, log_axis, place
from seedbed.report.leading import DECLARED, DROP, LDS, LEADING, MEASURED
from seedbed.report.plots import looks, sample
from seedbed.report.ranked import (
    best_on,
    ceiling,
    ranked_on,
    under_both,
)
from seedbed.report.reader import Run
from seedbed.report.retraining import order_agreement, output_words
from seedbed.report.schema import CHANCE, CONTROLS, ORACLE, Score
from seedbed.scoring.rows import LABELS

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
Bar = tuple[tuple[float, float], tuple[float, float]]
_CROWD = 10
_DASHED = (0, (4, 3))


def truths(run: Run) -> Made | None:
    """A point a finder: quality by declared truth (x) against LDS (y), bars both ways."""
    lead = LEADING[DECLARED]
    pairs = under_both(run)
    if not pairs:
        return None
    known = run.score(ORACLE, DECLARED, lead, "all"), run.score(LABELS, MEASURED, LDS, "all")
    top, chance = ceiling(run), run.base_rate(DECLARED, lead, "all")

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.set(xlabel=f"Declared truth: {wording.metric(lead)}", ylabel="Measured truth: LDS")
        low = min([0.0, *(b.low or 0.0 for _, b in pairs)])
        axis.set(xlim=(-0.03, 1.06), ylim=(low - 0.05, 1.06))
        _lines(axis, top, chance)
        names, points = [], []
        bars: list[Bar] = []
        for a, b in pairs:
            bars += _cross(axis, a, b, *looks(run)[a.finder])
            names.append(a.finder)
            points.append((a.value or 0.0, b.value or 0.0))
        if known[0] is not None and known[1] is not None and known[1].value is not None:
            bars += _cross(axis, known[0], known[1], palette.INK, "*")
            names.append(LABELS)
            points.append((known[0].value or 0.0, known[1].value))
        axis.grid()
        heights = [0.0] + ([top.value] if top is not None and top.value is not None else [])
        if chance is not None:
            bars.append(((chance, axis.get_ylim()[0]), (chance, axis.get_ylim()[1])))
        place(axis, names, points, heights, bars)

    note = (
        f"{sample(run, MEASURED)}. Bars: 95 % intervals. Dashed lines: chance; green: ceiling of "
        f"LDS with its interval; star: the declared labels themselves. LDS: {wording.meaning(LDS)}."
    )
    size = (7.6, 4.8) if len(pairs) <= _CROWD else (9.2, 6.4)
    return _truths_title(run), note, size, draw


def _truths_title(run: Run) -> str:
    first = best_on(run, DECLARED, LEADING[DECLARED], "all")
    second = best_on(run, MEASURED, LDS, "all")
    if first is None or second is None:
        return "Declared against measured truth."
    if second.standing != "above":
        said = f"{first.finder} finds the evidence best, no finder predicts retraining"
    elif first.finder == second.finder:
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


def _cross(axis: Any, a: Score, b: Score, colour: str, marker: str) -> list[Bar]:
    """Draw a point with its bars; return the bars."""
    x, y = a.value or 0.0, b.value or 0.0
    bars: list[Bar] = []
    if a.low is not None and a.high is not None:
        bars.append(((a.low, y), (a.high, y)))
    if b.low is not None and b.high is not None:
        bars.append(((x, b.low), (x, b.high)))
    for start, end in bars:
        axis.plot(*zip(start, end, strict=True), color=colour, lw=1.1, alpha=0.75)
    axis.plot(x, y, marker, color=colour, ms=11 if marker == "*" else 7, zorder=3)
    return bars


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
    height = max(4.2, 1.2 + 0.22 * len(curves))

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        if len(sizes) > 1:
            log_axis(axis.xaxis, subs=(1,))
        axis.set_xticks(sizes, [str(k) for k in sizes])
        axis.set_xticks([], minor=True)
        axis.set(xlabel="Top documents left out (log)", ylabel=f"Fall of {output_words(run)}, nats")
        axis.axhline(0, color=palette.MUTED, lw=0.8, zorder=0.6)
        styles = {name: _style(run, name) for name in curves}
        for i, (name, rows) in enumerate(curves.items()):
            # Points stand a little apart, so that bars at one k can be told from each other.
            shift = 1 + min(0.03, 0.3 / len(curves)) * (i - (len(curves) - 1) / 2)
            xs = [int(r.metric.removeprefix(DROP)) * shift for r in rows]
            axis.plot(xs, [r.value for r in rows], ms=5.5, **styles[name])
            for x, r in zip(xs, rows, strict=True):
                if r.low is not None and r.high is not None:
                    axis.plot([x, x], [r.low, r.high], color=styles[name]["color"], lw=1, alpha=0.6)
        axis.grid(axis="y")
        figure.draw_without_rendering()
        ends = [rows[-1].value or 0.0 for rows in curves.values()]
        low, high = axis.get_ylim()
        heights = apart([(e - low) / (high - low) for e in ends], 0.22 / height)
        for name, at in zip(curves, heights, strict=True):
            axis.annotate(
                name, (1.035, at), xycoords="axes fraction", fontsize=8.5, va="center",
                color=palette.MUTED if name in CONTROLS else palette.INK, annotation_clip=False,
            )  # fmt: skip
            axis.plot(
                [1.0, 1.012, 1.024], [at] * 3, markevery=[1], ms=4.5, transform=axis.transAxes,
                clip_on=False, **styles[name],
            )  # fmt: skip

    note = (
        f"{_seeds_and_questions(run)}, for each of which subjects were retrained without the "
        "documents that a finder puts first for it. Bars: 95 % intervals. Dashed: random "
        "documents (chance) and the declared evidence (labels) left out."
    )
    return _removal_title(run, finders, last), note, (7.6, height), draw


def _seeds_and_questions(run: Run) -> str:
    tops = [s.outcomes.of("top").names for s in run.seeds if s.outcomes is not None]
    asked = sum(len({name.split("/", 2)[2] for name in names}) for names in tops)
    return f"{wording.plural(len(tops), 'seed')}, {wording.plural(asked, 'question')} in all"


def _style(run: Run, name: str) -> dict[str, Any]:
    if name in CONTROLS:
        colour = palette.MUTED if name == CHANCE else palette.INK
        return {"color": colour, "marker": "*", "ls": _DASHED, "lw": 1.4}
    colour, marker = looks(run)[name]
    return {"color": colour, "marker": marker, "lw": 1.6}


def _removal_title(run: Run, finders: list[str], metric: str) -> str:
    k = metric.removeprefix(DROP)
    if not finders:
        return "No finder's top documents were left out."
    best = run.score(finders[0], MEASURED, metric, "all")
    assert best is not None
    said = f"Without {best.finder}'s top {k} the answer loses {wording.number(best.value, 2)} nats"
    if best.chance is not None:
        said += f", without {k} random documents {wording.number(best.chance, 2)}"
    return f"{said}."
