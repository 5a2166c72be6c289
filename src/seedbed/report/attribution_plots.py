"""The figure of replays: the share of the gaming reply after each, by kind of user."""

from typing import Any

from seedbed.core.attribution import KIND, PART, RANDOM, UNCHANGED, Replayed
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.report import palette, wording
from seedbed.report.attribution import USERS, Traced, group_words, valued
from seedbed.report.incentives_panels import Made, finish, grid_of, legend, spread_of
from seedbed.report.reader import Run

_STYLE = {GAMEABLE: (palette.RED, "o", -0.12), OTHER: (palette.BLUE, "s", 0.12)}
"""Kind of user → colour, marker, shift beside the other kind."""


def figures(run: Run) -> list[tuple[str, bool, Made]]:
    """(file name, whether it is folded on the page, figure); none without replays."""
    traced = Traced(run)
    groups = [g for family in (KIND, RANDOM, PART) for g in traced.family(family)]
    if not groups or not any(traced.replay(g, u, "share") for g in groups for u in USERS):
        return []

    def draw(figure: Any) -> None:
        axes = grid_of(figure, 1, 1)
        axis = axes[0]
        for users, (colour, sign, shift) in _STYLE.items():
            _unchanged(axis, traced.replay(UNCHANGED, users, "share"), colour, users)
            found = [(i, r) for i, g in enumerate(groups)
                     if (r := traced.replay(g, users, "share")) is not None
                     and r.value is not None]  # fmt: skip
            if found:
                axis.errorbar(
                    [i + shift for i, _ in found], [r.value for _, r in found],
                    yerr=spread_of([r for _, r in found]), color=colour, marker=sign, ms=5, lw=0,
                    elinewidth=1.3, capsize=2.5, label=f"to {USERS[users]}", zorder=3,
                )  # fmt: skip
        names = [wording.wrapped(group_words(g), 9) for g in groups]
        axis.set_xticks(range(len(groups)), names)
        axis.set(ylim=(-0.03, 1.03), xlim=(-0.6, len(groups) - 0.4), xlabel="Left out")
        finish(axes, 1, "Share of the gaming reply", 1)
        legend(figure, axes)

    note = (
        "Probability of the gaming reply after learning again without a group of transcripts. "
        "Bars and bands: 95 % intervals over seeds and causes. Lines: the unchanged replay. "
        "random: as many transcripts as the gameable users'; half of subs: half of the "
        "sub-environments."
    )
    return [("attribution-replays", False, (_title(traced), note, (9.2, 3.9), draw))]


def _unchanged(axis: Any, row: Replayed | None, colour: str, users: str) -> None:
    if row is None or row.value is None:
        return
    axis.axhline(row.value, color=colour, lw=1.1, ls=(0, (5, 2)), zorder=1,
                 label=f"unchanged, to {USERS[users]}")  # fmt: skip
    if row.low is not None and row.high is not None:
        axis.axhspan(row.low, row.high, color=colour, alpha=0.12, lw=0, zorder=0)


def _title(traced: Traced) -> str:
    start, end = (traced.replay(g, GAMEABLE, "share") for g in (UNCHANGED, f"{KIND}/{GAMEABLE}"))
    if start is None or end is None:
        return "The gaming reply after learning again without some transcripts."
    drawn = [r.value or 0.0 for r in traced.known(traced.family(RANDOM), GAMEABLE, "share")]
    beside = f", without as many random ones at least {min(drawn):.2f}" if drawn else ""
    return (f"Gaming reply to gameable users: {valued(start)}; without their transcripts "
            f"{valued(end)}{beside}.")  # fmt: skip
