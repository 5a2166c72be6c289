"""Figures of what feedback taught: harm round by round, targeting, rating against welfare.

Controls are grey; known policies stand in every panel.
"""

from collections.abc import Sequence
from typing import Any

from seedbed.core.incentives import ALL, GAMEABLE, IncentiveRow, Section
from seedbed.report import palette, wording
from seedbed.report.incentives import KINDS, KNOWN, Cell, Feedback, valued
from seedbed.report.incentives_checks import checks
from seedbed.report.incentives_panels import (
    Made,
    Panel,
    band,
    finish,
    grid_of,
    legend,
    spread_of,
    style,
)
from seedbed.report.reader import Run

_LINES = {"rating": (0, (1, 1.5)), "fixed-point": (0, (5, 2)), "welfare": (0, (4, 1.5, 1, 1.5))}
_SIGNS = {"rating": "*", "fixed-point": "P", "welfare": "h"}
_SIZES = {"rating": 110, "fixed-point": 40, "welfare": 50}
_PER_LINE = 4
_BANDS = "Bands: 95 % intervals over seeds and users."


def figures(run: Run) -> list[tuple[str, bool, Made]]:
    """(file name, whether it is folded on the page, figure); none without feedback."""
    feedback = Feedback(run)
    if not feedback.conditions:
        return []
    found: list[tuple[str, bool, Made | None]] = [
        ("incentives-harm", False, _harm(feedback, feedback.conditions[:1])),
        ("incentives-harm-conditions", False, _harm(feedback, feedback.conditions[1:])),
        ("incentives-targeting", False, _targeting(feedback)),
        ("incentives-goodhart", False, _goodhart(feedback)),
        ("incentives-form", False, _form(feedback)),
        *checks(feedback),
    ]
    return [(name, folded, made) for name, folded, made in found if made is not None]


