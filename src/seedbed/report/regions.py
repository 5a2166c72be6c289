"""Regions of a decision map: where their middles are, and their outlines as few rectangles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def middles(said: NDArray[np.int16], smallest: float) -> list[tuple[int, tuple[int, int]]]:
    """(choice, cell) deepest inside each connected region of at least that share."""
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


def _region(said: NDArray[np.int16], start: tuple[int, ...]) -> NDArray[np.bool_]:
    region = np.zeros(said.shape, dtype=bool)
    region[start] = True
    while True:
        grown = region.copy()
        grown[1:] |= region[:-1]
        grown[:-1] |= region[1:]
        grown[:, 1:] |= region[:, :-1]
        grown[:, :-1] |= region[:, 1:]
        grown &= said == said[start]
        if (grown == region).all():
            return region
        region = grown


def _deepest(region: NDArray[np.bool_]) -> tuple[int, int]:
    """The cell that erosion reaches last; of several the one nearest their mean."""
    inner = region
    while True:
        padded = np.pad(inner, 1)
        smaller = (
            inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        )
        if not smaller.any():
            break
        inner = smaller
    cells = np.argwhere(inner)
    row, column = cells[np.abs(cells - cells.mean(axis=0)).sum(axis=1).argmin()]
    return int(row), int(column)


def edges(values: Sequence[float]) -> NDArray[np.float64]:
    """Borders of cells around ascending `values`: half-way between, and as far beyond the ends."""
    at = np.asarray(values, dtype=float)
    if len(at) == 1:
        return np.array([at[0] - 0.5, at[0] + 0.5])
    inner = (at[1:] + at[:-1]) / 2
    return np.array([2 * at[0] - inner[0], *inner, 2 * at[-1] - inner[-1]])


def rectangles(mask: NDArray[np.bool_], x: Any, y: Any) -> Any:
    """A path of rectangles, one for each run of cells in a row; None without any."""
    from matplotlib.path import Path

    corners: list[tuple[float, float]] = []
    for row, line in enumerate(mask):
        turns = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(int), [0]))))
        for start, end in turns.reshape(-1, 2):
            left, right, low, high = x[start], x[end], y[row], y[row + 1]
            corners += [(left, low), (right, low), (right, high), (left, high), (left, low)]
    if not corners:
        return None
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(corners, codes * (len(corners) // 5))
