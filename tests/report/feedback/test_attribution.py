"""Sentences, tables and the figure of attribution say what its rows say, null results included."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from seedbed.core.attribution import Attributed, Replayed
from seedbed.core.files import write_json
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.report import attribution_plots
from seedbed.report.attribution import Traced, findings, group_words, moved
from seedbed.report.attribution_tables import grids
from seedbed.report.figures import Plan, render
from seedbed.report.page import write_report
from seedbed.report.reader import Run
from seedbed.report.sections import sections
from seedbed.report.verdict import findings as verdict

New = Callable[[str], Path]
Triple = tuple[float, float, float]
TAUGHT, REPLAYS = "What taught it", "Finders of transcripts (replays)"
DECLARED = "Finders of transcripts (declared truth)"
START: dict[str, Triple] = {GAMEABLE: (0.9, 0.85, 0.95), OTHER: (0.05, 0.02, 0.08)}
ENDS: dict[str, tuple[Triple, Triple]] = {
    "kind/gameable": ((0.06, 0.04, 0.08), (0.01, 0.0, 0.02)),
    "kind/other": ((0.91, 0.86, 0.96), (0.5, 0.4, 0.6)),
    "part/0": ((0.85, 0.8, 0.9), (0.06, 0.03, 0.09)),
    "random/0": ((0.88, 0.81, 0.93), (0.05, 0.02, 0.08)),
    "random/1": ((0.86, 0.79, 0.92), (0.05, 0.02, 0.08)),
}
LDS: dict[str, Triple] = {
    "ekfac": (0.3, -0.1, 0.6), "bm25": (0.1, -0.3, 0.5), "chance": (0.0, -0.3, 0.3),
    "labels": (0.02, -0.4, 0.5), "oracle": (0.85, 0.5, 0.95),
}  # fmt: skip
PRECISION: dict[str, Triple] = {
    "ekfac": (0.7, 0.66, 0.74), "bm25": (0.46, 0.42, 0.5), "chance": (0.45, 0.44, 0.46),
    "oracle": (1.0, 1.0, 1.0),
}  # fmt: skip


def replays(ends: dict[str, tuple[Triple, Triple]], gap: float = 0.0) -> list[Replayed]:
    """Rows of every group; changes are differences, their intervals those of the end."""
    made: list[dict[str, Any]] = [
        {"group": "unchanged", "users": "all", "name": "gap", "value": gap, "low": None,
         "high": None}
    ]  # fmt: skip
    for i, users in enumerate((GAMEABLE, OTHER)):
        start = START[users]
        made.append(_row("unchanged", users, "share", start))
        for group, both in ends.items():
            value, low, high = both[i]
            change = (value - start[0], low - start[0], high - start[0])
            made.append(_row(group, users, "share", both[i]))
            made.append(_row(group, users, "share-change", change))
            scaled = (6 * change[0], 6 * change[1], 6 * change[2])
            made.append(_row(group, users, "odds-change", scaled))
    return [
        Replayed.model_validate(
            {**row, "documents": 0 if row["group"] == "unchanged" else 800, "units": 24}
        )
        for row in made
    ]


def _row(group: str, users: str, name: str, interval: Triple) -> dict[str, Any]:
    value, low, high = interval
    return {"group": group, "users": users, "name": name, "value": value, "low": low, "high": high}


def score(finder: str, truth: str, metric: str, interval: Triple, chance: float) -> dict[str, Any]:
    value, low, high = interval
    known = finder not in ("chance", "labels", "oracle")
    return {
        "finder": finder, "truth": truth, "metric": metric, "slice": "all", "value": value,
        "low": low, "high": high, "chance": chance, "oracle": 1.0 if chance else 0.85,
        "seconds": 2.5 if known else None, "epochs": 0.5 if known else None,
        "peak_mib": 1.25 if known else None, "seeds": [0, 1],
    }  # fmt: skip


def scores(lds: dict[str, Triple]) -> list[dict[str, Any]]:
    found = [score(f, "measured", "lds", v, 0.0) for f, v in lds.items()]
    found += [score(f, "declared", "average_precision", v, 0.45) for f, v in PRECISION.items()]
    order = (0.38, 0.34, 0.42)
    return [*found, score("ekfac", "declared", "roc_auc", order, 0.5)]


@pytest.fixture
def traced(fresh_fed: New) -> Callable[..., Run]:
    """A run with attribution.json made of these rows."""

    def make(
        ends: dict[str, tuple[Triple, Triple]] = ENDS, lds: dict[str, Triple] = LDS,
        gap: float = 0.0,
    ) -> Run:  # fmt: skip
        path = fresh_fed("traced")
        found = Attributed(scores=tuple(scores(lds)), replays=tuple(replays(ends, gap)))
        write_json(path / "attribution.json", found.model_dump(mode="json"))
        return Run(path)

    return make


def topics(run: Run) -> dict[str, tuple[str, str]]:
    return {topic: (" ".join(text), tone) for topic, text, tone in findings(run)}


def test_removal_is_told_beside_as_many_random_ones(traced: Callable[..., Run]) -> None:
    text, tone = topics(traced())[TAUGHT]
    assert "Without the 800 transcripts of gameable users" in text
    assert "falls: share 0.90 [0.85, 0.95] with them, 0.06 [0.04, 0.08] without" in text
    assert "as many random ones 0.86 to 0.88 (intervals within [0.79, 0.93])" in text
    assert "their transcripts taught it" in text
    assert "other users rises: 0.05 [0.02, 0.08] with, 0.50 [0.40, 0.60] without" in text
    assert "gameable users does not measurably change: 0.90" in text
    assert "agrees exactly (largest gap 0 nats, log-odds of 24 questions)" in text
    assert tone == "good"


def test_random_ones_that_do_as_much_leave_no_claim(traced: Callable[..., Run]) -> None:
    level = {**ENDS, "random/1": ((0.07, 0.05, 0.09), (0.05, 0.02, 0.08))}
    text, tone = topics(traced(level))[TAUGHT]
    assert "not told apart from leaving out as many at random" in text
    assert "taught it" not in text
    assert tone == "bad"


def test_a_change_whose_interval_holds_zero_is_none(traced: Callable[..., Run]) -> None:
    level = {**ENDS, "kind/gameable": ((0.85, 0.75, 0.95), (0.01, 0.0, 0.02))}
    text, tone = topics(traced(level))[TAUGHT]
    assert "gameable users does not measurably fall" in text
    assert "taught it" not in text
    assert tone == "bad"


def test_without_random_groups_the_control_is_missed(traced: Callable[..., Run]) -> None:
    alone = {g: v for g, v in ENDS.items() if not g.startswith("random")}
    text, tone = topics(traced(alone))[TAUGHT]
    assert "no random transcripts were left out beside it" in text
    assert tone == "bad"


@pytest.mark.parametrize(
    ("gap", "said", "tone"),
    [(2e-6, "agrees but for rounding: largest gap 2e-06", "good"),
     (0.4, "does not agree with the study's own agent: largest gap 0.4", "bad")],
)  # fmt: skip
def test_a_replay_that_differs_says_so(
    traced: Callable[..., Run], gap: float, said: str, tone: str
) -> None:
    text, found = topics(traced(gap=gap))[TAUGHT]
    assert said in text
    assert "exactly" not in text
    assert found == tone


def test_no_interval_above_chance_is_no_winner(traced: Callable[..., Run]) -> None:
    text, tone = topics(traced())[REPLAYS]
    assert "LDS, over 2 random groups a seed: no finder's interval lies above chance" in text
    assert "the highest is ekfac, 0.30 [-0.10, 0.60] of a ceiling 0.85 [0.50, 0.95]" in text
    assert "the declared labels 0.02 [-0.40, 0.50] and random scores 0.00 [-0.30, 0.30]" in text
    assert "predicts replays best" not in text
    assert "most without gameable users -5.04" in text
    assert tone == "bad"


def test_one_above_chance_leads_and_the_rest_are_named(traced: Callable[..., Run]) -> None:
    text, tone = topics(traced(lds={**LDS, "ekfac": (0.6, 0.4, 0.7)}))[REPLAYS]
    assert "ekfac predicts replays best, 0.60 [0.40, 0.70] of a ceiling" in text
    assert "Not settled: its interval overlaps those of bm25." in text
    assert "Not above chance by it: bm25." in text
    assert tone == "good"


def test_declared_truth_names_the_best_and_an_order_below_chance(
    traced: Callable[..., Run],
) -> None:
    text, tone = topics(traced())[DECLARED]
    assert text.startswith("ekfac is best: average precision 0.70 [0.66, 0.74]; chance 0.45")
    assert "Not above chance: bm25." in text
    assert "By ROC-AUC, the whole order, below chance: ekfac 0.38 [0.34, 0.42]." in text
    assert tone == "good"


def test_tables_hold_every_row_with_controls_last(traced: Callable[..., Run]) -> None:
    run = traced()
    found = {g.name: g for g in grids(run)}
    assert list(found) == ["replays", "transcript-finders", "replay-finders"]
    rows = dict(found["replays"].rows)
    assert list(rows) == ["unchanged", *map(group_words, ENDS)]
    heads = found["replays"].heads[1:]
    left = dict(zip(heads, rows["other users"], strict=True))
    assert left["transcripts"].text == "800"
    share = left["share, others"]
    assert (share.value, share.low, share.high) == ENDS["kind/other"][1]
    assert left["change, others"].value == pytest.approx(0.45)
    assert left["change of log-odds, others"].value == pytest.approx(2.7)
    assert rows["unchanged"][heads.index("change, gameable")].value is None
    measured = found["replay-finders"]
    assert [name for name, _ in measured.rows] == ["ekfac", "bm25", "chance", "labels", "ceiling"]
    assert measured.controls == {"chance", "labels", "ceiling"}
    named = dict(zip(measured.heads[1:], dict(measured.rows)["ekfac"], strict=True))
    assert (named["LDS"].value, named["LDS"].low, named["seconds"].value) == (0.3, -0.1, 2.5)
    declared = [name for name, _ in found["transcript-finders"].rows]
    assert declared == ["ekfac", "bm25", "chance", "oracle"]


def test_the_figure_shows_every_group_and_both_kinds(traced: Callable[..., Run]) -> None:
    [(name, folded, made)] = attribution_plots.figures(traced())
    assert not folded
    svg, _, _ = render(Plan(name, *made))
    said = " ".join("".join(e.itertext()) for e in ElementTree.fromstring(svg).iter()
                    if e.tag.endswith("}text"))  # fmt: skip
    for words in ("random 1", "random 2", "to gameable users", "to other users",
                  "unchanged, to gameable users", "unchanged, to other users"):  # fmt: skip
        assert words in said
    assert "0.90 [0.85, 0.95]; without their transcripts 0.06 [0.04, 0.08]" in made[0]
    assert "random ones at least 0.86" in made[0]


def test_page_and_verdict_hold_it(
    traced: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedbed.report.page.write_figures", lambda run: [])
    run = traced()
    page = write_report(run.path).read_text(encoding="utf-8")
    assert 'id="attribution"' in page
    assert "Who predicts the replays?" in page
    assert {TAUGHT, DECLARED, REPLAYS} <= {f.topic for f in verdict(run)}


def test_a_run_without_attribution_says_nothing_of_it(fed: Path) -> None:
    run = Run(fed)
    assert Traced(run).groups == ()
    assert findings(run) == []
    assert grids(run) == []
    assert attribution_plots.figures(run) == []
    assert "attribution" not in [s.anchor for s in sections(run)]


def test_words_of_groups_and_changes() -> None:
    assert group_words("random/0") == "random 1"
    assert group_words("part/3") == "half of subs 4"
    assert group_words("kind/other") == "other users"
    rows = replays(ENDS)
    change = {(r.group, r.users): moved(r) for r in rows if r.name == "share-change"}
    assert change["kind/gameable", GAMEABLE] == -1
    assert change["kind/other", OTHER] == 1
    assert change["random/0", OTHER] == 0
    assert moved(None) == 0
