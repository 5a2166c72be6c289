"""Decision maps: what the subject says over the plane, a panel a word, the right border drawn over.

Letters name regions and hatching marks what is not right, so a map reads without its colours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedbed.core.grid import DecisionGrid
from seedbed.report import palette, wording
from seedbed.report.reader import Run
from seedbed.report.regions import borders, middles, rectangles
from seedbed.report.seed_reader import Seed

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
BEFORE = "before"
# Fixed, unlike the page's ink and paper: maps keep their colours in the dark.
_DARK, _LIGHT = "#1f242a", "#fefefe"
_ACROSS, _PALE, _NAMED_FROM = 4, 0.55, 0.04
_GAP, _HEAD, _TOP = 0.08, 0.3, 0.04  # in panels: between columns, over panels, over columns
_EDGE, _RIGHT = 0.75, 0.85  # inches left of the panels, and for the legend


@dataclass(frozen=True)
class Panel:
    """One word of a map at a place (line, column); `marked` hatches what is not right."""

    grid: DecisionGrid
    index: int
    line: int
    column: int
    marked: bool = True

    @property
    def words(self) -> str:
        """The word, its share of right points, and on a second line what it is."""
        about = self.grid.about[self.index]
        word, keys = self.grid.panels[self.index], ["category", "group"]
        if self.marked:
            share = (self.grid.said[self.index] == self.grid.right[self.index]).mean()
            word += f" · {wording.percent(float(share))}"
        else:
            keys = keys[:1]
        return f"{word}\n{', '.join(dict.fromkeys(about[k] for k in keys if k in about))}"


def figures(run: Run) -> list[tuple[str, bool, Made]]:
    """(file name, whether it is folded on the page, figure); the first of a kind stands open.

    Every seed's subject and, under the first method, every seed's arms; of the other methods
    the first seed alone.
    """
    found: list[tuple[str, bool, Made]] = []
    spreading, seeds = run.spreading, run.seeds
    for i, seed in enumerate(seeds):
        if (made := learned(seed)) is not None:
            found.append((f"decisions-{seed.number}", i > 0, made))
    if spreading is None:
        return found
    first = spreading.methods[0]
    wanted = [(seed, first) for seed in seeds]
    wanted += [(seeds[0], method) for method in spreading.methods[1:]]
    for i, (seed, method) in enumerate(wanted):
        if made := after_stage(seed, spreading.arms, method):
            found.append((f"decisions-{method}-{seed.number}", i > 0, made))
    return found


def learned(seed: Seed) -> Made | None:
    """The study's subject: a panel a word."""
    grid = seed.grid
    if grid is None:
        return None
    columns = min(_ACROSS, len(grid.panels))
    panels = [Panel(grid, i, *divmod(i, columns)) for i in range(len(grid.panels))]
    title = (
        f"Seed {seed.number}: what the subject says over the plane is right at {_right(grid)} of "
        "points."
    )
    return title, _note(grid), *_drawn(panels, 2.1)


def after_stage(seed: Seed, arms: Sequence[str], method: str) -> Made | None:
    """Words down; across, before the second stage and after it under each arm."""
    later = {
        arm: seed.later_grids[arm, method] for arm in arms if (arm, method) in seed.later_grids
    }
    if not later:
        return None
    first = next(iter(later.values()))
    before = seed.later_grids.get((BEFORE, ""), seed.grid)
    shown = before is not None and any(p in before.panels for p in first.panels)
    columns = {BEFORE: before, **later} if before is not None and shown else dict(later)
    panels = [
        # What was right before stands in no file of the second stage.
        Panel(grid, grid.panels.index(word), line, column, marked=head != BEFORE)
        for column, (head, grid) in enumerate(columns.items())
        for line, word in enumerate(first.panels)
        if word in grid.panels
    ]
    said = wording.listed([f"{_right(grid)} under {arm}" for arm, grid in later.items()])
    title = (
        f"Seed {seed.number}, method {method}: after the second stage points are right at {said}."
    )
    note = f"{_note(first)} Right is what was taught to a trained group, else the old rule."
    return title, note, *_drawn(panels, 1.75, list(columns))


def _drawn(
    panels: Sequence[Panel], inches: float, heads: Sequence[str] = ()
) -> tuple[tuple[float, float], Callable[[Any], None]]:
    """(size, draw) of panels `inches` wide, all on one axis: many axes take many seconds."""
    columns = 1 + max(p.column for p in panels)
    lines = 1 + max(p.line for p in panels)
    wide, tall = columns * (1 + _GAP) - _GAP, lines * (1 + _HEAD) + bool(heads) * _TOP
    size = (_EDGE + inches * wide + _RIGHT, 0.5 + inches * tall)

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.set(xlim=(0, wide), ylim=(-tall, 0))
        axis.set_aspect("equal")
        axis.set_axis_off()
        for column, head in enumerate(heads):
            axis.text(column * (1 + _GAP), 0, head, fontsize=10, weight="bold", va="top")
        for panel in panels:
            below = any((p.line, p.column) == (panel.line + 1, panel.column) for p in panels)
            before = any(p.line == panel.line and p.column < panel.column for p in panels)
            corner = (panel.column * (1 + _GAP),
                      -(panel.line + 1) * (1 + _HEAD) - bool(heads) * _TOP)  # fmt: skip
            _fill(axis, panel, corner)
            _scale(axis, panel, corner, not before, not below)
        _legend(axis, panels[0].grid.choices)

    return size, draw


