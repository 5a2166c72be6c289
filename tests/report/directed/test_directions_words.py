import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seedbed.report.directions_words import findings, headline, side_findings
from seedbed.report.reader import Run
from seedbed.report.verdict import findings as verdict
from seedbed.report.verdict import headline as verdict_headline

Row = dict[str, Any]


def said_of(run: Path) -> dict[str, str]:
    return {topic: " ".join(text) for topic, text, _ in findings(Run(run))}


def change(run: Path, wanted: Row, **new: float | None) -> None:
    """Change the rows of directions.json that are as wanted; there must be some."""
    path = run / "directions.json"
    rows = json.loads(path.read_text())
    hits = [row for row in rows if all(row[k] == v for k, v in wanted.items())]
    assert hits
    for row in hits:
        row.update(new)
    path.write_text(json.dumps(rows))


def value_of(run: Path, **wanted: object) -> str:
    rows = json.loads((run / "directions.json").read_text())
    (row,) = [r for r in rows if all(r[k] == v for k, v in wanted.items())]
    return f"{row['value'] + 0.0:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def test_every_side_has_its_own_topic(directed: Path) -> None:
    assert list(said_of(directed)) == [
        "Directions", "Directions (exceptions)", "Directions (recurrent)"
    ]  # fmt: skip


def test_what_is_read_stands_beside_its_controls(directed: Path) -> None:
    said = said_of(directed)["Directions"]
    chosen = {"side": "", "section": "decodable", "name": "auc", "site": "chosen"}
    lead = value_of(directed, direction="difference", **chosen)
    probe = value_of(directed, direction="probe", **chosen)
    assert f"the kinds are told apart by difference {lead} and probe {probe}." in said
    for control in ("random", "shuffled"):
        assert f"{control} {value_of(directed, direction=control, **chosen)}" in said


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.96, 0.99, "kinds are told apart by difference 0.9"),
     (0.56, 0.7, "apart a little by difference 0.63"),
     (0.44, 0.6, "not told apart by difference 0.52 [0.44, 0.60] (no clearer than random and")],
)  # fmt: skip
def test_how_well_the_kind_is_read(
    fresh_directed: Path, low: float, high: float, words: str
) -> None:
    wanted = {"side": "", "name": "auc", "site": "chosen", "direction": "difference"}
    change(fresh_directed, wanted, low=low, high=high, value=(low + high) / 2)
    assert words in said_of(fresh_directed)["Directions"]


def test_a_direction_no_clearer_than_a_control_tells_nothing(fresh_directed: Path) -> None:
    wanted = {"side": "", "name": "auc", "site": "chosen", "direction": "shuffled"}
    change(fresh_directed, wanted, value=0.999, low=0.998, high=1.0)
    said = said_of(fresh_directed)["Directions"]
    assert "not told apart by difference" in said
    assert "(no clearer than shuffled)" in said


def test_controls_without_a_vector_are_told_by_their_accuracy(
    fresh_directed: Path, edit: Callable[..., None]
) -> None:
    row = {"finder": "surface", "truth": "declared", "metric": "roc_auc", "slice": "all",
           "value": 0.51, "low": 0.44, "high": 0.58, "chance": 0.5, "oracle": 1.0,
           "seeds": [0, 1], "seconds": 1.0, "peak_mib": 1.0, "epochs": 0.1}  # fmt: skip
    edit(fresh_directed / "scores.json", lambda rows: [*rows, row])
    assert "surface accuracy 0.51 [0.44, 0.58]" in said_of(fresh_directed)["Directions"]
    edit(
        fresh_directed / "scores.json",
        lambda rows: [*rows[:-1], {**row, "value": 1.0, "high": 1.0}],
    )
    said = said_of(fresh_directed)["Directions"]
    assert "(no clearer than surface)" in said


def test_a_declared_negative_comes_out_negative_or_is_said_not_to(
    directed: Path, fresh_directed: Path
) -> None:
    told = {t: good for t, _, good in findings(Run(directed))}
    assert all(told.values())
    assert "and comes out negative" in said_of(directed)["Directions (exceptions)"]
    wanted = {"side": "exceptions", "name": "auc", "site": "chosen", "direction": "probe"}
    change(fresh_directed, wanted, value=0.76, low=0.7, high=0.82)
    assert "not settled: probe 0.76" in said_of(fresh_directed)["Directions (exceptions)"]
    change(fresh_directed, wanted, value=0.9, low=0.86, high=0.95)
    assert "but it is not: probe 0.90" in said_of(fresh_directed)["Directions (exceptions)"]
    tones = {f.topic: f.tone for f in verdict(Run(fresh_directed))}
    assert tones["Directions (exceptions)"] == "bad"
    assert tones["Directions"] == "good"


