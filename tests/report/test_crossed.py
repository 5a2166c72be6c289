"""Tables and sentences about other kinds of site, from rows made for the purpose."""

from types import SimpleNamespace
from typing import Any, cast

from seedbed.core.crossed import Crossed
from seedbed.core.sites import SiteKind
from seedbed.report.crossed import findings, grids
from seedbed.report.reader import Run


def score(finder: str, value: float, spread: float = 0.05, **more: Any) -> dict[str, Any]:
    chance = {"roc_auc": 0.5, "pearson": 0.0}.get(more.get("metric", ""), 0.3)
    return {
        "finder": finder, "truth": "declared", "metric": "average_precision", "slice": "all",
        "value": value, "low": value - spread, "high": min(1.0, value + spread), "chance": chance,
        "oracle": 1.0, "seeds": [0, 1], "seconds": 0.5, "peak_mib": 1.0, "epochs": 0.1, **more,
    }  # fmt: skip


def run_of(sites: SiteKind, *scores: dict[str, Any], reason: str = "") -> Run:
    row = Crossed(sites=sites, meaning="what it means", asked=24, scores=scores, reason=reason)
    return cast("Run", SimpleNamespace(crossed=[row]))


def said(run: Run) -> str:
    return " ".join(" ".join(text) for _, text, _ in findings(run))


def tones(run: Run) -> list[str]:
    return [tone for _, _, tone in findings(run)]


def directed(*pairs: tuple[str, float]) -> Run:
    rows = [score(name, value, metric="roc_auc") for name, value in pairs]
    return run_of(SiteKind.DIRECTION, *rows)


def test_the_best_is_named_with_its_interval_chance_and_oracle() -> None:
    run = run_of(SiteKind.INPUT, score("ablation", 0.9), score("gradients", 0.32),
                 score("chance", 0.3), score("oracle", 1.0, 0))  # fmt: skip
    text = said(run)
    assert "ablation finds them best: average precision 0.90 [0.85, 0.95] against 0.30" in text
    assert "1.00 for the truth itself" in text
    assert "Not above chance: gradients." in text
    assert tones(run) == ["good"]
    (grid,) = grids(run)
    assert [name for name, _ in grid.rows] == ["ablation", "gradients", "chance", "oracle"]
    assert grid.controls == {"chance", "oracle"}
    assert "what it means" in grid.note
    assert "24 questions" in grid.note


def test_nothing_above_chance_is_said_to_be_so() -> None:
    run = run_of(SiteKind.INPUT, score("ablation", 0.32))
    assert "None is distinguishable from chance; the highest is ablation" in said(run)
    assert tones(run) == ["bad"]


def test_a_control_as_good_as_the_method_takes_the_result_away() -> None:
    good = directed(("difference", 0.9), ("random", 0.52), ("surface", 0.5))
    assert "Controls: random 0.52 [0.47, 0.57] and surface" in said(good)
    assert "nothing was shown" not in said(good)
    told = directed(("difference", 0.9), ("random", 0.52), ("surface", 0.97))
    assert "difference finds them best" in said(told)
    assert "surface does as well as the best, so nothing was shown." in said(told)
    assert (tones(good), tones(told)) == (["good"], ["plain"])
    (grid,) = grids(told)
    assert {"random", "surface"} <= grid.controls


def test_a_control_whose_interval_only_reaches_the_best_leaves_it_open() -> None:
    near = run_of(SiteKind.DIRECTION, score("probe", 0.9, metric="roc_auc"),
                  score("surface", 0.5, 0.5, metric="roc_auc"))  # fmt: skip
    assert "Not settled against surface: its interval reaches that of the best." in said(near)
    assert "nothing was shown" not in said(near)
    assert tones(near) == ["plain"]


def test_few_causes_are_said_to_be_few() -> None:
    rows = (score("probe", 1.0, 0, metric="roc_auc"),)
    few, enough = (
        cast("Run", SimpleNamespace(crossed=[Crossed(
            sites=SiteKind.DIRECTION, meaning="m", asked=24, causes=causes, scores=rows)]))
        for causes in (2, 6)
    )  # fmt: skip
    assert "This rests on 2 causes over all seeds, too few for an interval" in said(few)
    assert "too few" not in said(enough)
    assert (tones(few), tones(enough)) == (["plain"], ["good"])


def test_cells_are_marked_against_exact_patching_apart() -> None:
    rows = [score("patching", 1.0), score("fast", 1.0),
            score("fast", 0.7, truth="measured", metric="pearson"),
            score("fast", 0.6, truth="measured", metric="recall@2%")]  # fmt: skip
    run = run_of(SiteKind.CELL, *rows)
    assert [g.name for g in grids(run)] == ["crossed-cell-declared", "crossed-cell-measured"]
    assert "fast and patching find them equally well" in said(run)
    assert "fast predicts exact patching best: Pearson r 0.70" in said(run)


def test_a_kind_without_a_view_says_why() -> None:
    run = run_of(SiteKind.DIRECTION, reason="depth: there are no wrappers")
    assert said(run) == "None was marked: depth: there are no wrappers."
    assert grids(run) == []
