"""Rules: shares, marks and sentences from rules.json."""

import shutil
from pathlib import Path
from typing import Any

from seedbed.report import rules
from seedbed.report.reader import Run
from seedbed.report.schema import Score


def test_tables(staged: Any) -> None:
    explained, later, finders = rules.grids(Run(staged.path))
    assert explained.heads == ("answers of", "sectors", "sign of x2", "always red")
    rows = dict(explained.rows)
    assert list(rows) == ["animals", "tools"]
    # Groups with other candidate rules stand in a table of their own.
    assert later.title == "Which rule explains the answers, after the second stage?"
    assert later.heads == ("answers of", "old", "new")
    assert [n.text for n in dict(later.rows)["relatives, one-proxy, plain"]] == ["0.300 ✓", "0.600"]
    assert [n.text for n in rows["animals"]] == ["0.930 ✓", "0.550", "0.250"]
    assert rows["animals"][0].interval == "[0.89, 0.96]"
    assert finders.heads == ("finder", "average precision", "R-precision",
                             "chance of average precision", "seconds")  # fmt: skip
    marks = dict(finders.rows)
    assert list(marks) == ["rule-fit", "chance", "oracle"]
    assert [n.value for n in marks["rule-fit"]] == [0.9, 0.9, 1 / 3, 0.5]
    assert finders.controls == {"chance", "oracle"}


def test_sentences(staged: Any) -> None:
    lines = rules.findings(Run(staged.path))
    assert lines[0] == (
        "Animals: sectors (taught) says 0.93 [0.89, 0.96] of the answers; next sign of x2 0.55 "
        "[0.48, 0.62]."
    )
    assert lines[2] == (
        "After the second stage a rule that was taught leads in 0 of 1 taught group."
    )
    assert lines[3].startswith("Relatives, one-proxy, plain: new (not taught) says 0.60")
    assert lines[4].startswith("Finders naming the taught rule (R-precision): rule-fit 0.90 [0.70")
    assert len(lines) == 5


def test_what_is_not_settled_is_said(staged: Any, tmp_path: Path, edit: Any) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")

    def level(value: Any) -> Any:
        for row in value["explained"]:
            if row["rule"] == "sign of x2":
                row |= {"value": 0.9, "low": 0.85, "high": 0.94}
        for row in value["scores"]:
            row |= {"low": 0.2}
        return value

    edit(path / "rules.json", level)
    lines = rules.findings(Run(path))
    assert "not settled against sign of x2 0.90 [0.85, 0.94]" in lines[0]
    assert lines[-1] == "Not above chance: rule-fit."


def test_finders_stand_before_controls() -> None:
    def row(finder: str, value: float) -> Score:
        return Score(finder=finder, truth="declared", metric="r_precision", slice="all",
                     value=value, low=0, high=1, chance=0.5, oracle=1.0, seeds=(0,), seconds=None,
                     peak_mib=None, epochs=None)  # fmt: skip

    scores = [row("oracle", 1), row("a", 0.2), row("chance", 0.5), row("b", 0.4)]
    assert rules.order(scores) == ["b", "a", "chance", "oracle"]


def test_no_rules_no_words(made: Path) -> None:
    assert rules.grids(Run(made)) == []
    assert rules.findings(Run(made)) == []


def changed(staged: Any, folder: Path, edit: Any, change: Any) -> Run:
    path = shutil.copytree(staged.path, folder / "run")
    edit(path / "rules.json", change)
    return Run(path)


def test_a_tie_is_no_lead_for_what_was_taught(staged: Any, tmp_path: Path, edit: Any) -> None:
    def tie(value: Any) -> Any:
        for row in value["explained"]:
            if row["unit"].startswith("one-proxy") or row["rule"] in ("sectors", "sign of x2"):
                row |= {"value": 0.7, "low": 0.6, "high": 0.8}
            if row["rule"] == "sectors":
                row["taught"] = False
            elif row["rule"] == "sign of x2":
                row["taught"] = True
        return value

    lines = rules.findings(changed(staged, tmp_path, edit, tie))
    # By name, not by what was taught.
    assert lines[0] == (
        "Animals: sectors (not taught) says 0.70 [0.60, 0.80] of the answers; not settled against "
        "sign of x2 0.70 [0.60, 0.80]."
    )
    assert "leads in 0 of 1 taught group." in lines[2]
    assert "new (not taught) says 0.70" in lines[3]


def test_the_note_tells_what_is_right_by_construction(
    staged: Any, tmp_path: Path, edit: Any
) -> None:
    note = rules.grids(Run(staged.path))[-1].note
    assert "Groups count that learned what they were taught" in note
    assert "a finder that counts answers is right there by construction" in note
    assert "no share was asked for" not in note
    path = shutil.copytree(staged.path, tmp_path / "run")

    def ask_nothing(value: Any) -> Any:
        for row in value["fits"]:
            row |= {"needed": 0.0}
        return value

    edit(path / "spread.json", ask_nothing)
    note = rules.grids(Run(path))[-1].note
    assert note.endswith("every taught group counts, whether or not it learned.")


def test_rules_that_say_nothing_on_some_questions(staged: Any, tmp_path: Path, edit: Any) -> None:
    def silent(value: Any) -> Any:
        for row in value["explained"]:
            if (row["unit"], row["rule"]) == ("subject/animals", "sign of x2"):
                row |= {"n": 1200, "value": 0.5, "low": None, "high": None}
            elif row["unit"] == "subject/animals":
                row |= {"n": 2000}
            elif (row["unit"], row["rule"]) == ("subject/tools", "sectors"):
                row |= {"value": None, "low": None, "high": None, "n": 0}
        return value

    run = changed(staged, tmp_path, edit, silent)
    grid = rules.grids(run)[0]
    animals, tools = dict(grid.rows)["animals"], dict(grid.rows)["tools"]
    assert [n.text for n in animals] == ["0.930 ✓", "0.500 n 1,200, no interval", "0.250"]
    assert grid.about == {"animals": "1,200 to 2,000 answers", "tools": "0 to 200 answers"}
    assert tools[0].text == "–"
    assert " n: the answers that a rule says anything about" in grid.note
    assert " n: " not in rules.grids(Run(staged.path))[0].note
    lines = rules.findings(run)
    assert lines[0].endswith("not settled against sign of x2 0.50 (no interval).")


def test_units_that_were_not_asked_are_not_spoken_of(
    staged: Any, tmp_path: Path, edit: Any
) -> None:
    def nothing(value: Any) -> Any:
        for row in value["explained"]:
            row |= {"value": None, "low": None, "high": None, "n": 0}
        return value

    lines = rules.findings(changed(staged, tmp_path, edit, nothing))
    assert len(lines) == 1
    assert lines[0].startswith("Finders naming")
