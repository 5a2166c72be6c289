import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seedbed.core.errors import InputError
from seedbed.report.compare import ABSENT, Comparison, changes, compare, flatten


def compared(a: Path, b: Path, **choice: Any) -> tuple[Comparison, str]:
    console = Console(width=100, file=StringIO(), no_color=True)
    found = compare(a, b, console, **choice)
    file = console.file
    assert isinstance(file, StringIO)
    return found, file.getvalue()


def test_run_against_itself_differs_nowhere(made: Path) -> None:
    found, text = compared(made, made)
    assert found.config == ()
    assert {row.difference for row in found.rows if row.a is not None} == {0.0}
    assert "The configurations are the same." in text
    assert "clear " not in text.replace("clear:", "")


def test_differences_and_overlaps_are_those_of_the_rows(
    fresh: Path, tmp_path: Path, edit: Any
) -> None:
    other = shutil.copytree(fresh, tmp_path / "other")
    path = other / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("bases: 2", "bases: 3"), "utf-8")

    def move(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        far = {"value": 0.9, "low": 0.85, "high": 0.95}
        near = {"value": 0.1, "low": 0.05, "high": 0.15}
        return [
            {**row, **(near if row["slice"] == "all" else far)} if row["finder"] == "bm25" else row
            for row in rows
        ]

    edit(fresh / "scores.json", move)
    edit(other / "scores.json", lambda rows: [
        {**row, "value": 0.5, "low": 0.14, "high": 0.8} if row["finder"] == "bm25" else row
        for row in rows
    ])  # fmt: skip
    found, text = compared(fresh, other)
    bm25 = {(r.metric, r.slice): r for r in found.rows if r.finder == "bm25"}
    assert bm25["average_precision", "all"].difference == pytest.approx(0.4)
    assert bm25["average_precision", "all"].overlap is True
    assert bm25["average_precision", "depth=0"].difference == pytest.approx(-0.4)
    assert bm25["average_precision", "depth=0"].overlap is False
    assert "world.bases" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_json_holds_every_matched_row(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    found, _ = compared(made, made, json=path)
    value = json.loads(path.read_text(encoding="utf-8"))
    scores = json.loads((made / "scores.json").read_text(encoding="utf-8"))
    assert len(value["rows"]) == len(scores) == len(found.rows)
    assert value["rows"][0]["overlap"] is True


def test_metric_and_slice_choose_rows(made: Path) -> None:
    _, text = compared(made, made, metric="mrr", slice_="hop=0")
    assert "MRR, hop 0" in text
    assert "average precision, all questions" not in text


def test_an_unknown_slice_or_metric_is_named(made: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'hop=1'"):
        compared(made, made, slice_="hpo=1")
    with pytest.raises(InputError, match="did you mean 'roc_auc'"):
        compared(made, made, metric="rocauc")


def test_stopped_run_is_compared_by_its_gate(made: Path, stopped: Path) -> None:
    found, text = compared(made, stopped)
    assert found.rows == ()
    assert "(0 of 2)" in text
    assert "only in A: " in text


def test_not_a_run(made: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        compared(made, tmp_path)


def test_changes_name_nested_keys_and_finders() -> None:
    a = {
        "world": {"kind": "hops", "bases": 3},
        "finders": [{"kind": "bm25", "k1": 1.5}],
        "seeds": [0],
    }
    b = {
        "world": {"kind": "hops", "bases": 4},
        "finders": [{"kind": "bm25", "k1": 2}],
        "seeds": [0, 1],
    }
    found = {change.key: (change.a, change.b) for change in changes(a, {**b, "threads": 2})}
    assert found == {
        "world.bases": (3, 4),
        "finders.bm25.k1": (1.5, 2),
        "seeds": ([0], [0, 1]),
        "threads": (ABSENT, 2),
    }


def test_flatten_keeps_empty_parts() -> None:
    assert flatten({"a": {}, "b": [], "c": [1, 2], "d": [{"x": 1}]}) == {
        "a": {}, "b": [], "c": [1, 2], "d.0.x": 1,
    }  # fmt: skip


def test_measured_truth_is_compared_by_question(retrained: Path, made: Path) -> None:
    found, text = compared(retrained, retrained)
    assert "LDS, depth 2, measured truth" in text
    assert "average precision, all questions, declared truth" in text
    assert {row.difference for row in found.rows if row.a is not None} == {0.0}
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    narrow = Console(width=80, file=StringIO(), no_color=True)
    compare(retrained, retrained, narrow)
    assert isinstance(narrow.file, StringIO)
    assert "…" not in narrow.file.getvalue()
    found, text = compared(made, retrained)
    assert {row.truth for row in found.rows} == {"declared"}
    assert "only in" not in text
