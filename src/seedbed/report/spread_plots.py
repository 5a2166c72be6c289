"""The spread of a second stage drawn: new, old and neither by arm, a line a group."""

from collections.abc import Callable
from typing import Any

from seedbed.core.spread import NEW, OLD, Spreading
from seedbed.report import palette, wording
from seedbed.report.labels import apart
from seedbed.report.reader import Run
from seedbed.report.spread import EVERY, OUTCOMES, unasked

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
_GAP = 0.055


def figures(run: Run) -> list[tuple[str, bool, Made]]:
    """(file name, whether it is folded on the page, figure), one a method; the first is open."""
    found = run.spreading
    if found is None or not any(r.value is not None for r in found.shares):
        return []
    return [
        (f"spread-{method}", i > 0, _figure(found, method))
        for i, method in enumerate(found.methods)
        if any(r.method == method and r.value is not None for r in found.shares)
    ]


def _figure(found: Spreading, method: str) -> Made:
    groups = [g for g in found.groups
              if any((r.method, r.group) == (method, g) and r.value is not None
                     for r in found.shares)]  # fmt: skip

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(OUTCOMES), sharey=True)
        for axis, outcome in zip(axes, OUTCOMES, strict=True):
            ends: list[tuple[float, str, str]] = []
            for i, group in enumerate(groups):
                colour, marker = palette.SERIES[i % 7], palette.MARKERS[i % 7]
                shift = (i - (len(groups) - 1) / 2) * 0.05
                points = _points(found, method, group, outcome)
                # Before is no arm, so no line leads from it to the first.
                for part in ([p for p in points if not p[0]], [p for p in points if p[0]]):
                    axis.plot([x + shift for x, *_ in part], [y for _, y, *_ in part],
                              color=colour, marker=marker, ms=4.5, lw=1.5)  # fmt: skip
                for x, _, low, high in points:
                    if low is not None and high is not None:
                        axis.plot([x + shift] * 2, [low, high], color=colour, lw=1.1)
                if points:
                    ends.append((points[-1][1], group, colour))
            axis.set(ylim=(-0.03, 1.05), xlim=(-0.4, len(found.arms) + 0.4))
            axis.set_xticks(range(len(found.arms) + 1), ["before", *found.arms], fontsize=8,
                            rotation=30, ha="right", rotation_mode="anchor")  # fmt: skip
            axis.grid(axis="y")
            axis.set_title(f"{outcome.capitalize()} rule" if outcome in (NEW, OLD) else "Neither")
            if axis is axes[-1]:
                _names(axis, ends)
        axes[0].set_ylabel("Share of questions")

    return _title(found, method), _note(found), (9.2, 3.7), draw


def _points(
    found: Spreading, method: str, group: str, outcome: str
) -> list[tuple[float, float, float | None, float | None]]:
    """(place on the axis, value, low, high): before, then the arms that fitted."""
    rows = {r.arm: r for r in found.shares
            if (r.method, r.group, r.outcome) == (method, group, outcome)}  # fmt: skip
    before = next((r.before for r in rows.values() if r.before is not None), None)
    points = [] if before is None else [(0.0, before, None, None)]
    return points + [
        (1.0 + i, rows[arm].value or 0.0, rows[arm].low, rows[arm].high)
        for i, arm in enumerate(found.arms)
        if arm in rows and rows[arm].value is not None
    ]


def _names(axis: Any, ends: list[tuple[float, str, str]]) -> None:
    """Groups named beside the last panel, level with their lines where there is room."""
    low, high = axis.get_ylim()
    heights = apart([(y - low) / (high - low) for y, _, _ in ends], _GAP * 1.4)
    for (_, group, colour), height in zip(ends, heights, strict=True):
        axis.plot([1.02, 1.07], [height] * 2, color=colour, lw=2.2, transform=axis.transAxes,
                  clip_on=False)  # fmt: skip
        axis.annotate(group, (1.09, height), xycoords="axes fraction", fontsize=8.5, va="center",
                      annotation_clip=False)  # fmt: skip


def _title(found: Spreading, method: str) -> str:
    """Where the new rule went beyond what was taught, in the first and last arm that fitted."""
    mine = [r for r in found.shares
            if (r.method, r.outcome) == (method, NEW) and r.group not in found.trained
            and r.value is not None]  # fmt: skip
    arms = [a for a in found.arms if any(r.arm == a for r in mine)]
    if not arms:
        return f"What the second stage spread to, method {method}."
    said = []
    for arm in dict.fromkeys((arms[0], arms[-1])):
        rows = [r for r in mine if r.arm == arm]
        low = min(rows, key=lambda r: r.value or 0.0)
        high = max(rows, key=lambda r: r.value or 0.0)
        span = wording.percent(low.value)
        if wording.percent(high.value) != span:
            span += f" ({low.group}) to {wording.percent(high.value)} ({high.group})"
        said.append(f"under {arm} {span}")
    return f"The new rule in groups that were not trained, method {method}: {'; '.join(said)}."


def _note(found: Spreading) -> str:
    seeds = wording.plural(len({f.seed for f in found.fits}), "seed")
    return (
        f"{seeds}; {who(found)}. Bars: 95 % intervals over seeds and words. Before: the same "
        "questions before the second stage."
    )


def who(found: Spreading) -> str:
    """Which subjects shares are over."""
    if unasked(found):
        return f"no share was asked for: {EVERY}"
    return "only subjects that learned what the second stage taught"
