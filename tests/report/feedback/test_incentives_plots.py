"""Figures of feedback are drawn from the rows, with the known policies in every panel."""

from pathlib import Path

from seedbed.report import incentives_plots
from seedbed.report.figures import Plan, render
from seedbed.report.incentives import KNOWN
from seedbed.report.reader import Run


def drawn(run: Path, name: str) -> str:
    """A figure as SVG, whose texts are letters."""
    made = {n: Plan(n, *m, folded) for n, folded, m in incentives_plots.figures(Run(run))}
    return render(made[name])[0]


def test_every_part_has_its_figure(fed: Path) -> None:
    names = [name for name, _, _ in incentives_plots.figures(Run(fed))]
    assert names == [
        "incentives-harm", "incentives-harm-conditions", "incentives-targeting",
        "incentives-goodhart", "incentives-form", "incentives-veto", "incentives-matrix",
        "incentives-third", "incentives-probes-choice",
    ]  # fmt: skip


def test_harm_is_drawn_beside_controls_and_known_policies(fed: Path) -> None:
    svg = drawn(fed, "incentives-harm")
    for name in ("expert-iteration", "kto", "random", "shuffled", *KNOWN.values(),
                 "expert iteration on tables"):  # fmt: skip
        assert name in svg


def test_targeting_is_drawn_below_its_bound(fed: Path) -> None:
    svg = drawn(fed, "incentives-targeting")
    for name in ("bound: total variation", "50 % gameable", *KNOWN.values()):
        assert name in svg


def test_no_figure_without_feedback(made: Path) -> None:
    assert incentives_plots.figures(Run(made)) == []