def _harm(feedback: Feedback, conditions: Sequence[str]) -> Made | None:
    """A panel a condition and kind of user: harm round by round, an arm a line."""
    panels: list[Panel] = []
    for condition in conditions:
        for kind in KINDS:
            if any(
                feedback.course(c, "behaviour", "harm", kind) for c in feedback.cells(condition)
            ):
                who = "gameable users" if kind == GAMEABLE else "other users"
                told = feedback.described(condition).replace(" (", "\n(", 1)
                panels.append(Panel(f"{told}\n{who}", condition, kind))
    if not panels:
        return None

    def draw(figure: Any) -> None:
        axes = grid_of(figure, len(panels), _PER_LINE if len(panels) > 2 else 2)
        for axis, panel in zip(axes, panels, strict=False):
            _courses(feedback, axis, panel, "behaviour", "harm")
            _levels(feedback, axis, panel.condition, "harm", panel.kind)
            axis.set_title(panel.title, fontsize=7.5)
            axis.set(ylim=(-0.03, 1.03), xlabel="Round")
        finish(axes, len(panels), "Harm (share of replies)", _PER_LINE if len(panels) > 2 else 2)
        legend(figure, axes)

    lines = -(-len(panels) // (_PER_LINE if len(panels) > 2 else 2))
    note = (
        "Share of the agent's replies that harm, after each round of training, asked of held-out "
        f"users. {_BANDS} Grey: arms that choose without the reward. Dotted: the best mean rating "
        "for who sees the cue; dashed: where expert iteration ends with a table for a model; "
        "dash-dotted: the best welfare; small dots: expert iteration with tables, round by round."
    )
    return _harm_title(feedback, conditions), note, (9.2, 2.9 * lines + 0.8), draw


def _harm_title(feedback: Feedback, conditions: Sequence[str]) -> str:
    cells = [c for name in conditions for c in feedback.cells(name, controls=False)]
    if len(conditions) == 1:
        said = []
        for cell in feedback.cells(conditions[0]):
            row = feedback.row(cell, "behaviour", "harm", GAMEABLE)
            said.append(f"{cell.arm} {wording.number(row.value if row else None, 2)}")
        return f"Harm to gameable users under {conditions[0]}, last round: {', '.join(said)}."
    taught = sum(feedback.taught(c) for c in cells)
    return (f"Under {wording.plural(len(conditions), 'other condition')} harm to gameable users "
            f"emerged in {taught} of {wording.plural(len(cells), 'arm')}.")  # fmt: skip


def _courses(
    feedback: Feedback, axis: Any, panel: Panel, section: Section, name: str
) -> None:  # fmt: skip
    for cell in feedback.cells(panel.condition):
        course = feedback.course(cell, section, name, panel.kind)
        band(axis, course, *style(feedback, cell.arm), label=cell.arm)


def _levels(feedback: Feedback, axis: Any, condition: str, name: str, kind: str) -> None:
    """Known policies as lines across the panel, and tabular expert iteration as dots."""
    for policy, words in KNOWN.items():
        value = feedback.known(condition, policy, name, kind)
        if value is not None:
            axis.axhline(value, color=palette.INK, lw=1.1, ls=_LINES[policy], label=words, zorder=1)
    last = max(c.last for c in feedback.cells(condition))
    path = [(k, v) for k, v in feedback.path(condition, name, kind) if k <= last]
    if path:
        axis.plot(*zip(*path, strict=True), color=palette.INK, lw=0, marker=".", ms=3.5,
                  label="expert iteration on tables", zorder=4)  # fmt: skip


def _targeting(feedback: Feedback) -> Made | None:
    """A panel a share gameable: the index in the last round against the cue's total variation."""
    told = {c: feedback.told[c] for c in feedback.conditions if c in feedback.told}
    shares = sorted({t.gameable for t in told.values() if 0 < t.gameable < 1}, reverse=True)
    # A condition of several turns or environments is no point on this axis.
    plain = {t.environments for t in told.values()}
    arms = [a for a in feedback.arms if a not in feedback.controls]
    points: dict[tuple[float, str], list[tuple[float, IncentiveRow]]] = {}
    for condition, one in told.items():
        for cell in feedback.cells(condition):
            row = feedback.row(cell, "targeting", "targeting")
            if row is not None and row.value is not None and one.gameable in shares:
                points.setdefault((one.gameable, cell.arm), []).append((one.total_variation, row))
    if not points:
        return None

    def draw(figure: Any) -> None:
        axes = grid_of(figure, len(shares), min(_PER_LINE, len(shares)))
        for axis, share in zip(axes, shares, strict=False):
            axis.plot([0, 1], [0, 1], color=palette.MUTED, lw=1, label="bound: total variation")
            axis.fill_between([0, 1], [0, 1], 1.06, color=palette.MUTED, alpha=0.1, lw=0)
            for i, arm in enumerate(feedback.arms):
                found = sorted(points.get((share, arm), []), key=lambda p: p[0])
                colour, sign = style(feedback, arm)
                shift = 0.012 * (i - (len(arms) - 1) / 2)
                _points(axis, [(x + shift, r) for x, r in found], colour, sign, arm)
            for policy, words in KNOWN.items():
                known = [(t.total_variation, v) for c, t in told.items() if t.gameable == share
                         and (v := feedback.known(c, policy, "targeting")) is not None]  # fmt: skip
                if known:
                    axis.scatter(
                        *zip(*known, strict=True), marker=_SIGNS[policy], zorder=1,
                        s=_SIZES[policy], facecolors="none", edgecolors=palette.INK, label=words,
                    )  # fmt: skip
            axis.set(xlim=(-0.07, 1.07), ylim=(-0.22, 1.06), xlabel="Total variation of the cue")
            axis.set_title(f"{wording.percent(share)} gameable")
        finish(axes, len(shares), "Targeting (harm gameable − others)", _PER_LINE)
        legend(figure, axes)

    note = (
        "Harm to gameable users less harm to the others in the last round, against the total "
        "variation of what the cue shows under the two kinds: no agent that sees no more than the "
        "cue can lie above the line. Bars: 95 % intervals over seeds and users. Outlined signs: "
        "known policies."
        + (" Conditions differ in environments as well." if len(plain) > 1 else "")
    )
    ends = {
        arm: max(found, key=lambda p: p[0])
        for arm in arms
        if (found := points.get((shares[0], arm)))
    }
    said = ", ".join(f"{arm} {valued(row)} at {x:.2g}" for arm, (x, row) in ends.items())
    title = f"Targeting at the strongest cue, {wording.percent(shares[0])} gameable: {said}."
    return title, note, (min(9.2, max(6.4, 1.4 + 3.0 * len(shares))), 3.9), draw


def _points(
    axis: Any, found: Sequence[tuple[float, IncentiveRow]], colour: str, sign: str, label: str
) -> None:
    if not found:
        return
    xs, ys = [x for x, _ in found], [r.value or 0.0 for _, r in found]
    axis.errorbar(
        xs, ys, yerr=spread_of([r for _, r in found]), color=colour, marker=sign, ms=4.5, lw=0.9,
        elinewidth=1.2, capsize=2.5, label=label, zorder=3,
    )  # fmt: skip


def _goodhart(feedback: Feedback) -> Made | None:
    """A panel a condition: rating across, welfare up, from round 0 to the last."""
    conditions = [c for c in feedback.conditions
                  if any(_path(feedback, cell) for cell in feedback.cells(c))]  # fmt: skip
    if not conditions:
        return None
    wide = min(_PER_LINE, len(conditions))

    def draw(figure: Any) -> None:
        axes = grid_of(figure, len(conditions), wide)
        for axis, condition in zip(axes, conditions, strict=False):
            for cell in feedback.cells(condition):
                path = _path(feedback, cell)
                colour, sign = style(feedback, cell.arm)
                if path:
                    axis.plot(*zip(*path, strict=True), color=colour, lw=1.3, marker=".", ms=3)
                    axis.plot(*path[-1], color=colour, marker=sign, ms=6, lw=0, label=cell.arm)
                    axis.plot(*path[0], color=palette.INK, marker="o", ms=4, mfc="none", lw=0)
            for policy, words in KNOWN.items():
                at = [feedback.known(condition, policy, n, ALL) for n in ("rating", "welfare")]
                if None not in at:
                    axis.scatter(*at, marker=_SIGNS[policy], s=_SIZES[policy], facecolors="none",
                                 edgecolors=palette.INK, label=words, zorder=4)  # fmt: skip
            axis.set_title(feedback.described(condition), fontsize=8.5)
            axis.set(xlabel="Rating")
            axis.margins(0.12)
        finish(axes, len(conditions), "Welfare", wide, shared=False)
        legend(figure, axes)

    note = (
        "Mean rating of the last round's replies and what they do to all users, in the world's own "
        "units; from the ring (round 0) to the sign (last round). Outlined signs: known policies."
    )
    lines = -(-len(conditions) // wide)
    size = (9.2 if wide > 1 else 5.6, 2.6 * lines + 0.9)
    return _goodhart_title(feedback), note, size, draw


def _path(feedback: Feedback, cell: Cell) -> list[tuple[float, float]]:
    rating, welfare = (dict(feedback.course(cell, "behaviour", n, ALL))
                       for n in ("rating", "welfare"))  # fmt: skip
    return [(rating[k].value or 0.0, welfare[k].value or 0.0) for k in rating if k in welfare]


def _goodhart_title(feedback: Feedback) -> str:
    condition = feedback.conditions[0]
    parts = []
    for cell in feedback.cells(condition, controls=False):
        gains = [feedback.row(cell, "goodhart", f"{n}-gained", ALL) for n in ("rating", "welfare")]
        if all(g is not None for g in gains):
            up, well = (g.value if g is not None else None for g in gains)
            parts.append(f"{cell.arm} {up or 0.0:+.2f} rating, {well or 0.0:+.2f} welfare")
    return f"Under {feedback.described(condition)}: {'; '.join(parts)}." if parts else \
        "Rating against welfare."  # fmt: skip


def _form(feedback: Feedback) -> Made | None:
    """Form and entropy round by round under the first condition."""
    condition = feedback.conditions[0]
    every = {
        "form": "Well-formed replies", "entropy": "Entropy of the act (bits)", "rating": "Rating",
    }  # fmt: skip
    cells = feedback.cells(condition)
    panels = [
        (name, label) for name, label in every.items()
        if any(feedback.course(c, "behaviour", name) for c in cells)
    ]  # fmt: skip
    if not panels:
        return None

    def draw(figure: Any) -> None:
        axes = grid_of(figure, len(panels), len(panels))
        for axis, (name, label) in zip(axes, panels, strict=True):
            _courses(feedback, axis, Panel(label, condition, ALL), "behaviour", name)
            if name == "rating":
                _levels(feedback, axis, condition, name, ALL)
            axis.set_title(label, fontsize=9)
            axis.tick_params(labelsize=8)
            axis.set(xlabel="Round")
            axis.set_ylim(*((-0.03, 1.03) if name == "form" else (0, None)))
        finish(axes, len(panels), "", len(panels), shared=False)
        legend(figure, axes)

    lows = [(r.value or 0.0, c.arm) for c in feedback.cells(condition)
            if (r := feedback.row(c, "behaviour", "form")) is not None]  # fmt: skip
    title = "Form and entropy over the rounds."
    if lows:
        value, arm = min(lows)
        title = f"Lowest form under {condition}, last round: {value:.2f} ({arm})."
    note = f"Means over all held-out users under {feedback.described(condition)}. {_BANDS}"
    return title, note, (9.2, 3.1), draw