def _fill(axis: Any, panel: Panel, corner: tuple[float, float]) -> None:
    """Regions in their choices' colours, paler where unsure; right borders; letters."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgb
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    grid, (left, low) = panel.grid, corner
    said, right = grid.said[panel.index], grid.right[panel.index]
    tall, wide = said.shape
    shade = [palette.of_choices(grid.choices)[c] for c in grid.choices]
    colours = np.array([[to_rgb(palette.paler(s, _PALE)), to_rgb(s)] for s in shade])
    sure = (grid.probability[panel.index] >= sure_from(grid)).astype(int)
    axis.imshow(colours[said, sure], extent=(left, left + 1, low, low + 1), origin="lower",
                interpolation="none", aspect="equal")  # fmt: skip
    scale, shift = np.array([1 / wide, 1 / tall]), np.array(corner)
    corners = rectangles((said != right) & panel.marked)
    if len(corners):
        path = Path(corners.reshape(-1, 2) * scale + shift,
                    [1, 2, 2, 2, 79] * len(corners), readonly=True)  # fmt: skip
        axis.add_patch(PathPatch(path, fc="none", ec=_LIGHT, lw=0, hatch="////", alpha=0.7))
    segments = [line * scale + shift for line in borders(right)]
    for colour, width in ((_LIGHT, 2.6), (_DARK, 1.1)):
        axis.add_collection(LineCollection(segments, colors=[colour], linewidths=[width]))
    short = letters(grid.choices)
    for k, (row, column) in middles(said, _NAMED_FROM):
        x, y = (np.array([column, row]) + 0.5) * scale + shift
        axis.text(x, y, short[grid.choices[k]], ha="center", va="center", fontsize=8.5,
                  weight="bold", color=_on(shade[k]))  # fmt: skip


def sure_from(grid: DecisionGrid) -> float:
    """Half-way from chance to 1: the likeliest of k choices never has less than 1/k."""
    return (1 + 1 / len(grid.choices)) / 2


def _scale(axis: Any, panel: Panel, corner: tuple[float, float], left: bool, below: bool) -> None:
    """The title, and the numbers of the plane at the outer panels."""
    from matplotlib.ticker import MaxNLocator

    grid, (x, y) = panel.grid, corner
    small = {"fontsize": 7.5, "color": palette.MUTED}
    axis.text(x, y + 1.03, panel.words, fontsize=8, va="bottom", linespacing=1.15)
    for values, shown, name in ((grid.x1, below, "x1"), (grid.x2, left, "x2")):
        step = (values[-1] - values[0]) / max(1, len(values) - 1) or 1.0
        first, span = values[0] - step / 2, step * len(values)
        for tick in (
            MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(values[0], values[-1]) if shown else ()
        ):
            place = (tick - first) / span
            if not 0 <= place <= 1:
                continue
            if name == "x1":
                axis.text(x + place, y - 0.03, f"{tick:g}", ha="center", va="top", **small)
            else:
                axis.text(x - 0.03, y + place, f"{tick:g}", ha="right", va="center", **small)
    if below and left:
        axis.text(x + 0.5, y - 0.15, "x1", ha="center", va="top", **small)
        axis.text(x - 0.03, y + 0.62, "x2", ha="right", va="center", **small)


def letters(choices: Sequence[str]) -> dict[str, str]:
    """The shortest beginnings that tell choices apart, in capitals at their head."""
    names = [c.strip() for c in choices]
    found = {}
    for choice, name in zip(choices, names, strict=True):
        length = 1
        while length < len(name) and sum(n.startswith(name[:length]) for n in names) > 1:
            length += 1
        found[choice] = name[:length].capitalize()
    return found


def _legend(axis: Any, choices: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shade, short = palette.of_choices(choices), letters(choices)
    handles: list[Any] = [Patch(fc=shade[c], label=f"{short[c]}  {c.strip()}") for c in choices]
    handles.append(Patch(fc=palette.MUTED, ec=_LIGHT, lw=0, hatch="////", label="not right"))
    handles.append(Line2D([], [], color=palette.INK, lw=1.1, label="right border"))
    axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8.5,
                handlelength=1.3, labelcolor=palette.INK, borderaxespad=0)  # fmt: skip


def _right(grid: DecisionGrid) -> str:
    return wording.percent(float((grid.said == grid.right).mean()))


def _on(colour: str) -> str:
    return {palette.PAPER: _LIGHT, palette.INK: _DARK}[palette.readable_on(colour)]


def _note(grid: DecisionGrid) -> str:
    return (
        f"{len(grid.x1)} × {len(grid.x2)} points a panel; colour and letter: the likeliest of "
        f"{len(grid.choices)} choices, paler where its probability is below "
        f"{sure_from(grid):.3g}, half-way from chance ({1 / len(grid.choices):.2g}) to 1. Lines: "
        "where the right answer changes. Per cent: points answered rightly; the others are hatched."
    )