def test_a_study_of_a_declared_negative_alone_says_so(fresh_directed: Path) -> None:
    path = fresh_directed / "sides.json"
    own = {"side": "", "negative": "nothing is there", "gate": [], "left_out": ""}
    path.write_text(json.dumps([own, *json.loads(path.read_text())]))
    said = said_of(fresh_directed)["Directions"]
    assert "Declared negative (nothing is there), but it is not" in said
    told = side_findings(Run(fresh_directed))
    assert [line.partition(":")[0] for line in told] == ["exceptions", "recurrent", "iterated"]


def test_readable_is_not_causal_counts_sites(directed: Path) -> None:
    rows = [r for r in json.loads((directed / "directions.json").read_text())
            if r["side"] == "" and "@" in r["site"]]  # fmt: skip
    read = {
        r["site"]: r["value"]
        for r in rows
        if (r["section"], r["name"], r["direction"]) == ("decodable", "auc", "difference")
    }
    patched = {
        r["site"]: r
        for r in rows
        if (r["section"], r["name"], r["slice"]) == ("patching", "flipped", "all")
    }
    high = [s for s, v in read.items() if v >= 0.9]
    still = [s for s in high if patched[s]["value"] <= 0.1]
    acting = [r for r in patched.values() if r["low"] > 0.1]
    said = said_of(directed)["Directions"]
    assert 0 < len(still) < len(high)
    assert f"{len(still)} of {len(high)} sites where a direction reads the kind" in said
    assert f"clearly above 0.1 at {len(acting)} of {len(patched)} sites" in said


def test_no_site_both_readable_and_idle_is_said(fresh_directed: Path) -> None:
    change(fresh_directed, {"side": "", "section": "patching", "name": "flipped"}, value=0.9)
    assert "here what is readable also acts" in said_of(fresh_directed)["Directions"]


def test_patching_that_does_nothing_is_said(fresh_directed: Path) -> None:
    wanted = {"side": "", "section": "patching", "name": "flipped"}
    change(fresh_directed, wanted, value=0.05, low=0.0, high=0.2)
    assert "clearly above 0.1 at none of 15 sites" in said_of(fresh_directed)["Directions"]


def test_steering_stands_beside_random_directions(directed: Path) -> None:
    said = said_of(directed)["Directions"]
    at = {"side": "", "section": "steering", "site": "chosen", "dose": None, "slice": "all"}
    for name, direction in (("flipped", "difference"), ("flipped", "random"),
                            ("flipped", "random-max"), ("over-random", "difference")):  # fmt: skip
        assert value_of(directed, name=name, direction=direction, **at) in said
    assert "into block 0 at b at dose 2 in 2 of 2 seeds" in said
    assert "Selective: target" in said


def test_a_difference_that_holds_0_is_said_to(fresh_directed: Path) -> None:
    wanted = {"side": "", "section": "steering", "name": "over-random"}
    change(fresh_directed, wanted, value=0.02, low=-0.01, high=0.05)
    change(fresh_directed, {"side": "", "section": "selectivity", "name": "difference"},
           value=0.0, low=-0.1, high=0.1)  # fmt: skip
    said = said_of(fresh_directed)["Directions"]
    assert "+0.02 [-0.01, 0.05], which cannot be told apart from 0" in said
    assert "Not selective" in said


def test_recurrences_are_told_of_the_side_that_has_them(directed: Path) -> None:
    said = said_of(directed)
    ends = [value_of(directed, section="recurrence", slice="computed", dose=d) for d in (1, 12)]
    assert f"computed {ends[0]} at 1" in said["Directions (recurrent)"]
    assert f"{ends[1]} at 12" in said["Directions (recurrent)"]
    assert "recurrences" not in said["Directions"]


def test_the_headline_and_sides_left_out(directed: Path, made: Path) -> None:
    run = Run(directed)
    assert headline(run) in verdict_headline(run)
    assert headline(run).startswith("AUC of the kind of held-out questions: difference 0.9")
    assert "along random directions 0.0" in headline(run)
    found = {f.topic: f for f in verdict(run)}
    assert any(line.startswith("iterated: left out, not learned") for line in found["Sides"].text)
    assert found["Sides"].tone == "bad"
    assert headline(Run(made)) == ""
    assert findings(Run(made)) == []
