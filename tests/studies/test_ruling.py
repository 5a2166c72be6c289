import json
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.files import write_rows
from seedbed.core.rows import Question
from seedbed.core.rules import Rules
from seedbed.core.sites import Claim, SiteKind
from seedbed.scoring.rows import Cost
from seedbed.studies.ruling import Unit, anonymous, explained, results_of, taught_rules


def unit(folder: Path, name: str, rows: list[tuple[str, dict[str, str]]], taught: bool) -> Unit:
    """A unit whose questions have the given answers and rules."""
    questions = [
        Question(id=f"{name}{i}", prompt="p", choices=("a", "b"), answer=said, cause=str(i),
                 rules=rules)
        for i, (said, rules) in enumerate(rows)
    ]  # fmt: skip
    data = folder / name.replace("/", "-")
    write_rows(data / "questions.jsonl", questions)
    return Unit(name, folder, data, tuple(q.id for q in questions), taught)


def units(folder: Path) -> list[Unit]:
    same = [("a", {"one": "a", "two": "b"}), ("b", {"one": "b", "two": "b"})]
    other = [("b", {"two": "b", "three": "a"}), ("b", {"two": "b", "three": "b"})]
    return [unit(folder, "subject/x", same, True), unit(folder, "arm+plain/y", other, True)]


def test_neither_names_nor_answers_tell_finders_which_rule_was_taught() -> None:
    rows = [
        Question(id=f"q{i}", prompt="p", choices=("a", "b", "c"), answer=said,
                 rules={"map": said, "sign": "a"})
        for i, said in enumerate("abcb")
    ]  # fmt: skip
    asked, names = anonymous(rows, 0)
    assert {q.answer for q in asked} == {"a"}
    assert set(names.values()) == {"map", "sign"}
    assert {name for q in asked for name in q.rules} == {"rule-0", "rule-1"}
    back = [{names[r]: said for r, said in q.rules.items()} for q in asked]
    assert back == [q.rules for q in rows]
    first = {seed: anonymous(rows, seed)[1]["rule-0"] for seed in range(12)}
    assert set(first.values()) == {"map", "sign"}


def test_the_rule_that_was_taught_says_every_answer(tmp_path: Path) -> None:
    truth = taught_rules(units(tmp_path))
    assert truth.site_kind is SiteKind.RULE
    assert truth.sites == ("one", "three", "two")
    assert np.array_equal(truth.values, [[1, np.nan, 0], [np.nan, 0, 1]], equal_nan=True)


def test_rules_that_a_claim_does_not_know_stand_last(tmp_path: Path) -> None:
    mine = units(tmp_path)
    claim = Claim(("subject/x", "arm+plain/y"), ("two", "one"), np.array([[0.0, 1], [1, 0]]),
                  SiteKind.RULE)  # fmt: skip
    found = results_of(0, mine, {"f": claim}, {"f": Cost(0.0, 0.0, None)})
    assert found.claims["f"].sites == found.truth.sites == ("one", "three", "two")
    assert found.claims["f"].scores.tolist() == [[1, -1, 0], [0, -1, 1]]
    assert set(found.claims) == {"f", "chance"}


def test_explained_counts_the_answers_that_a_rule_says(tmp_path: Path) -> None:
    mine = units(tmp_path)
    said = {(0, "subject/x"): {"subject/x0": "a", "subject/x1": "a"},
            (0, "arm+plain/y"): {"arm+plain/y0": "b", "arm+plain/y1": "b"}}  # fmt: skip
    rows = {(r.unit, r.rule): r for r in explained({0: mine}, said)}
    assert rows["subject/x", "one"].value == 0.5
    assert rows["subject/x", "two"].value == 0
    assert rows["arm+plain/y", "two"].value == 1
    assert rows["arm+plain/y", "three"].value == 0.5
    assert [k for k, r in rows.items() if r.taught] == [
        ("subject/x", "one"),
        ("arm+plain/y", "two"),
    ]
    assert {r.n for r in rows.values()} == {2}


def test_a_study_names_the_rule_that_each_unit_was_taught(quadrants_run: Path) -> None:
    found = Rules.model_validate(json.loads((quadrants_run / "rules.json").read_text()))
    best: dict[str, tuple[float, bool]] = {}
    for row in found.explained:
        if row.value is not None and row.value > best.get(row.unit, (-1.0, False))[0]:
            best[row.unit] = row.value, row.taught
    assert len([u for u in best if u.startswith("subject/")]) == 3
    assert all(taught for u, (_, taught) in best.items() if u.startswith("subject/"))
    marks = {
        r["finder"]: r["value"]
        for r in found.scores
        if (r["metric"], r["slice"]) == ("average_precision", "all")
    }
    assert marks["oracle"] == 1
    assert marks["rule-fit"] > marks["chance"]


def test_the_taught_units_are_the_groups_that_were_trained(quadrants_run: Path) -> None:
    rows: list[dict[str, Any]] = json.loads((quadrants_run / "rules.json").read_text())["explained"]
    taught = {r["unit"] for r in rows if r["taught"]}
    for name in taught:
        cell, _, group = name.partition("/")
        assert cell == "subject" or group in ("taught", "proxy")
    assert "none+plain/relative" in {r["unit"] for r in rows} - taught


def test_a_world_without_rules_says_why_its_finders_of_rules_are_missing(
    small_study: Any, tmp_path: Path
) -> None:
    from seedbed.studies.run import run
    from seedbed.studies.study import load_study

    path = small_study(finders=[{"kind": "bm25"}, {"kind": "rule-fit"}], seeds=[0])
    folder = run(load_study(path), tmp_path / "run", workers=1)
    missing = json.loads((folder / "missing.json").read_text())
    assert [m["finder"] for m in missing] == ["rule-fit"]
    assert "no question of this world names any" in missing[0]["reason"]
    assert not (folder / "rules.json").exists()
