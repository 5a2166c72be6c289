"""Decision maps: what the subject says over the plane, a panel a word, the right border drawn over.

A letter names every region, so a map can be read without its colours.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seedbed.core.grid import DecisionGrid
from seedbed.report import palette, wording
from seedbed.report.reader import Run, Seed
from seedbed.report.regions import edges, middles, rectangles

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
# Fixed, unlike the page's ink and paper: maps keep their colours in the dark.
_DARK, _LIGHT = "#1f242a", "#fefefe"
_NAMED = {
    "red": "#D5492A", "orange": palette.ORANGE, "yellow": palette.YELLOW, "green": palette.GREEN,
    "blue": palette.BLUE, "sky": palette.SKY, "cyan": palette.SKY, "purple": palette.PURPLE,
    "pink": "#e3b5cf", "brown": "#8c6d31", "black": "#4a4f55", "grey": "#c3c9cf",
    "gray": "#c3c9cf", "white": "#eceff1", "true": palette.BLUE, "false": palette.ORANGE,
    "yes": palette.BLUE, "no": palette.ORANGE,
}  # fmt: skip
_ACROSS, _SURE, _PALE, _NAMED_FROM = 4, 0.5, 0.55, 0.03
_SIZE = 2.1


def colours(choices: Sequence[str]) -> dict[str, str]:
    """A colour for each choice: its own where it names one, else the next of the palette."""
    found = {c: _NAMED[c.strip().lower()] for c in choices if c.strip().lower() in _NAMED}
    spare = iter(s for s in (*palette.SERIES, *_NAMED.values()) if s not in found.values())
    return {c: found.get(c) or next(spare) for c in choices}


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


def learned(seed: Seed) -> Made | None:
    """The study's subject: a panel a word."""
    grid = seed.grid
    if grid is None:
        return None
    columns = min(_ACROSS, len(grid.panels))
    lines = -(-len(grid.panels) // columns)

    def draw(figure: Any) -> None:
        axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for i, axis in enumerate(axes.flat):
            if i >= len(grid.panels):
                axis.set_axis_off()
                continue
            panel(axis, grid, i)
            _title(axis, grid, i)
            axis.tick_params(labelleft=i % columns == 0, labelbottom=i + columns >= columns * lines)
        _named_axes(figure, axes, lines - 1)
        legend(axes[0, -1], grid.choices)

    share = float((grid.said == grid.right).mean())
    title = (
        f"Seed {seed.number}: what the subject says over the plane is right at "
        f"{wording.percent(share)} of points."
    )
    return title, _note(grid), (1.6 + _SIZE * columns, 0.4 + (_SIZE + 0.3) * lines), draw


def after_stage(
    seed: Seed, cells: Sequence[tuple[str, str]], heads: Sequence[str], what: str
) -> Made | None:
    """Words down; across, before the second stage and after it under each of `cells`."""
    before, later = seed.grid, [seed.later_grids.get(cell) for cell in cells]
    known = [(head, grid) for head, grid in zip(heads, later, strict=True) if grid is not None]
    if not known:
        return None
    first = known[0][1]
    columns = [("before", before), *known] if before is not None else list(known)
    panels = [p for p in first.panels if all(p in grid.panels for _, grid in columns)]
    if not panels:
        return None

    def draw(figure: Any) -> None:
        axes = figure.subplots(len(panels), len(columns), squeeze=False, sharex=True, sharey=True)
        for i, j in np.ndindex(axes.shape):
            (head, grid), axis = columns[j], axes[i, j]
            panel(axis, grid, grid.panels.index(panels[i]))
            _title(axis, grid, grid.panels.index(panels[i]), whole=j == 0, head=head * (i == 0))
            axis.tick_params(labelleft=j == 0, labelbottom=i == len(panels) - 1)
        _named_axes(figure, axes, len(panels) - 1)
        legend(axes[0, -1], first.choices)

    said = wording.listed([f"{share_right(grid)} under {head}" for head, grid in known])
    title = f"Seed {seed.number}, {what}: after the second stage these points are right at {said}."
    note = f"{_note(first)} Right is what was taught to a trained group, else the old rule."
    size = (1.6 + 1.75 * len(columns), 0.7 + 2.05 * len(panels))
    return title, note, size, draw


def figures(run: Run) -> list[tuple[str, str, Made]]:
    """(file name, seed or method to unfold it by, "" for what stands open, figure).

    Every seed's subject and, under the first method, every seed's arms; of the other methods
    the first seed alone, for each panel is drawn many times over.
    """
    found: list[tuple[str, str, Made]] = []
    spreading, seeds = run.spreading, run.seeds
    for i, seed in enumerate(seeds):
        if (made := learned(seed)) is not None:
            found.append((f"decisions-{seed.number}", f"seed {seed.number}" if i else "", made))
    if spreading is None:
        return found
    first = spreading.methods[0]
    wanted = [(seed, first) for seed in seeds]
    wanted += [(seeds[0], method) for method in spreading.methods[1:]]
    for i, (seed, method) in enumerate(wanted):
        cells = [(arm, method) for arm in spreading.arms]
        if made := after_stage(seed, cells, spreading.arms, f"method {method}"):
            fold = f"seed {seed.number}, method {method}" if i else ""
            found.append((f"decisions-{method}-{seed.number}", fold, made))
    return found


def share_right(grid: DecisionGrid) -> str:
    """How many of a map's points are right, in per cent."""
    return wording.percent(float((grid.said == grid.right).mean()))


def panel(axis: Any, grid: DecisionGrid, index: int) -> None:
    """One word: regions in their choices' colours, paler where unsure, and the right border."""
    from matplotlib.patches import PathPatch

    shade = colours(grid.choices)
    said, sure = grid.said[index], grid.probability[index] >= _SURE
    edges_x, edges_y = edges(grid.x1), edges(grid.x2)
    for k, choice in enumerate(grid.choices):
        for mask, colour in ((sure, shade[choice]), (~sure, palette.paler(shade[choice], _PALE))):
            if (path := rectangles((said == k) & mask, edges_x, edges_y)) is not None:
                axis.add_patch(PathPatch(path, fc=colour, ec=colour, lw=0.4))
    if (path := rectangles(said != grid.right[index], edges_x, edges_y)) is not None:
        axis.add_patch(PathPatch(path, fc="none", ec=_LIGHT, lw=0, hatch="////", alpha=0.7))
    for k in np.unique(grid.right[index]):
        mask = (grid.right[index] == k).astype(float)
        if 0 < mask.mean() < 1:
            for colour, width in ((_LIGHT, 2.6), (_DARK, 1.1)):
                axis.contour(grid.x1, grid.x2, mask, levels=[0.5], colors=[colour],
                             linewidths=[width])  # fmt: skip
    short = letters(grid.choices)
    for k, (row, column) in middles(said, _NAMED_FROM):
        axis.text(grid.x1[column], grid.x2[row], short[grid.choices[k]], ha="center",
                  va="center", fontsize=8.5, weight="bold",
                  color=_on(shade[grid.choices[k]]))  # fmt: skip
    axis.set(xlim=(edges_x[0], edges_x[-1]), ylim=(edges_y[0], edges_y[-1]))
    axis.set_aspect("equal")
    axis.tick_params(labelsize=7.5, length=2, pad=1.5)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)


