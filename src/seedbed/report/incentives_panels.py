"""What the figures of feedback share: panels in lines, bands, one legend, one style an arm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.core.attribution import Replayed
from seedbed.core.incentives import IncentiveRow
from seedbed.report import palette
from seedbed.report.incentives import Feedback

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
_GREYS = ("#8b949c", "#a7afb6", "#767f87", "#b9c0c6")
_LEGEND = "legend"
_CHARACTER, _HANDLE, _LINE = 0.07, 0.5, 0.19
"""Inches that a character, a handle and a line of a legend take."""
_CONTROL_SIGNS = ("x", "+", "1", "2")


@dataclass(frozen=True)
class Panel:
    """One axis: its title, and the condition and kind of user it is about."""

    title: str
    condition: str
    kind: str


def style(feedback: Feedback, arm: str) -> tuple[str, str]:
    """(colour, marker): controls in greys."""
    own = [a for a in feedback.arms if a not in feedback.controls]
    if arm in own:
        i = own.index(arm)
        return palette.SERIES[i % len(palette.SERIES)], palette.MARKERS[i % len(palette.MARKERS)]
    i = [a for a in feedback.arms if a in feedback.controls].index(arm)
    return _GREYS[i % len(_GREYS)], _CONTROL_SIGNS[i % len(_CONTROL_SIGNS)]


def grid_of(figure: Any, count: int, wide: int) -> list[Any]:
    """`count` axes in lines of `wide`, over a line that is kept for the legend."""
    lines = -(-count // wide)
    grid = figure.add_gridspec(lines + 1, wide)
    figure.add_subplot(grid[lines, :], label=_LEGEND).set_axis_off()
    return [figure.add_subplot(grid[i // wide, i % wide]) for i in range(count)]


def band(
    axis: Any, course: Sequence[tuple[float, IncentiveRow]], colour: str, sign: str, label: str
) -> None:
    """A line with its interval as a band."""
    if not course:
        return
    xs = [k for k, _ in course]
    values = [r.value or 0.0 for _, r in course]
    grey = colour in _GREYS
    axis.plot(xs, values, color=colour, lw=1.1 if grey else 1.7, marker=sign, label=label,
              ms=3.5, zorder=2 if grey else 3)  # fmt: skip
    low = [v if r.low is None else r.low for v, (_, r) in zip(values, course, strict=True)]
    high = [v if r.high is None else r.high for v, (_, r) in zip(values, course, strict=True)]
    axis.fill_between(xs, low, high, color=colour, alpha=0.16, lw=0)


def spread_of(rows: Sequence[IncentiveRow | Replayed]) -> list[list[float]]:
    """Lengths of error bars below and above the values; 0 where there is no interval."""
    known = [(r.value or 0.0, r.low, r.high) for r in rows]
    return [[0.0 if low is None else value - low for value, low, _ in known],
            [0.0 if high is None else high - value for value, _, high in known]]  # fmt: skip


def finish(axes: Sequence[Any], count: int, label: str, wide: int, shared: bool = True) -> None:
    """Gridlines, the y-label at the left of each line, whole rounds on the x-axis."""
    from matplotlib.ticker import MaxNLocator

    for i, axis in enumerate(axes[:count]):
        axis.grid(axis="y")
        axis.tick_params(labelsize=8)
        if i % wide == 0:
            axis.set_ylabel(label)
        elif shared:
            axis.tick_params(labelleft=False)
        if axis.get_xlabel() == "Round":
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        if i + wide < count and axis.get_xlabel() == "Round":
            axis.set_xlabel("")


def legend(figure: Any, axes: Sequence[Any]) -> None:
    """One legend below all panels, each name once, in the order of the panels."""
    found: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            found.setdefault(label, handle)
    width, height = figure.get_size_inches()
    longest = max(map(len, found), default=1)
    columns = max(1, min(len(found), int(width / (_CHARACTER * longest + _HANDLE))))
    rows = -(-len(found) // columns)
    place = next(axis for axis in figure.axes if axis.get_label() == _LEGEND)
    grid = place.get_gridspec()
    panels = grid.nrows - 1
    each = (height - rows * _LINE) / panels
    grid.set_height_ratios([*(each for _ in range(panels)), rows * _LINE])
    place.legend(found.values(), found.keys(), loc="center", fontsize=7.5, ncol=columns,
                 labelcolor=palette.INK, borderpad=0)  # fmt: skip
