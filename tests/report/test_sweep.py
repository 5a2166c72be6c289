"""A sweep's table and figure from a sweep.json whose numbers are known."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seedbed.core.errors import InputError
from seedbed.core.files import read_json, write_json
from seedbed.report.sweep import show_sweep
from seedbed.report.sweep_reader import SHOWN, SweepRun


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
    made = read_json(folder / "sweep.json")
    made["rows"] += [row(4, "bm25", 0.3, "measured"), row("last", "labels", 0.6, "measured")]
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


def test_one_key_may_be_told_both_ways(folder: Path) -> None:
    old = shown(folder)
    made = read_json(folder / "sweep.json")
    arms = [{**a, "name": str(a["value"]), "values": {"training.steps": a["value"]}}
            for a in made["arms"]]  # fmt: skip
    write_json(folder / "sweep.json", {**made, "keys": ["training.steps"], "arms": arms})
    assert shown(folder) == old


KEYS = ("training.batch", "training.steps")


def several(folder: Path, keys: tuple[str, ...], arms: list[dict[str, Any]]) -> None:
    rows, made = [], []
    for n, values in enumerate(arms):
        stopped = "not learned" if n == 1 else ""
        made.append({"name": f"arm{n}", "values": values, "run": f"s-{n}", "stopped": stopped})
        if not stopped:
            rows += [row(values, "bm25", 0.2 + 0.1 * n), row(values, "chance", 0.1)]
    write_json(folder / "sweep.json", {"keys": keys, "arms": made, "rows": rows})


def grid(folder: Path) -> None:
    # Keys of an object are sorted in the file, here against the order of the keys.
    several(folder, KEYS[::-1], [{KEYS[0]: b, KEYS[1]: s} for s in (40, 80) for b in (8, 16, 32)])


def test_two_keys_make_a_long_table_and_a_heat_table(folder: Path) -> None:
    grid(folder)
    lines = shown(folder).splitlines()
    assert lines[0] == "training.steps = 40, training.batch = 16: not learned"
    assert lines[1].startswith("training.steps × training.batch · declared")
    table = [line.split() for line in lines if line.split()]
    assert table[3] == ["steps", "batch", "bm25", "chance"]
    assert ["40", "8", "0.200", "±0.200", "0.100", "±0.200"] in table
    assert ["40", "16", "stopped", "stopped"] in table
    assert ["80", "32", "0.700", "±0.200", "0.100", "±0.200"] in table
    svg = (folder / "sweep.svg").read_text()
    for text in ("bm25", "chance", "0.20", "0.70", "±0.20", "stopped", *KEYS):
        assert f">{text}<" in svg
    assert svg.count(">stopped<") == 2


def test_rows_are_told_apart_by_all_their_values(folder: Path) -> None:
    grid(folder)
    sweep = SweepRun(folder)
    assert sweep.keys == KEYS[::-1]
    assert sweep.values(KEYS[0]) == [8, 16, 32]
    assert sweep.values(KEYS[1]) == [40, 80]
    found = [sweep.row(arm, "bm25", SHOWN[0]) for arm in sweep.arms]
    assert [r and r.value for r in found] == pytest.approx([0.2, None, 0.4, 0.5, 0.6, 0.7])


def test_three_keys_make_a_long_table_alone(folder: Path) -> None:
    keys = (*KEYS, "world.lists")
    several(folder, keys, [dict(zip(keys, (8, s, w), strict=True)) for s in (4, 5) for w in (1, 2)])
    text = shown(folder)
    assert ["batch", "steps", "lists", "bm25", "chance"] in [x.split() for x in text.splitlines()]
    assert "Figure" not in text
    assert not (folder / "sweep.png").exists()