def legend(axis: Any, choices: Sequence[str]) -> None:
    """Right of a panel: colour and letter of every choice, and the line of the right border."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shade, short = colours(choices), letters(choices)
    handles = [Patch(color=shade[c], label=f"{short[c]}  {c.strip()}") for c in choices]
    handles.append(Patch(fc=palette.MUTED, ec=_LIGHT, lw=0, hatch="////", label="not right"))
    handles.append(Line2D([], [], color=palette.INK, lw=1.1, label="right border"))
    axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=8.5,
                handlelength=1.3, labelcolor=palette.INK)  # fmt: skip


def _named_axes(figure: Any, axes: Any, last: int) -> None:
    axes[last, 0].set(xlabel="x1", ylabel="x2")
    for axis in axes.flat:
        axis.xaxis.label.set_size(8)
        axis.yaxis.label.set_size(8)


def _title(axis: Any, grid: DecisionGrid, index: int, whole: bool = True, head: str = "") -> None:
    """Word and share of right points; with `whole` what the word is, over it a column's `head`."""
    about, right = grid.about[index], grid.said[index] == grid.right[index]
    more = [about[key] for key in ("category", "group", "split") if key in about]
    lines = [f"{grid.panels[index]} · {wording.percent(float(right.mean()))}"]
    if whole and more:
        lines.append(", ".join(dict.fromkeys(more)))
    axis.set_title("\n".join(lines), fontsize=8.5)
    if head:
        axis.annotate(head, (0, 1), (0, 28), xycoords="axes fraction", fontsize=10,
                      textcoords="offset points", weight="bold")  # fmt: skip


def _on(colour: str) -> str:
    return {palette.PAPER: _LIGHT, palette.INK: _DARK}[palette.readable_on(colour)]


def _note(grid: DecisionGrid) -> str:
    across = f"{len(grid.x1)} × {len(grid.x2)} points a panel"
    return (
        f"{across}; colour and letter: the likeliest of {len(grid.choices)} choices, paler where "
        f"its probability is below {_SURE:g}. Lines: where the right answer changes. Per cent: "
        "points answered rightly; the others are hatched."
    )
