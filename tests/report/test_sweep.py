"""A sweep's table and figure from a sweep.json whose numbers are known."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seedbed.core.errors import InputError
from seedbed.core.files import write_json
from seedbed.report.sweep import SweepRun, show_sweep


def row(arm: object, finder: str, value: float | None, truth: str = "declared") -> dict[str, Any]:
    metric = {"declared": "average_precision", "measured": "lds"}[truth]
    around = (None, None) if value is None else (value - 0.1, value + 0.3)
    return {
        "arm": arm, "finder": finder, "truth": truth, "metric": metric, "slice": "all",
        "value": value, "low": around[0], "high": around[1], "chance": 0.1, "oracle": 1.0,
        "seeds": [0], "seconds": 1.0, "peak_mib": 1.0, "epochs": 1.0,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    arms = [{"value": v, "run": f"s-{v}", "stopped": ""} for v in (4, "last")]
    arms.append({"value": 9, "run": "s-9", "stopped": "not learned, so no finder was run"})
    rows = [
        row(4, "chance", 0.1), row(4, "bm25", 0.25), row("last", "chance", 0.11),
        row("last", "bm25", 0.5), row("last", "late", 0.75), row("last", "undefined", None),
    ]  # fmt: skip
    write_json(tmp_path / "sweep.json", {"key": "training.steps", "arms": arms, "rows": rows})
    return tmp_path


def shown(folder: Path) -> str:
    console = Console(record=True, width=100)
    show_sweep(folder, console)
    return console.export_text()


def test_each_arm_is_a_column_and_controls_stand_last(folder: Path) -> None:
    lines = shown(folder).splitlines()
    assert lines[0] == "training.steps = 9: not learned, so no finder was run"
    table = [line.split() for line in lines if line.split()]
    cells = {words[0]: words[1:] for words in table}
    assert cells["finder"] == ["4", "last", "9"]
    assert cells["bm25"] == ["0.250", "±0.200", "0.500", "±0.200", "stopped"]
    assert cells["late"] == ["–", "0.750", "±0.200", "stopped"]
    assert "undefined" not in cells
    names = [words[0] for words in table]
    assert names.index("chance") > max(names.index("bm25"), names.index("late"))


def test_measured_truth_has_a_table_and_a_panel_of_its_own(folder: Path) -> None:
    shown(folder)
    small = (folder / "sweep.svg").read_bytes()
    sweep = SweepRun(folder)
    rows = [{"arm": a, **r.model_dump(mode="json")} for a, r in sweep.rows]
    rows += [row(4, "bm25", 0.3, "measured"), row("last", "labels", 0.6, "measured")]
    made = {"key": sweep.key, "arms": sweep.arms, "rows": rows}
    write_json(folder / "sweep.json", made)
    text = shown(folder)
    assert "measured truth" in text
    assert text.index("declared truth") < text.index("measured truth")
    assert (folder / "sweep.svg").stat().st_size > len(small)


def test_equal_rows_give_an_equal_figure(folder: Path) -> None:
    shown(folder)
    first = [(folder / name).read_bytes() for name in ("sweep.svg", "sweep.png")]
    shown(folder)
    assert [(folder / name).read_bytes() for name in ("sweep.svg", "sweep.png")] == first


def test_where_every_arm_stopped_only_the_reasons_are_there(folder: Path) -> None:
    arms = [{"value": v, "run": f"s-{v}", "stopped": f"not learned at {v}"} for v in (1, 2)]
    write_json(folder / "sweep.json", {"key": "training.steps", "arms": arms, "rows": []})
    text = shown(folder)
    assert "training.steps = 1: not learned at 1" in text
    assert "training.steps = 2: not learned at 2" in text
    assert not (folder / "sweep.png").exists()


def test_a_folder_without_a_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a finished sweep"):
        SweepRun(tmp_path)
