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
