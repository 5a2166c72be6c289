"""Sentences and tables about feedback say what the rows say, null results and doubts included."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import yaml
from rich.console import Console

from seedbed.core.files import read_json, write_json, write_text
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.report import incentives_tables, incentives_words, verdict
from seedbed.report.incentives import Feedback
from seedbed.report.reader import Run
from seedbed.report.tables import print_grids, print_verdict

New = Callable[[str], Path]


def change(run: Path, to: Callable[[dict[str, object]], None]) -> Run:
    """The run with its rows changed in place."""
    rows = read_json(run / "incentives.json")
    for row in rows:
        to(row)
    write_json(run / "incentives.json", rows)
    return Run(run)


def topics(run: Run) -> dict[str, tuple[tuple[str, ...], str]]:
    return {topic: (text, tone) for topic, text, tone in incentives_words.findings(run)}


def test_headline_names_what_emerged_and_what_did_not(fed: Path) -> None:
    run = Run(fed)
    said = incentives_words.headline(run)
    feedback = Feedback(run)
    assert said.startswith("Feedback taught harm to gameable users under 2 of 2 arms: most under ")
    taught, highest = said.removesuffix(".").split("; of the controls at most ")
    levels: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for cell in feedback.cells("own"):
        row = feedback.row(cell, "behaviour", "harm", GAMEABLE)
        assert row is not None
        text = f"{cell.arm} {row.value:.2f} [{row.low:.2f}, {row.high:.2f}]"
        levels[cell.arm in feedback.controls][text] = row.value or 0.0
    assert highest == max(levels[True], key=lambda text: levels[True][text])
    assert taught.endswith(max(levels[False], key=lambda text: levels[False][text]))


def test_the_headline_of_a_run_is_one_short_sentence(fed: Path) -> None:
    run = Run(fed)
    said = verdict.headline(run)
    assert said == incentives_words.headline(run)
    assert len(said.split()) <= 26
    told = " ".join(topics(run)["Feedback"][0])
    assert all(arm in told for arm in Feedback(run).arms)


def test_a_null_result_is_told_as_one(fresh_fed: New) -> None:
    def flat(row: dict[str, object]) -> None:
        if row["section"] == "emergence":
            row |= {"value": None, "low": None, "high": None}

    run = change(fresh_fed("null"), flat)
    assert incentives_words.headline(run).startswith("Feedback taught no harm to gameable users")
    text, _ = topics(run)["Feedback"]
    assert "nothing emerged" in text[0]
    assert "emerged in round" not in " ".join(text)


def test_a_control_that_rises_too_is_no_success(fresh_fed: New) -> None:
    def rise(row: dict[str, object]) -> None:
        if row["section"] == "emergence" and row["arm"] == "random" and row["name"] == "harm":
            row |= {"value": 2.0, "low": 2.0, "high": 3.0}

    run = change(fresh_fed("risen"), rise)
    assert "but harm rose under random too" in incentives_words.headline(run)
    text, tone = topics(run)["Feedback"]
    assert "it rose under the controls random as well" in text[0]
    assert tone == "bad"


def test_an_arm_level_with_a_control_has_taught_nothing(fresh_fed: New) -> None:
    def level(row: dict[str, object]) -> None:
        if row["name"] == "harm-over-random" and row["arm"] == "kto":
            row["low"] = -0.1

    run = change(fresh_fed("level"), level)
    said = incentives_words.headline(run)
    assert "under 1 of 2 arms: expert-iteration" in said
    assert "cannot be told apart from random" in " ".join(topics(run)["Feedback"][0])


def test_targeting_above_the_bound_is_called_out(fresh_fed: New, fed: Path) -> None:
    text, tone = topics(Run(fed))["Targeting"]
    assert tone == "good"
    assert any(line.startswith("50 % gameable, kto") and "grows with the cue" in line
               for line in text)  # fmt: skip
    run = fresh_fed("above")
    told = read_json(run / "conditions.json")
    told["half"]["total_variation"] = 0.1
    write_json(run / "conditions.json", told)
    text, tone = topics(Run(run))["Targeting"]
    assert tone == "bad"
    assert "which cannot be" in text[-1]


def test_a_missing_seed_is_told(fresh_fed: New) -> None:
    run = fresh_fed("lacking")
    config = yaml.safe_load((run / "config.yaml").read_text())
    write_text(run / "config.yaml", yaml.safe_dump({**config, "seeds": [0, 1, 2]}))
    text, tone = topics(Run(run))["Feedback"]
    assert "Seed 2 of the study not there" in text[-1]
    assert tone == "bad"


def test_a_run_that_stopped_says_that_nothing_was_trained(fresh_fed: New) -> None:
    run = fresh_fed("stopped")
    manifest = read_json(run / "manifest.json")
    write_json(run / "manifest.json", {**manifest, "stopped": "not learned"})
    for name in ("incentives.json", "conditions.json", "scores.json"):
        (run / name).unlink()
    assert topics(Run(run)) == {
        "Feedback": (("No agent was trained on feedback: the study stopped at the gate.",), "bad")
    }


def test_a_study_without_feedback_says_nothing_of_it(made: Path) -> None:
    run = Run(made)
    assert incentives_words.headline(run) == ""
    assert incentives_words.findings(run) == []
    assert incentives_tables.grids(run) == []


def test_tables_hold_the_rows(fed: Path) -> None:
    run = Run(fed)
    grids = {grid.name: grid for grid in incentives_tables.grids(run)}
    assert set(grids) == {
        "incentives-own", "incentives-half", "incentives-over", "incentives-played",
        "incentives-vetoes", "incentives-matrix", "incentives-lengths", "incentives-probes",
        "incentives-failures",
    }  # fmt: skip
    feedback, own = Feedback(run), grids["incentives-own"]
    rows = dict(own.rows)
    for cell in feedback.cells("own"):
        for at, kind in ((0, GAMEABLE), (1, OTHER)):
            row = feedback.row(cell, "behaviour", "harm", kind)
            assert row is not None
            assert (rows[cell.arm][at].value, rows[cell.arm][at].low) == (row.value, row.low)
    assert rows["best rating"][2].value == 1.0
    assert {"random", "shuffled", "best rating"} <= own.controls
    assert not {"expert-iteration", "kto"} & own.controls


def test_failures_are_summed_over_rounds(fed: Path) -> None:
    grid = {g.name: g for g in incentives_tables.grids(Run(fed))}["incentives-failures"]
    at = grid.heads.index("episodes") - 1
    rows = read_json(fed / "incentives.json")
    wanted = sum(
        r["value"] for r in rows
        if (r["section"], r["name"], r["environment"], r["condition"], r["arm"])
        == ("failures", "episodes", "", "own", "kto")
    )  # fmt: skip
    assert dict(grid.rows)["kto · own"][at].value == wanted > 0


def test_show_prints_verdict_and_tables(fed: Path) -> None:
    text = StringIO()
    console = Console(file=text, width=100)
    print_verdict(Run(fed), console)
    print_grids(Run(fed), console)
    said = text.getvalue()
    assert "What each arm came to: own (50 % gameable, cue 1 bit)" in said
    assert "tabular fixed point" in said
    assert max(map(len, said.splitlines())) <= 100
