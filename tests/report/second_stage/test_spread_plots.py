"""The figure of a second stage draws every share."""

import shutil
from pathlib import Path
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


def test_titles_name_the_arms_that_fitted(staged: Any, tmp_path: Path, edit: Any) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")

    def only_the_middle(value: Any) -> Any:
        for row in value["shares"]:
            if row["arm"] != "one-proxy":
                row |= {"value": None, "low": None, "high": None, "before": None, "seeds": 0}
            elif row["group"] == "others":
                row |= {"low": None, "high": None}
        for row in value["fits"]:
            row |= {"needed": 0.0}
        return value

    edit(path / "spread.json", only_the_middle)
    title, note, *_ = figures(Run(path))[0][2]
    assert title.startswith("The new rule in groups that were not trained, method plain: under one")
    assert "no-proxy" not in title
    assert "no share was asked for: all subjects, whether or not they learned" in note
    assert render(Plan("spread", *figures(Run(path))[0][2]))[0].count(">others<") == 1


def test_without_untrained_groups_the_title_still_ends(
    staged: Any, tmp_path: Path, edit: Any
) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")
    edit(path / "spread.json", lambda value: {**value, "trained": dict.fromkeys(GROUPS, "new")})
    title = figures(Run(path))[0][2][0]
    assert title == "What the second stage spread to, method plain."
