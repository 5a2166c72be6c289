"""Light charts as SVG text, without a plotting library: every one with the table of its numbers.

Colours are classes that `style()` defines for light and dark; there are no ids, so that any
number of charts can stand on one page. Equal input gives equal bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from seedbed.report import wording
from seedbed.report.drawing import (
    NARROW,
    WIDE,
    Chart,
    Scale,
    drawing,
    plain,
    style,
    table_of,
    tag,
    width_of,
    words,
)
from seedbed.report.svg_plots import Course, Point, lines, scatter

__all__ = [
    "Chart", "Course", "Mark", "Point", "intervals", "lines", "scatter", "spark", "style",
    "table_of",
]  # fmt: skip
_ROW, _TOP, _BOTTOM = 24, 26, 40


@dataclass(frozen=True)
class Mark:
    """A row of `intervals`: a value with its 95 % interval, chance and oracle.

    `control` greys the row, `note` stands in the table (such as its cost), `href` makes the label
    a link.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    oracle: float | None = None
    control: bool = False
    note: str = ""
    href: str = ""

    def said(self) -> str:
        """`0.47 [0.41, 0.52]`, or a dash."""
        return wording.measured(self.value, self.low, self.high)


def intervals(
    rows: Sequence[Mark], title: str, metric: str, span: tuple[float, float] | None = (0.0, 1.0)
) -> Chart:
    """A row a finder: dot, interval, ticks where chance and the oracle stand, one axis.

    `title` names the chart for those who do not see it, `metric` labels the axis; `span` is what
    the axis covers at least (None: no more than the rows need).
    """
    low, high = _span(rows, span)
    told = f"{metric}: " + "; ".join(f"{row.label} {row.said()}" for row in rows) + "."
    noted = any(row.note for row in rows)
    heads = ["finder", metric, "95 % interval", "chance", "oracle", *(["note"] if noted else [])]
    cells = [
        [row.label, wording.number(row.value), wording.interval(row.low, row.high, 3),
         wording.number(row.chance), wording.number(row.oracle), *([row.note] if noted else [])]
        for row in rows
    ]  # fmt: skip
    return Chart(
        _beside(rows, title, told, metric, (low, high)),
        _stacked(rows, title, told, metric, (low, high)),
        table_of(heads, cells, title),
    )


def _span(rows: Sequence[Mark], least: tuple[float, float] | None) -> tuple[float, float]:
    every = [
        v for row in rows for v in (row.value, row.low, row.high, row.chance, row.oracle)
        if v is not None and math.isfinite(v)
    ]  # fmt: skip
    low, high = min([*every, *(least or ())], default=0.0), max([*every, *(least or ())], default=1)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _beside(
    rows: Sequence[Mark], title: str, told: str, metric: str, span: tuple[float, float]
) -> str:
    """Label, plot and number side by side."""
    left = min(max((width_of(row.label) for row in rows), default=0) + 14, 220)
    right = max((width_of(row.said()) for row in rows), default=0) + 24
    scale = Scale(*span, left + 6, WIDE - right)
    foot = _TOP + _ROW * len(rows)
    body = [_legend(rows, left), _axis(scale, metric, foot)]
    for i, row in enumerate(rows):
        y = _TOP + _ROW * i + _ROW / 2
        quiet = "q" if row.control else "t"
        body += [
            words(0, y + 4, row.label, quiet, href=row.href, limit=left - 12),
            _mark(row, scale, y),
            words(WIDE, y + 4, row.said(), quiet, "end"),
        ]
    return drawing("wide", title, told, WIDE, foot + _BOTTOM, "".join(body))


