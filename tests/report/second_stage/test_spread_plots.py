"""The figure of a second stage draws every share."""

from typing import Any

import numpy as np

from seedbed.report.figures import Plan, render
from seedbed.report.reader import Run
from seedbed.report.spread_plots import figures

ARMS = ("no-proxy", "one-proxy", "five-proxies")
GROUPS = ("taught", "proxy", "relatives", "others")


def test_the_figure_draws_every_share(staged: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = figures(Run(staged.path))
    assert [(name, folded) for name, folded, _ in found] == [
        ("spread-plain", False), ("spread-kl", True)
    ]  # fmt: skip
    made = found[0][2]
    figure = Figure(figsize=made[2])
    FigureCanvasAgg(figure)
    made[3](figure)
    for axis, outcome in zip(figure.axes, ("new", "old", "neither"), strict=True):
        drawn = {round(float(y), 6) for line in axis.lines if line.get_marker() != "None"
                 for y in np.asarray(line.get_ydata())}  # fmt: skip
        for group in GROUPS:
            for arm in ARMS:
                assert round(staged.share(arm, "plain", group, outcome), 6) in drawn
    svg = render(Plan("spread", *made))[0]
    for name in (*GROUPS, "before", *ARMS):
        assert f">{name}<" in svg
    free = [staged.share("five-proxies", "plain", g, "new") for g in ("relatives", "others")]
    assert f"{100 * min(free):.0f} % (relatives) to {100 * max(free):.0f} % (others)" in made[0]
