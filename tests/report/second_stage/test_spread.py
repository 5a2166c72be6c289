"""Tables, figures and sentences of a second stage say what spread.json says."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.spread import Contrast
from seedbed.report import spread, spread_words
from seedbed.report.figures import Plan, render
from seedbed.report.grids import Grid
from seedbed.report.reader import Run
from seedbed.report.spread_plots import figures
from seedbed.report.verdict import headline

ARMS = ("no-proxy", "one-proxy", "five-proxies")
GROUPS = ("taught", "proxy", "relatives", "others")


@pytest.fixture
def tables(staged: Any) -> dict[str, Grid]:
    return {g.name: g for g in spread.grids(Run(staged.path).spreading)}


def test_shares_by_group_outcome_and_arm(staged: Any, tables: dict[str, Grid]) -> None:
    assert list(tables) == ["spread-plain", "spread-kl", "trade-off", "protection", "fits"]
    for method in ("plain", "kl"):
        grid = tables[f"spread-{method}"]
        assert grid.heads[1:] == ("before", *ARMS)
        rows = dict(grid.rows)
        assert list(rows) == [f"{g}: {o}" for g in GROUPS for o in ("new", "old", "neither")]
        for group in GROUPS:
            for outcome in ("new", "old", "neither"):
                before, *arms = rows[f"{group}: {outcome}"]
                assert before.value == (1.0 if outcome == "old" else 0.0)
                for arm, number in zip(ARMS, arms, strict=True):
                    share = staged.share(arm, method, group, outcome)
                    assert number.value == pytest.approx(share)
                    assert (number.low or 0) <= share <= (number.high or 0)
                    few = (method, arm) == ("kl", "one-proxy")
                    assert number.mark == ("(2 seeds)" if few else "")
        sums = [sum(rows[f"taught: {o}"][2].value or 0 for o in ("new", "old", "neither"))]
        assert sums == [pytest.approx(1)]
    assert tables["spread-plain"].about["proxy: new"] == (
        "words of another category that are taught to stay as they were; taught the old rule"
    )
    assert "12 s" in tables["spread-plain"].note


def test_methods_stand_side_by_side(staged: Any, tables: dict[str, Grid]) -> None:
    grid = tables["trade-off"]
    assert grid.heads == ("method", "taught (taught new)", "proxy (taught old)", "relatives",
                          "others", "seconds")  # fmt: skip
    rows = dict(grid.rows)
    assert list(rows) == [f"{arm}: {method}" for arm in ARMS for method in ("plain", "kl")]
    for arm in ARMS:
        for method, seconds in (("plain", 12.0), ("kl", 25.0)):
            cells = rows[f"{arm}: {method}"]
            assert cells[-1].value == seconds
            for group, number in zip(GROUPS, cells, strict=False):
                assert number.value == pytest.approx(staged.share(arm, method, group, "new"))


def test_protection_is_the_difference_between_arms(staged: Any, tables: dict[str, Grid]) -> None:
    rows = dict(tables["protection"].rows)
    for method in ("plain", "kl"):
        for arm in ARMS[1:]:
            cells = rows[f"{method}: {arm} − no-proxy"]
            for group, number in zip(GROUPS, cells, strict=True):
                gain = staged.share(arm, method, group, "old")
                gain -= staged.share("no-proxy", method, group, "old")
                assert number.value == pytest.approx(gain)
                assert number.mark == ("≈" if abs(gain) <= 0.06 else "")


def test_who_fitted_and_why_not(staged: Any, tables: dict[str, Grid]) -> None:
    rows = dict(tables["fits"].rows)
    taught, lowest, proxy, worst = rows["kl: one-proxy"]
    assert (taught.text, proxy.text) == ("3 of 3", "2 of 3")
    said = [float((staged.said[s, "one-proxy", "kl", "proxy"] == "old").mean()) for s in (0, 1, 2)]
    assert worst.value == pytest.approx(min(said))
    assert lowest.value is not None
    assert rows["plain: no-proxy"][2].value is None
    first, second = spread_words.fit_findings(Run(staged.path).spreading)
    assert first == "17 of 18 subjects learned what the second stage taught."
    value = float((staged.said[2, "one-proxy", "kl", "proxy"] == "old").mean())
    assert second.startswith(
        f"Left out: one-proxy, method kl, seed 2: proxy answers by the old rule {value:.2f} ["
    )
    assert second.endswith("on 60 questions; the lower end must reach 0.50.")


def test_sentences_hold_the_shares_of_the_first_method(staged: Any) -> None:
    lines = spread_words.findings(Run(staged.path).spreading)
    assert len(lines) == len(ARMS)
    for arm, line in zip(ARMS, lines, strict=True):
        for group in GROUPS:
            assert f"{group} {staged.share(arm, 'plain', group, 'new'):.2f} [" in line
        lost = staged.share(arm, "plain", "relatives", "neither")
        assert ("neither" in line.partition("relatives")[2].partition(";")[0]) == (lost >= 0.1)


def test_protection_in_sentences(staged: Any) -> None:
    lines = spread_words.protection_findings(Run(staged.path).spreading)
    gain = staged.share("one-proxy", "plain", "proxy", "old")
    gain -= staged.share("no-proxy", "plain", "proxy", "old")
    assert lines[0].startswith(
        "one-proxy against no-proxy: the old answer is kept more often by proxy itself "
        f"+{gain:.2f} ["
    )
    assert ", relatives +" in lines[0]
    # What was taught anew is protected by nobody, and not spoken of.
    assert not any("taught" in line for line in lines)
    assert lines[2].startswith("Under one-proxy: relatives and others keep the old answer about")
    assert "cannot be told apart from 0" in lines[2]


def test_losses_and_open_questions_are_named_apart(staged: Any, tmp_path: Path, edit: Any) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")

    def change(value: Any) -> Any:
        for row in value["contrasts"]:
            if row["group"] == "relatives" and row["other_group"] == "relatives":
                row |= {"value": -0.2, "low": -0.3, "high": -0.1}
            if row["group"] == "others":
                row |= {"value": 0.02, "low": -0.05, "high": 0.09}
        return value

    edit(path / "spread.json", change)
    line = spread_words.protection_findings(Run(path).spreading)[0]
    assert line.endswith(
        "; less often by relatives -0.20 [-0.30, -0.10]; cannot be told apart from 0: others +0.02 "
        "[-0.05, 0.09]."
    )


def test_the_headline_names_the_group_that_proxies_change_most(staged: Any) -> None:
    said = spread_words.headline(Run(staged.path).spreading)
    gaps = {
        g: abs(staged.share(ARMS[0], "plain", g, "new") - staged.share(ARMS[-1], "plain", g, "new"))
        for g in ("relatives", "others")
    }
    most = max(gaps, key=lambda g: gaps[g])
    first, last = (staged.share(arm, "plain", most, "new") for arm in (ARMS[0], ARMS[-1]))
    assert said.startswith(f"Under no-proxy the new rule spread to {first:.2f} [")
    assert f"of {most} questions, under five-proxies to {last:.2f} [" in said
    assert said in headline(Run(staged.path))


def contrast(low: float | None, value: float | None, high: float | None) -> Contrast:
    return Contrast(method="plain", arm="a", other_arm="b", group="g", other_group="g",
                    outcome="old", value=value, low=low, high=high, seeds=3)  # fmt: skip


def test_an_interval_that_holds_nothing_is_said_to() -> None:
    assert spread.open_(contrast(-0.1, 0.1, 0.2))
    assert spread.open_(contrast(0.0, 0.1, 0.2))
    assert not spread.open_(contrast(0.01, 0.1, 0.2))
    assert not spread.open_(contrast(-0.3, -0.2, -0.1))
    assert spread.open_(contrast(None, 0.2, None))
    assert spread_words.valued(contrast(-0.3, -0.2, -0.1)) == "-0.20 [-0.30, -0.10]"
    assert spread_words.valued(contrast(0.1, 0.2, 0.3)) == "+0.20 [0.10, 0.30]"


def test_no_second_stage_no_words(made: Path) -> None:
    run = Run(made)
    assert spread.grids(run.spreading) == []
    assert spread_words.findings(run.spreading) == spread_words.fit_findings(run.spreading) == []
    assert figures(run) == []


def test_nothing_fitted_is_told_and_not_drawn(staged: Any, tmp_path: Path, edit: Any) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")

    def unfit(value: Any) -> Any:
        for row in value["shares"]:
            row |= {"value": None, "low": None, "high": None, "before": None, "seeds": 0}
        for row in value["fits"]:
            row["fitted"] = False
        return {**value, "stopped": "no subject fitted: train longer", "contrasts": []}

    edit(path / "spread.json", unfit)
    run = Run(path)
    assert figures(run) == []
    lines = spread_words.fit_findings(run.spreading)
    assert lines[0].startswith("0 of 18 subjects")
    assert lines[1] == "No subject fitted: train longer."
    assert lines[-1] == "And 22 more, in spread.json."
    assert spread_words.findings(run.spreading) == []
    grid = spread.grids(run.spreading)[0]
    assert {n.text for _, cells in grid.rows for n in cells[1:]} == {"– not fitted"}


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
