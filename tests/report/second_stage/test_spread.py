"""Tables of a second stage say what spread.json says."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from seedbed.report import spread, spread_words
from seedbed.report.grids import Grid
from seedbed.report.reader import Run
from seedbed.report.spread_plots import figures

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
