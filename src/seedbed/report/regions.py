"""Regions of a decision map, in cells: their middles, the borders between them, few rectangles.

Arrays are [rows, columns]; places are in units of cells, the first cell's corner at (0, 0).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Labels = NDArray[np.int16]
Places = NDArray[np.float64]


def middles(said: Labels, smallest: float) -> list[tuple[int, tuple[int, int]]]:
    """(label, (row, column)) deepest inside each connected region of at least that share."""
    seen = np.zeros(said.shape, dtype=bool)
    found = []
    for start in np.ndindex(said.shape):
        if seen[start]:
            continue
        region = _region(said, start)
        seen |= region
        if region.mean() >= smallest:
            found.append((int(said[start]), _deepest(region)))
    return found


def _region(said: Labels, start: tuple[int, ...]) -> Bools:
    """The cells that are joined to `start` through sides by cells of its label."""
    region = np.zeros(said.shape, dtype=bool)
    waiting = [start]
    while waiting:
        row, column = waiting.pop()
        if region[row, column]:
            continue
        region[row, column] = True
        for i, j in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            inside = 0 <= i < said.shape[0] and 0 <= j < said.shape[1]
            if inside and said[i, j] == said[start] and not region[i, j]:
                waiting.append((i, j))
    return region


def _deepest(region: Bools) -> tuple[int, int]:
    """The cell that erosion reaches last; of several the one nearest their mean."""
    inner = region
    while True:
        padded = np.pad(inner, 1)
        around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        if not (inner & around).any():
            break
        inner = inner & around
    cells = np.argwhere(inner)
    row, column = cells[np.abs(cells - cells.mean(axis=0)).sum(axis=1).argmin()]
    return int(row), int(column)


def borders(right: Labels) -> list[Places]:
    """Lines [points, (x, y)] half-way between cells of different labels, each about one label."""
    from contourpy import contour_generator

    found: list[Any] = []
    y, x = np.arange(right.shape[0]) + 0.5, np.arange(right.shape[1]) + 0.5
    if min(right.shape) < 2:
        return []
    for label in np.unique(right):
        mask = (right == label).astype(float)
        if mask.all():
            return []
        found += contour_generator(x, y, mask).lines(0.5)
    return found


def rectangles(mask: Bools) -> Places:
    """Corners [rectangles, 5, (x, y)], closed, that cover a mask: runs of rows, joined along y."""
    open_: dict[tuple[int, int], int] = {}
    found: list[tuple[int, int, int, int]] = []
    for row in range(mask.shape[0] + 1):
        line = mask[row] if row < mask.shape[0] else np.zeros(mask.shape[1], dtype=bool)
        turns = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(int), [0]))))
        runs = {(int(a), int(b)) for a, b in turns.reshape(-1, 2)}
        found += [(*run, open_.pop(run), row) for run in list(open_) if run not in runs]
        for run in runs:
            open_.setdefault(run, row)
    found.sort()
    corners = [[(a, low), (b, low), (b, high), (a, high), (a, low)] for a, b, low, high in found]
    return np.array(corners, dtype=float).reshape(-1, 5, 2)
