"""Two light charts with axes on both sides: points with their names, and courses over steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.report import palette, wording
from seedbed.report.drawing import (
    NARROW,
    WIDE,
    Chart,
    Scale,
    drawing,
    plain,
    table_of,
    tag,
    width_of,
    words,
)
from seedbed.report.labels import FAR, OFFSETS, OUTSIDE, OVER, apart

_TOP, _BOTTOM, _LEFT = 26, 44, 44
_HEIGHTS = {WIDE: 380, NARROW: 340}
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """A point of `scatter`; `low` and `high` are the interval of `y`."""

    label: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    control: bool = False
    href: str = ""


@dataclass(frozen=True)
class Course:
    """A line of `lines`: (x, y) in order of x."""

    label: str
    points: tuple[tuple[float, float], ...]


def scatter(
    points: Sequence[Point], title: str, across: str, up: str, level: float | None = None,
    log: bool = True, span: tuple[float, float] | None = None,
) -> Chart:  # fmt: skip
    """Points with names that do not overlap, such as cost (`across`) against quality (`up`).

    `level` draws the line of chance; `log`: the x-axis is logarithmic (points with x ≤ 0 stand
    at its left end). `span` is what the axis up covers at least.
    """
    told = f"{up} against {across}: " + "; ".join(
        f"{p.label} {wording.measured(p.y, p.low, p.high)} at {wording.significant(p.x)}"
        for p in points
    ) + "."  # fmt: skip
    cells = [
        [p.label, wording.significant(p.x), wording.number(p.y), wording.interval(p.low, p.high, 3)]
        for p in points
    ]
    heads = ["finder", across, up, "95 % interval"]
    if level is not None:
        cells.append(["chance", wording.MISSING, wording.number(level), ""])

    def drawn(shape: str, width: int) -> str:
        body = _scattered(points, width, across, up, level, log, span)
        return drawing(shape, title, told, width, _HEIGHTS[width], body)

    return Chart(drawn("wide", WIDE), drawn("narrow", NARROW), table_of(heads, cells, title))


def _scattered(
    points: Sequence[Point], width: int, across: str, up: str, level: float | None, log: bool,
    span: tuple[float, float] | None,
) -> str:  # fmt: skip
    foot = _HEIGHTS[width] - _BOTTOM
    x = _across([p.x for p in points], width, log)
    ends = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    y = _up([*ends, *(() if level is None else (level,)), *(span or ())], foot)
    body = [_frame(x, y, across, up, width)]
    if level is not None:
        at = y.at(level)
        body += [tag("line", x1=_LEFT, x2=width - 8, y1=at, y2=at, cls="d", stroke_dasharray="4 4"),
                 words(width - 10, at - 5, "chance", "q", "end")]  # fmt: skip
    thin: list[Box] = []
    for p in points:
        if p.low is not None and p.high is not None and p.low < p.high:
            at, bottom, top = x.at(p.x), y.at(p.low), y.at(p.high)
            shape = "c" if p.control else "v"
            body.append(tag("line", x1=at, x2=at, y1=bottom, y2=top, cls=shape))
            thin.append((at - 1, top, at + 1, bottom))
    dots = [(x.at(p.x), y.at(p.y)) for p in points]
    taken = [(a - 5, b - 5, a + 5, b + 5) for a, b in dots]
    if level is not None:
        at = y.at(level)
        taken.append((width - 12 - width_of("chance"), at - 16, width - 8, at - 2))
        thin.append((_LEFT, at - 1, width - 8, at + 1))
    for p, dot in zip(points, dots, strict=True):
        body.append(tag("circle", cx=dot[0], cy=dot[1], r=4.5, cls="c h" if p.control else "v"))
    for p, dot in zip(points, dots, strict=True):
        body.append(_name(p, dot, taken, thin, (_LEFT, _TOP, width, foot)))
    return "".join(body)


def _name(
    point: Point, dot: tuple[float, float], taken: list[Box], thin: Sequence[Box], inside: Box
) -> str:
    """A point's name where it covers least; where it stands is added to `taken`."""
    wide, found = width_of(point.label), []
    for tried, (dx, dy, ha, va) in enumerate(OFFSETS):
        start = dot[0] + dx - {"left": 0.0, "right": wide, "center": wide / 2}[ha]
        top = dot[1] - dy - {"bottom": 14, "top": 0, "center": 7}[va]
        box = (start, top, start + wide, top + 14)
        out = not (inside[0] <= box[0] and box[2] <= inside[2]
                   and inside[1] <= box[1] and box[3] <= inside[3])  # fmt: skip
        own = (dot[0] - 5, dot[1] - 5, dot[0] + 5, dot[1] + 5)
        over = sum(_touch(_airy(box), other) for other in taken if other != own)
        crossed = sum(_touch(box, other) for other in thin)
        found.append((OUTSIDE * out + OVER * over + crossed, tried, box))
        if not found[-1][0]:
            break
    _, tried, box = min(found)
    taken.append(box)
    dx, dy = OFFSETS[tried][:2]
    shown = words(box[0], box[3] - 3, point.label, "q" if point.control else "t", href=point.href)
    if max(abs(dx), abs(dy)) < FAR:
        return shown
    near_x = min(max(dot[0], box[0]), box[2])
    near_y = box[3] if dy > 0 else box[1]
    return tag("line", x1=dot[0], y1=dot[1], x2=near_x, y2=near_y, cls="k") + shown


