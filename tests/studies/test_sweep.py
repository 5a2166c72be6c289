from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json
from seedbed.report.sweep import show_sweep
from seedbed.studies.sweep import load_sweep, run_sweep


@pytest.fixture
def sweep_file(small_study: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    study = small_study(seeds=[0], finders=[{"kind": "bm25"}])

    def write(**changes: Any) -> Path:
        values = {"study": study.name, "vary": {"finders.0.k1": [0.5, 1.5]}, **changes}
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


def test_arms_share_what_they_can_and_stand_side_by_side(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    sweep, arms = load_sweep(sweep_file())
    told: list[Any] = []
    folder = run_sweep(sweep, arms, tmp_path / "runs" / "k1", workers=1, begin=told.append)
    assert told == [0.5, 1.5]
    made = [read_json(tmp_path / "runs" / f"k1-{v}" / "manifest.json") for v in (0.5, 1.5)]
    assert [m["stages_made"] for m in made] == [5, 1]
    found = read_json(folder / "sweep.json")
    assert [a["run"] for a in found["arms"]] == ["k1-0.5", "k1-1.5"]
    assert {r["arm"] for r in found["rows"]} == {0.5, 1.5}
    console = Console(record=True, width=100)
    show_sweep(folder, console)
    text = console.export_text()
    assert "finders.0.k1" in text
    assert "bm25" in text
    assert (folder / "sweep.png").stat().st_size > 5000


def test_an_arm_that_stops_at_the_gate_is_recorded(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = sweep_file(vary={"training.steps": [1, 120]})
    folder = run_sweep(*load_sweep(path), tmp_path / "steps", workers=1)
    found = read_json(folder / "sweep.json")
    assert "not learned" in found["arms"][0]["stopped"]
    assert {r["arm"] for r in found["rows"]} == {120}
    console = Console(record=True, width=100)
    show_sweep(folder, console)
    assert "stopped" in console.export_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vary": {"finders.0.k1": [1.0]}}, "at least two values"),
        ({"vary": {"finders.0.k1": [1.0, 1.0]}}, "stands twice"),
        ({"vary": {"finders.0.anser": [1, 2]}}, r"finders\.0\.anser = 1.*mean 'answer'"),
        ({"vary": {"training.steps.x": [1, 2]}}, "has no such key"),
        ({"study": "nothing.yaml"}, "no such file"),
        ({"sets": {}}, "did you mean 'set'"),
    ],
)
def test_mistakes_are_one_line(
    changes: dict[str, Any], message: str, sweep_file: Callable[..., Path]
) -> None:
    with pytest.raises((ConfigError, InputError), match=message):
        load_sweep(sweep_file(**changes))


def test_a_folder_without_a_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a finished sweep"):
        show_sweep(tmp_path, Console())
