"""Methods of a second stage against the first: sentences, and a figure of two untrained groups.

What keeps the new rule from where it is not wanted may keep it from where it is.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from seedbed.core.spread import NEW, Contrast, Share, Spreading
from seedbed.report import palette, wording
from seedbed.report.labels import place
from seedbed.report.reader import Run
from seedbed.report.spread import between_methods, group_words, open_
from seedbed.report.spread_plots import who
from seedbed.report.spread_words import valued

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
_NAMED = 3


def findings(found: Spreading | None) -> list[str]:
    """For each method under each arm: the groups whose share of the new rule it changes."""
    if found is None:
        return []
    told = between_methods(found)
    lines = []
    for arm, method, other in dict.fromkeys((c.arm, c.method, c.other_method) for c in told):
        mine = [c for c in told if (c.arm, c.method, c.other_method) == (arm, method, other)]
        lines.append(f"{method} against {other} under {arm}: {_changed(found, mine, other)}.")
    return lines


def _changed(found: Spreading, told: Sequence[Contrast], other: str) -> str:
    """The groups whose difference is not open, largest first."""
    if all(c.value is None for c in told):
        return "no seed fitted under both"
    moved = _largest_first(told)
    if not moved:
        return f"cannot be told apart from {other} in any group"
    said = [f"{valued(c)} in {_group(found, c.group)}" for c in moved[:_NAMED]]
    more = len(moved) - _NAMED
    rest = f"; {wording.plural(more, 'other group')} too" if more > 0 else ""
    return f"share of the new rule {', '.join(said)}{rest}"


def _largest_first(told: Sequence[Contrast]) -> list[Contrast]:
    moved = [c for c in told if c.value is not None and not open_(c)]
    return sorted(moved, key=lambda c: -abs(c.value or 0.0))


def _group(found: Spreading, group: str) -> str:
    return f"{group} (taught {found.trained[group]})" if group in found.trained else group


def headline(found: Spreading | None) -> str:
    """Where methods alone differ: the largest change in an untrained group; "" with two arms."""
    if found is None or len(found.arms) > 1:
        return ""
    told = [c for c in between_methods(found) if c.group not in found.trained]
    if not told:
        return ""
    many = wording.plural(len({c.method for c in told}), "method")
    first, moved = told[0].other_method, _largest_first(told)
    if not moved:
        return f"Of {many} compared with {first} none can be told apart from it in what spread."
    most = moved[0]
    # A method under which little was learned spreads little, which is no merit.
    own = [c for c in between_methods(found)
           if c.method == most.method and found.trained.get(c.group) == NEW]  # fmt: skip
    learned = "".join(f", {valued(c)} in {c.group}, which was taught it" for c in own)
    return (
        f"Of {many} compared with {first}, {most.method} changes most what spread: share of the "
        f"new rule {valued(most)} in {most.group}{learned}."
    )


def axes_of(found: Spreading) -> tuple[str, str] | None:
    """The two groups to hold against each other: the first compared pair, best both untrained."""
    pairs = list(dict.fromkeys(
        (c.group, c.other_group) for c in found.contrasts if c.group != c.other_group
    ))  # fmt: skip
    free = [p for p in pairs if not set(p) & set(found.trained)]
    return next(iter([*free, *pairs]), None)


def figures(run: Run) -> list[tuple[str, bool, Made]]:
    """(file name, whether it is folded on the page, figure), one an arm; the first is open.

    Only arms under which two methods have both groups.
    """
    found = run.spreading
    pair = axes_of(found) if found is not None else None
    if found is None or pair is None:
        return []
    made: list[tuple[str, bool, Made]] = []
    for arm in found.arms:
        points = _points(found, arm, pair)
        if len(points) > 1:
            name = "trade-off" if len(found.arms) == 1 else f"trade-off-{arm}"
            made.append((name, bool(made), _figure(found, arm, pair, points)))
    return made


def _points(found: Spreading, arm: str, pair: tuple[str, str]) -> dict[str, tuple[Share, Share]]:
    """Method → its shares of the new rule in the two groups; only methods that have both."""
    rows = {(r.method, r.group): r for r in found.shares
            if (r.arm, r.outcome) == (arm, NEW) and r.value is not None}  # fmt: skip
    first, second = pair
    return {m: (rows[m, first], rows[m, second]) for m in found.methods
            if (m, first) in rows and (m, second) in rows}  # fmt: skip


def _figure(
    found: Spreading, arm: str, pair: tuple[str, str], points: dict[str, tuple[Share, Share]]
) -> Made:
    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05),
                 xlabel=f"Share of the new rule in {pair[0]}",
                 ylabel=f"Share of the new rule in {pair[1]}")  # fmt: skip
        axis.grid()
        axis.plot([0, 1], [0, 1], color=palette.MUTED, lw=0.9, ls=(0, (4, 3)))
        places, bars = [], []
        for i, (x, y) in enumerate(points.values()):
            at = (x.value or 0.0, y.value or 0.0)
            colour = palette.SERIES[i % 7]
            ends = []
            if x.low is not None and x.high is not None:
                ends.append(((x.low, at[1]), (x.high, at[1])))
            if y.low is not None and y.high is not None:
                ends.append(((at[0], y.low), (at[0], y.high)))
            for (x0, y0), (x1, y1) in ends:
                axis.plot([x0, x1], [y0, y1], color=colour, lw=1.1, alpha=0.8)
            axis.plot(*at, color=colour, ms=6, ls="none",
                      marker=palette.MARKERS[(i + i // 7) % 7])  # fmt: skip
            places.append(at)
            bars += ends
        # In short pieces, so that names keep clear of the diagonal and not of the box around it.
        steps = [i / 40 for i in range(41)]
        diagonal = [((s, s), (e, e)) for s, e in pairwise(steps)]
        place(axis, list(points), places, bars=[*bars, *diagonal])

    seeds = wording.plural(len({f.seed for f in found.fits}), "seed")
    groups = "; ".join(f"{g}: {words}" for g in pair if (words := group_words(found, g)))
    note = (
        f"One point a method; {seeds}; {who(found)}. Bars: 95 % intervals over seeds and words. "
        f"Broken line: as often in both groups.{' ' if groups else ''}{groups}"
    )
    return _title(arm, pair, points), f"{note.rstrip('.')}.", (9.2, 5.2), draw


def _title(arm: str, pair: tuple[str, str], points: dict[str, tuple[Share, Share]]) -> str:
    """How far methods lie apart in each of the two groups."""
    spans = []
    for side, group in enumerate(pair):
        by = sorted(points, key=lambda m: points[m][side].value or 0.0)
        low, high = (wording.percent(points[m][side].value) for m in (by[0], by[-1]))
        span = low if low == high else f"{low} ({by[0]}) to {high} ({by[-1]})"
        spans.append(f"in {group} {span}")
    return f"The new rule's share across methods under {arm}: {', '.join(spans)}."
