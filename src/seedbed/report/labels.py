"""Names beside points without overlap, so that a figure needs no legend; plain log ticks.

Places are tried in a fixed order, so equal data gives an equal figure.
"""

from collections.abc import Sequence
from typing import Any

from seedbed.report.palette import MUTED

OFFSETS = (
    (9, 0, "left", "center"),
    (-9, 0, "right", "center"),
    (0, 8, "center", "bottom"),
    (0, -8, "center", "top"),
    (7, 10, "left", "bottom"),
    (7, -10, "left", "top"),
    (-7, 10, "right", "bottom"),
    (-7, -10, "right", "top"),
    (9, 24, "left", "bottom"),
    (-9, 24, "right", "bottom"),
    (9, 38, "left", "bottom"),
    (-9, 38, "right", "bottom"),
    (9, -24, "left", "top"),
    (9, 52, "left", "bottom"),
    (24, 7, "left", "bottom"),
    (24, -7, "left", "top"),
    (-24, 7, "right", "bottom"),
    (-24, -7, "right", "top"),
    (-9, -24, "right", "top"),
    (9, -40, "left", "top"),
    (-9, -40, "right", "top"),
    (-9, 52, "right", "bottom"),
    (44, 18, "left", "bottom"),
    (-44, 18, "right", "bottom"),
    (44, -18, "left", "top"),
    (-44, -18, "right", "top"),
    (-44, 40, "right", "bottom"),
    (-44, -40, "right", "top"),
)
FAR = 24
OUTSIDE, OVER = 100, 10


def place(
    axis: Any,
    names: Sequence[str],
    points: Sequence[tuple[float, float]],
    lines: Sequence[float] = (),
    bars: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
) -> None:
    """Write each name beside its point (data coordinates), clear of points, other names, the
    horizontal `lines` and the `bars` from one point to another; where that cannot be, over as
    little as possible.
    """
    from matplotlib.transforms import Bbox

    renderer = axis.figure.canvas.get_renderer()
    axis.figure.draw_without_rendering()
    dots = [axis.transData.transform(point) for point in points]
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in dots]
    taken += [text.get_window_extent(renderer) for text in axis.texts]
    limits = axis.get_window_extent(renderer)
    thin = []
    for height in lines:
        y = axis.transData.transform((points[0][0], height))[1]
        thin.append(Bbox.from_bounds(limits.x0, y - 1, limits.width, 2))
    for start, end in bars:
        (x0, y0), (x1, y1) = axis.transData.transform([start, end])
        box = Bbox.from_extents(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        thin.append(box.padded(1))
    for i, (name, point) in enumerate(zip(names, points, strict=True)):
        others = [b for j, b in enumerate(taken) if j != i]
        found: list[tuple[float, int]] = []
        text = axis.annotate(name, point, (0, 0), textcoords="offset points", fontsize=9)
        for tried, (dx, dy, ha, va) in enumerate(OFFSETS):
            text.set(position=(dx, dy), ha=ha, va=va)
            box = text.get_window_extent(renderer)
            inside = (
                limits.x0 <= box.x0
                and box.x1 <= limits.x1
                and limits.y0 <= box.y0
                and box.y1 <= limits.y1
            )
            over = sum(box.overlaps(b) for b in others)
            crossed = sum(box.overlaps(b) for b in thin)
            found.append((OUTSIDE * (not inside) + OVER * over + crossed, tried))
            if found[-1][0] == 0:
                break
        dx, dy, ha, va = OFFSETS[min(found)[1]]
        text.set(position=(dx, dy), ha=ha, va=va)
        taken.append(text.get_window_extent(renderer))
        if max(abs(dx), abs(dy)) >= FAR:
            line = {"arrowstyle": "-", "lw": 0.7, "color": MUTED, "shrinkB": 4}
            axis.annotate("", point, (dx, dy), textcoords="offset points", arrowprops=line)


def apart(places: Sequence[float], gap: float) -> list[float]:
    """The places moved as little as needed to stand at least `gap` apart, order kept."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[list[float]] = []  # [centre, count] of runs of labels that touch
    for i in order:
        groups.append([places[i], 1])
        while len(groups) > 1:
            (low, n), (high, m) = groups[-2], groups[-1]
            if high - low >= gap * (n + m) / 2:
                break
            groups[-2:] = [[(low * n + high * m) / (n + m), n + m]]
    result = [0.0] * len(places)
    at = iter(order)
    for centre, count in groups:
        for k in range(int(count)):
            result[next(at)] = centre + (k - (count - 1) / 2) * gap
    return result


def log_axis(axis: Any, subs: Sequence[int]) -> None:
    """A log scale on an x- or y-axis whose ticks read 0.01, 0.1, 1 and not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