def _airy(box: Box) -> Box:
    """A name with the room that tells it from its neighbour."""
    return (box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2)


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def lines(
    courses: Sequence[Course], title: str, across: str, up: str,
    span: tuple[float, float] | None = None,
) -> Chart:  # fmt: skip
    """Courses over one axis, named at their ends; colours repeat after seven of them.

    `span` is what the axis up covers at least.
    """
    told = f"{up} over {across}: " + "; ".join(
        f"{c.label} from {wording.number(c.points[0][1])} to {wording.number(c.points[-1][1])}"
        for c in courses if c.points
    ) + "."  # fmt: skip
    by_x: dict[float, dict[str, float]] = {}
    for course in courses:
        for at, value in course.points:
            by_x.setdefault(at, {})[course.label] = value
    cells = [
        [wording.significant(at), *(wording.number(row.get(c.label)) for c in courses)]
        for at, row in sorted(by_x.items())
    ]
    table = table_of([across, *(c.label for c in courses)], cells, f"{title}: {up}")

    def drawn(shape: str, width: int) -> str:
        body = _courses(courses, width, across, up, span)
        return drawing(shape, title, told, width, _HEIGHTS[width], body)

    return Chart(drawn("wide", WIDE), drawn("narrow", NARROW), table)


def _courses(
    courses: Sequence[Course], width: int, across: str, up: str,
    span: tuple[float, float] | None,
) -> str:  # fmt: skip
    foot = _HEIGHTS[width] - _BOTTOM
    some = [c for c in courses if c.points]
    room = min(max((width_of(c.label) for c in some), default=0.0) + 10, width * 0.34)
    x = _across([a for c in some for a, _ in c.points], width - room, log=False)
    y = _up([*(v for c in some for _, v in c.points), *(span or ())], foot)
    body = [_frame(x, y, across, up, width - room)]
    ends = apart([y.at(c.points[-1][1]) for c in some], 15)
    # Names that were moved apart must not hang below the axis.
    ends = [end - max(0.0, max(ends, default=0.0) - foot) for end in ends]
    for k, (course, end) in enumerate(zip(some, ends, strict=True)):
        colour = f"chart-{k % len(palette.SERIES)}"
        path = " ".join(f"{plain(x.at(a))},{plain(y.at(v))}" for a, v in course.points)
        last = x.at(course.points[-1][0])
        body += [tag("polyline", points=path, cls=f"{colour} l"),
                 tag("circle", cx=last, cy=y.at(course.points[-1][1]), r=3, cls=colour),
                 tag("line", x1=last, y1=y.at(course.points[-1][1]), x2=x.end + 8, y2=end, cls="k"),
                 words(x.end + 10, end + 4, course.label, limit=room)]  # fmt: skip
    return "".join(body)


def _across(values: Sequence[float], width: float, log: bool) -> Scale:
    start, end = _LEFT + 10.0, width - 16.0
    if log:
        some = [v for v in values if v > 0 and math.isfinite(v)] or [1.0]
        low, high = min(some), max(some)
        # A little room beside the points; a single value still gets an axis.
        return Scale(low / 1.6, high * 1.6, start, end, log=True)
    low, high = min(values, default=0.0), max(values, default=1.0)
    return Scale(low, high if high > low else low + 1, start, end)


def _up(values: Sequence[float], foot: float) -> Scale:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return Scale(low, high, foot - 6, _TOP + 6)


def _frame(x: Scale, y: Scale, across: str, up: str, width: float) -> str:
    foot = y.start + 6
    found = []
    for value, name in y.ticks(5):
        at = y.at(value)
        found.append(tag("line", x1=_LEFT, x2=width - 8, y1=at, y2=at, cls="g"))
        found.append(words(_LEFT - 8, at + 4, name, "q", "end"))
    for value, name in x.ticks(4 if width <= NARROW else 7):
        at = x.at(value)
        found.append(tag("line", x1=at, x2=at, y1=foot, y2=foot + 4, cls="a"))
        found.append(words(at, foot + 18, name, "q", "middle"))
    found.append(tag("line", x1=_LEFT, x2=width - 8, y1=foot, y2=foot, cls="a"))
    found.append(words((_LEFT + width - 8) / 2, foot + 36, across, "q", "middle"))
    return "".join(found) + words(0, 14, up, "q")
