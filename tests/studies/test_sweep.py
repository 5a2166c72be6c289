import json
import re
import time
from collections.abc import Callable
from fnmatch import fnmatch
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from tests.studies.working import run_arms

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json
from seedbed.report.sweep import show_sweep
from seedbed.runs.dispatch import Dispatcher
from seedbed.studies.sweep import arm_names, load_sweep, run_sweep


@pytest.fixture
def sweep_file(small_study: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    study = small_study(seeds=[0], finders=[{"kind": "bm25"}])

    def write(**changes: Any) -> Path:
        values = {"study": study.name, "vary": {"finders.0.k1": [0.5, 1.5]}, **changes}
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path

    return write


def test_arms_share_what_they_can_and_stand_side_by_side(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    sweep, arms = load_sweep(sweep_file())
    told: list[Any] = []
    folder = run_sweep(sweep, arms, tmp_path / "runs" / "k1", workers=1, begin=told.append)
    assert [choice.label for choice in told] == ["finders.0.k1 = 0.5", "finders.0.k1 = 1.5"]
    made = [read_json(tmp_path / "runs" / f"k1-{v}" / "manifest.json") for v in (0.5, 1.5)]
    assert [m["stages_made"] for m in made] == [5, 1]
    found = read_json(folder / "sweep.json")
    assert [a["run"] for a in found["arms"]] == ["k1-0.5", "k1-1.5"]
    assert (found["key"], found["keys"]) == ("finders.0.k1", ["finders.0.k1"])
    assert [(a["value"], a["values"]) for a in found["arms"]] == [
        (0.5, {"finders.0.k1": 0.5}), (1.5, {"finders.0.k1": 1.5}),
    ]  # fmt: skip
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
        ({"vary": {}}, "vary: "),
        (
            {"vary": {"training": [1, 2], "training.steps": [1, 2]}},
            "training.steps: lies within 'training'",
        ),
        (
            {"vary": {"training.steps": [1, 2], "questions": [4, 1]}},
            r"training\.steps = 1, questions = 1, in .*small\.yaml: questions: ",
        ),
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


def test_several_keys_make_a_grid_in_the_files_order(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = sweep_file(vary={"training.steps": [1, 120], "finders.0.k1": [0.5, 1.5]})
    sweep, arms = load_sweep(path, "3-4")
    assert [choice.values for choice, _ in arms] == [
        {"training.steps": s, "finders.0.k1": k} for s in (1, 120) for k in (0.5, 1.5)
    ]
    assert [study.training and study.training.steps for _, study in arms] == [1, 1, 120, 120]
    assert {study.seeds for _, study in arms} == {(3, 4)}
    folder = run_sweep(sweep, arms, tmp_path / "runs" / "grid", workers=1)
    found = read_json(folder / "sweep.json")
    assert found["keys"] == ["training.steps", "finders.0.k1"]
    assert "key" not in found
    assert [a["run"] for a in found["arms"]] == [
        f"grid-steps-{s}+k1-{k}" for s in (1, 120) for k in (0.5, 1.5)
    ]
    assert [bool(a["stopped"]) for a in found["arms"]] == [True, True, False, False]
    assert [a["values"] for a in found["arms"]] == [dict(c.values) for c, _ in arms]
    seen = {(r["arm"]["training.steps"], r["arm"]["finders.0.k1"]) for r in found["rows"]}
    assert seen == {(120, 0.5), (120, 1.5)}
    store = tmp_path / "runs" / ".store"
    # Two seeds: rows once, two trainings each, whatever the finder's arm.
    for stage, count in (("data", 2), ("train", 4), ("measure", 4)):
        assert len([p for p in store.glob(f"{stage}-*") if p.is_dir()]) == count
    console = Console(record=True, width=100)
    show_sweep(folder, console)
    text = console.export_text()
    assert "training.steps = 1, finders.0.k1 = 0.5: not learned" in " ".join(text.split())
    assert "training.steps × finders.0.k1" in text


def test_arms_side_by_side_leave_what_they_leave_in_turn(
    sweep_file: Callable[..., Path], two_workers: Dispatcher, tmp_path: Path
) -> None:
    path = sweep_file(vary={"training.steps": [1, 2]})
    sweep, arms = load_sweep(path)
    folders = [
        run_sweep(sweep, arms, tmp_path / "1" / "s", workers=1),
        run_sweep(sweep, arms, tmp_path / "2" / "s", launcher=two_workers),
    ]
    made = 0
    for choice, _ in arms:
        alone, pooled = (f.with_name(f"s-{choice.name}") for f in folders)
        made += read_json(pooled / "manifest.json")["stages_made"]
        assert (alone / "gate.json").read_bytes() == (pooled / "gate.json").read_bytes()
        answers = "seeds/0/measure/answers.jsonl"
        assert (alone / answers).read_bytes() == (pooled / answers).read_bytes()
    # Rows, which the arms share, are made once; each makes its subject and answers.
    assert made == 5
    assert len(list(folders[1].with_name(".store").glob("*/stage.json"))) == 5
    assert (folders[0] / "sweep.json").read_bytes() == (folders[1] / "sweep.json").read_bytes()


def without_costs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in r.items() if k not in ("seconds", "peak_mib", "epochs")} for r in rows
    ]


def test_a_killed_sweep_goes_on_to_the_same_scores(
    sweep_file: Callable[..., Path], begin_process: Callable[..., BaseProcess], tmp_path: Path
) -> None:
    path = sweep_file(vary={"training.steps": [120, 300]})
    out = tmp_path / "killed" / "s"
    process = begin_process(run_arms, path, out)
    half = out.with_name("s-120") / "scores.json"
    deadline = time.monotonic() + 60
    while not half.exists() and time.monotonic() < deadline and process.is_alive():
        time.sleep(0.01)
    process.kill()
    process.join()
    assert half.exists()
    assert not (out / "sweep.json").exists()
    sweep, arms = load_sweep(path)
    made = run_sweep(sweep, arms, out, workers=1)
    manifests = [read_json(out.with_name(f"s-{c.name}") / "manifest.json") for c, _ in arms]
    assert manifests[0]["stages_made"] == 0
    whole = run_sweep(sweep, arms, tmp_path / "whole" / "s", workers=1)
    found = [read_json(folder / "sweep.json") for folder in (made, whole)]
    for one in found:
        one["rows"] = without_costs(one["rows"])
    assert json.dumps(found[0]) == json.dumps(found[1])


def test_an_arm_that_cannot_be_trained_is_recorded(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = sweep_file(vary={"training.optimizer.lr": [1e30, 1e-2]},
                      set={"training.optimizer.clip": 0})  # fmt: skip
    found = read_json(run_sweep(*load_sweep(path), tmp_path / "lr", workers=1) / "sweep.json")
    assert re.search("the loss is .* lower lr", found["arms"][0]["stopped"])
    assert not found["arms"][1]["stopped"]
    assert {r["arm"] for r in found["rows"]} == {1e-2}
    path = sweep_file(vary={"training.optimizer.lr": [1e30, 2e30]},
                      set={"training.optimizer.clip": 0})  # fmt: skip
    with pytest.raises(
        InputError, match=r"training\.optimizer\.lr = 1e\+30: training: the loss is"
    ):
        run_sweep(*load_sweep(path), tmp_path / "both", workers=1)


@pytest.mark.parametrize(
    ("vary", "names"),
    [
        ({"a.b": [0.5, -1, "x/y"]}, ["0.5", "-1", "x-y"]),
        ({"a.b": ["x/y", "x:y"]}, ["x-y-*", "x-y-*"]),
        ({"a.b": [{"kind": "kl", "weight": 3}, None]}, ["kind-kl-weight-3", "None"]),
        ({"a.b": [1, 2], "c.b": [3, 4]}, ["a.b-1+c.b-3", "a.b-1+c.b-4", "a.b-2+c.b-3",
                                         "a.b-2+c.b-4"]),
        ({"a.lr": [1, 2], "lr": [3, 4]}, ["a.lr-1+lr-3", "a.lr-1+lr-4", "a.lr-2+lr-3",
                                         "a.lr-2+lr-4"]),
        ({"a.b": [list(range(60)), 2]}, ["0-1-2-3-4-5-6-7-8-9-10-11-12-13-????????", "2"]),
    ],
)  # fmt: skip
def test_names_of_arms_are_readable_and_differ(vary: dict[str, Any], names: list[str]) -> None:
    found = arm_names(vary)
    assert len(set(found)) == len(found)
    assert all(fnmatch(f, n) for f, n in zip(found, names, strict=True)), found


def test_arms_do_not_share_what_a_key_reaches_into(sweep_file: Callable[..., Path]) -> None:
    path = sweep_file(set={"finders": [{"kind": "bm25"}]})
    _, arms = load_sweep(path)
    assert [study.finders[0].model_dump()["k1"] for _, study in arms] == [0.5, 1.5]