def _stacked(
    rows: Sequence[Mark], title: str, told: str, metric: str, span: tuple[float, float]
) -> str:
    """Label and number above each plot, for a phone."""
    scale, row_height = Scale(*span, 14, NARROW - 14), _ROW + 18
    foot = _TOP + row_height * len(rows)
    body = [_legend(rows, 0), _axis(scale, metric, foot)]
    for i, row in enumerate(rows):
        y = _TOP + row_height * i + 15
        quiet = "q" if row.control else "t"
        limit = NARROW - width_of(row.said()) - 10
        body += [
            words(0, y, row.label, quiet, href=row.href, limit=limit),
            words(NARROW, y, row.said(), quiet, "end"),
            _mark(row, scale, y + 14),
        ]
    return drawing("narrow", title, told, NARROW, foot + _BOTTOM, "".join(body))


def _axis(scale: Scale, metric: str, foot: float) -> str:
    found = []
    for value, name in scale.ticks():
        x = scale.at(value)
        found.append(tag("line", x1=x, x2=x, y1=_TOP - 2, y2=foot, cls="g"))
        found.append(words(x, foot + 16, name, "q", "middle"))
    found.append(tag("line", x1=scale.start, x2=scale.end, y1=foot, y2=foot, cls="a"))
    middle = (scale.start + scale.end) / 2
    return "".join(found) + words(middle, foot + 34, metric, "q", "middle")


def _legend(rows: Sequence[Mark], left: float) -> str:
    """What the marks mean, above the plot; only of marks that are there."""
    x, found = left + 6, []
    known: list[tuple[str, str]] = [(_dot(x, 10, "v"), "value, 95 % interval")]
    x += width_of(known[0][1]) + 24
    if any(row.chance is not None for row in rows):
        known.append((_chance(x, 10, 6), "chance"))
        x += width_of("chance") + 24
    if any(row.oracle is not None for row in rows):
        known.append((_oracle(x, 10), "oracle"))
    x = left + 6
    for drawn, name in known:
        found.append(drawn + words(x + 9, 14, name, "q"))
        x += width_of(name) + 24
    return "".join(found)


def _mark(row: Mark, scale: Scale, y: float) -> str:
    found = ""
    if row.chance is not None:
        found += _chance(scale.at(row.chance), y, 7)
    if row.oracle is not None:
        found += _oracle(scale.at(row.oracle), y)
    if row.value is None:
        return found
    shape = "c" if row.control else "v"
    bounded = wording.bounded(row.value, row.low, row.high)
    if row.low is not None and row.high is not None and row.low < row.high:
        low, high = scale.at(row.low), scale.at(row.high)
        found += tag("line", x1=low, x2=high, y1=y, y2=y, cls=shape)
    # A value without an interval is an open dot.
    return found + _dot(scale.at(row.value), y, shape if bounded else f"{shape} h")


def _dot(x: float, y: float, shape: str) -> str:
    return tag("circle", cx=x, cy=y, r=4, cls=shape)


def _chance(x: float, y: float, half: float) -> str:
    return tag("line", x1=x, x2=x, y1=y - half, y2=y + half, cls="d")


def _oracle(x: float, y: float) -> str:
    at = f"M{plain(x)} {plain(y - 5)}l4.5 5l-4.5 5l-4.5 -5z"
    return tag("path", d=at, cls="o")


def spark(row: Mark, span: tuple[float, float] = (0.0, 1.0), width: int = 120) -> str:
    """`row` as one `<svg>` of `width` × 18 pixels for a cell of a table, with a `<title>`."""
    scale = Scale(*_span([row], span), 5, width - 5)
    told = [f"{row.label}: {row.said()}" if row.label else row.said()]
    told += [f"chance {wording.number(row.chance, 2)}"] if row.chance is not None else []
    told += [f"oracle {wording.number(row.oracle, 2)}"] if row.oracle is not None else []
    ground = tag("line", x1=scale.start, x2=scale.end, y1=9, y2=9, cls="g")
    title = tag("title", escape(", ".join(told)))
    return (
        f'<svg class="spark" role="img" width="{width}" height="18">{title}{ground}'
        f"{_mark(row, scale, 9)}</svg>"
    )
