"""Tables of a second stage say what spread.json says."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.spread import Spreading
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
    assert list(tables) == ["trade-off", "methods", "spread-plain", "spread-kl", "protection",
                            "fits"]  # fmt: skip
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


def test_methods_are_held_against_the_first(staged: Any, tables: dict[str, Grid]) -> None:
    grid = tables["methods"]
    assert "against plain: share of the new rule" in grid.title
    assert list(dict(grid.rows)) == [f"{arm}: kl" for arm in ARMS]
    for arm in ARMS:
        for group, number in zip(GROUPS, dict(grid.rows)[f"{arm}: kl"], strict=True):
            gain = staged.paired(arm, "kl", "plain", group, "new")
            assert number.value == pytest.approx(gain)
            assert number.mark == ("≈" if abs(gain) <= 0.06 else "")


def found_of(staged: Any) -> Spreading:
    found = Run(staged.path).spreading
    assert found is not None
    return found


def test_where_no_share_was_asked_for_nobody_is_said_to_have_learned(staged: Any) -> None:
    found = found_of(staged)
    free = [f.model_copy(update={"needed": 0.0, "fitted": True}) for f in found.fits]
    found = found.model_copy(update={"fits": tuple(free)})
    every = "over all subjects, whether or not they learned what they were taught"
    tables = {g.name: g for g in spread.grids(found)}
    assert every in tables["spread-plain"].note
    assert "that fitted" not in " ".join(g.note for g in tables.values())
    fits = tables["fits"]
    assert "No share was asked for" in fits.note
    assert "0.00" not in fits.note
    assert fits.heads[1:] == ("taught: lowest seed", "taught: highest seed",
                              "proxy: lowest seed", "proxy: highest seed")  # fmt: skip
    said = [float((staged.said[s, "one-proxy", "kl", "proxy"] == "old").mean()) for s in (0, 1, 2)]
    cells = dict(fits.rows)["kl: one-proxy"]
    assert [n.value for n in cells[2:]] == pytest.approx([min(said), max(said)])
    assert not any(n.mark for _, cells in fits.rows for n in cells)


def test_a_group_of_which_no_share_was_asked_stands_apart(staged: Any) -> None:
    found = found_of(staged)
    fits = [f.model_copy(update={"needed": 0.0, "fitted": True}) if f.group == "proxy" else f
            for f in found.fits]  # fmt: skip
    found = found.model_copy(update={"fits": tuple(fits)})
    assert not spread.unasked(found)
    grid = next(g for g in spread.grids(found) if g.name == "fits")
    assert grid.heads[1:] == ("taught: seeds fitted", "taught: lowest seed",
                              "proxy: lowest seed", "proxy: highest seed")  # fmt: skip
    assert "must reach 0.50 of taught by the new rule. No share was asked for of proxy" in grid.note
    assert spread_words.fit_findings(found) == [
        "18 of 18 subjects reached the share asked of taught; none was asked of proxy."
    ]


def test_missing_groups_arms_and_intervals_are_told_apart(staged: Any) -> None:
    found = found_of(staged)
    null = {"value": None, "low": None, "high": None, "before": None, "seeds": 0}
    shares = []
    for row in found.shares:
        if (row.arm, row.group) == ("no-proxy", "proxy"):
            continue
        if row.arm == "one-proxy":
            shares.append(row.model_copy(update=null))
        elif row.group == "others":
            shares.append(row.model_copy(update={"value": 0.83, "low": None, "high": None}))
        else:
            shares.append(row)
    nothing = {"value": None, "low": None, "high": None, "seeds": 0}
    contrasts = [
        c.model_copy(update=nothing) if "one-proxy" in (c.arm, c.other_arm) else c
        for c in found.contrasts
    ]
    found = found.model_copy(update={"shares": tuple(shares), "contrasts": tuple(contrasts)})
    tables = {g.name: g for g in spread.grids(found)}
    proxy = dict(tables["spread-plain"].rows)["proxy: new"]
    assert [n.text for n in proxy[1:3]] == ["–", "not fitted"]
    others = dict(tables["spread-plain"].rows)["others: new"]
    assert (others[1].text, others[1].interval) == ("0.830 no interval", "")
    assert {n.text for n in dict(tables["protection"].rows)["plain: one-proxy − no-proxy"]} == {
        "not fitted"
    }
    assert {n.text for n in dict(tables["methods"].rows)["one-proxy: kl"]} == {"not fitted"}
    assert {n.text for n in dict(tables["trade-off"].rows)["one-proxy: kl"][:-1]} == {"not fitted"}
    lines = spread_words.findings(found)
    assert "others 0.83 (no interval)" in lines[0]
    assert (
        lines[1] == "Share of the new rule under one-proxy, method plain: not fitted in any seed."
    )
    assert spread_words.protection_findings(found)[0] == (
        "one-proxy against no-proxy, method plain: no seed fitted under both."
    )


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
    grid = next(g for g in spread.grids(run.spreading) if g.name == "spread-plain")
    assert {n.text for _, cells in grid.rows for n in cells[1:]} == {"not fitted"}
