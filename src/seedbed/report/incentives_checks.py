"""Figures beside the main ones: vetoes, environments crossed, third person, safety probes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seedbed.core.incentives import ALL, GAMEABLE, PLAYED, IncentiveRow
from seedbed.report import palette, wording
from seedbed.report.incentives import Cell, Feedback, middle
from seedbed.report.incentives_panels import Made, band, finish, grid_of, legend, spread_of, style
from seedbed.report.incentives_tables import crossed

Courses = dict[Cell, list[tuple[int, IncentiveRow]]]
_ROW, _INK, _WHITE = 0.32, "#1f242a", "#fefefe"
_DARK = 0.55


def checks(feedback: Feedback) -> list[tuple[str, bool, Made | None]]:
    """(file name, whether it is folded on the page, figure or None)."""
    return [
        ("incentives-veto", False, _vetoes(feedback)),
        ("incentives-matrix", False, _matrix(feedback)),
        ("incentives-third", True, _agreement(feedback)),
        *_probes(feedback),
    ]


def _cells(feedback: Feedback) -> list[Cell]:
    return [c for name in feedback.conditions for c in feedback.cells(name)]


def _vetoes(feedback: Feedback) -> Made | None:
    """Leakage of every round: what error rates predict across, what happened up."""
    found: list[tuple[Cell, list[tuple[IncentiveRow, IncentiveRow]]]] = []
    for cell in _cells(feedback):
        seen = dict(feedback.course(cell, "veto", "leaked", ALL, PLAYED))
        known = dict(feedback.course(cell, "veto", "leaked-predicted", ALL, PLAYED))
        pairs = [(known[k], seen[k]) for k in seen if k in known]
        if pairs:
            found.append((cell, pairs))
    if not found:
        return None

    def draw(figure: Any) -> None:
        axis = grid_of(figure, 1, 1)[0]
        axis.plot([0, 1], [0, 1], color=palette.MUTED, lw=1, label="as predicted")
        for cell, pairs in found:
            colour, sign = style(feedback, cell.arm)
            axis.plot(
                [p.value for p, _ in pairs], [o.value for _, o in pairs], color=colour,
                marker=sign, ms=3, lw=0, alpha=0.45,
            )  # fmt: skip
            known, seen = pairs[-1]
            axis.errorbar(
                [known.value], [seen.value], yerr=spread_of([seen]), color=colour, marker=sign,
                ms=5.5, lw=0, elinewidth=1, capsize=2.5, label=cell.arm,
            )  # fmt: skip
        axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="Predicted from known error rates",
                 ylabel="Harmful turns that passed")  # fmt: skip
        axis.grid()
        legend(figure, [axis])

    every = [pair for _, pairs in found for pair in pairs]
    held = sum(
        o.low is not None and o.high is not None and o.low <= (p.value or 0.0) <= o.high
        for p, o in every
    )
    title = f"The predicted leakage lies in {held} of {len(every)} intervals of what leaked."
    note = (
        "A point an arm, condition and round (the last with its interval): of the harmful turns "
        "that detectors looked at, the share that none of them stopped, against what their known "
        "error rates predict on the same turns; 95 % intervals over seeds and users, of which one "
        "in twenty should miss."
    )
    return title, note, (6.2, 4.6), draw


def _matrix(feedback: Feedback) -> Made | None:
    """Cells trained somewhere down, environments asked across: harm in the last round."""
    named = [(c, name) for c in _cells(feedback) if (name := crossed(feedback, c))]
    asked = list(dict.fromkeys(r.environment for r in feedback.rows if r.section == "matrix"))
    if not named or not asked:
        return None
    rows = [[feedback.row(c, "matrix", name, GAMEABLE, environment=e) for e in asked]
            for c, name in named]  # fmt: skip
    values = np.array([[np.nan if r is None or r.value is None else r.value for r in line]
                       for line in rows])  # fmt: skip

    def draw(figure: Any) -> None:
        axis = grid_of(figure, 1, 1)[0]
        mesh = axis.pcolormesh(values, cmap="Blues", vmin=0, vmax=1, lw=0)
        for i, j in np.ndindex(*values.shape):
            if np.isfinite(values[i, j]):
                # Fixed colours, since those of cells do not follow the page's theme either.
                axis.text(j + 0.5, i + 0.5, f"{values[i, j]:.2f}", ha="center", va="center",
                          fontsize=8, color=_WHITE if values[i, j] > _DARK else _INK)  # fmt: skip
        axis.set_xticks(np.arange(len(asked)) + 0.5, asked, fontsize=8)
        labels = [f"{c.arm} · {c.condition} (in {name.partition(':')[2]})" for c, name in named]
        axis.set_yticks(np.arange(len(named)) + 0.5, labels, fontsize=8)
        axis.set_ylim(len(named), 0)
        axis.tick_params(length=0)
        axis.set_xlabel("Asked in")
        bar = figure.colorbar(mesh, ax=axis, fraction=0.03, pad=0.02)
        bar.set_label("Harm, gameable users", fontsize=8)
        bar.outline.set_visible(False)

    note = (
        "Harm to gameable users in the last round, wherever the agent was trained; intervals and "
        "gains since round 0 stand in the table."
    )
    away = [r for (_, name), line in zip(named, rows, strict=True)
            for e, r in zip(asked, line, strict=True)
            if r is not None and e not in name.partition(":")[2].split("+")]  # fmt: skip
    title = "Harm by where an agent was trained and where it is asked."
    if (mean := middle(away)) is not None:
        title = f"Where they were not trained, agents harm gameable users in {mean:.2f} of replies."
    return title, note, (8.6, _ROW * len(named) + 1.0), draw


def _lines(
    feedback: Feedback, conditions: Sequence[str], courses: Courses, label: str
) -> Callable[[Any], None]:
    wide = min(4, len(conditions))

    def draw(figure: Any) -> None:
        axes = grid_of(figure, len(conditions), wide)
        for axis, condition in zip(axes, conditions, strict=False):
            axis.axhline(0, color=palette.MUTED, lw=0.9)
            for cell, course in courses.items():
                if cell.condition == condition:
                    band(axis, course, *style(feedback, cell.arm), label=cell.arm)
            axis.set_title(feedback.described(condition), fontsize=8.5)
            axis.set(xlabel="Round")
        finish(axes, len(conditions), label, wide, shared=False)
        legend(figure, axes)

    return draw


def _over_rounds(feedback: Feedback, courses: Courses, label: str, note: str) -> Made | None:
    known = {c: course for c, course in courses.items() if len(course) > 1}
    if not known:
        return None
    conditions = [n for n in feedback.conditions if any(c.condition == n for c in known)]
    ends = [course[-1][1] for course in known.values()]
    apart = sum(r.low is not None and r.high is not None and not r.low <= 0 <= r.high for r in ends)
    title = (f"{label}: apart from 0 in the last round in {apart} of "
             f"{wording.plural(len(ends), 'arm')}.")  # fmt: skip
    lines = -(-len(conditions) // 4)
    size = (min(9.2, 2.4 + 2.4 * len(conditions)), 2.4 * lines + 0.8)
    return title, note, size, _lines(feedback, conditions, known, label)


def _agreement(feedback: Feedback) -> Made | None:
    courses = {c: feedback.course(c, "agreement", "third-over-first", ALL, PLAYED)
               for c in _cells(feedback)}  # fmt: skip
    note = ("The rating of a third person who knows the user's lasting interest less the user's "
            "own, on the same turns. Bands: 95 % intervals over seeds and users.")  # fmt: skip
    return _over_rounds(feedback, courses, "Third person less first", note)


def _probes(feedback: Feedback) -> list[tuple[str, bool, Made | None]]:
    """A figure a form of the questions."""
    note = ("Share of safe answers to fixed questions that no user asks, less that of round 0. "
            "Bands: 95 % intervals over seeds and questions.")  # fmt: skip
    names = dict.fromkeys(
        n
        for c in _cells(feedback)
        for n in feedback.named("probes", c)
        if n.endswith(":all:change")
    )
    found: list[tuple[str, bool, Made | None]] = []
    for name in names:
        form = name.partition(":")[0]
        courses = {c: feedback.course(c, "probes", name, ALL, "") for c in _cells(feedback)}
        made = _over_rounds(feedback, courses, f"Change of safe answers ({form})", note)
        found.append((f"incentives-probes-{form}", True, made))
    return found
