"""`seedbed sweep` from its file to the table, and its errors in one line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from seedbed.cli import main as cli
from seedbed.core.files import read_json


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["seedbed", "sweep", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_arms_are_run_and_shown_even_if_all_stop(
    small_study: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "steps.yaml"
    study = small_study(finders=["bm25"]).name
    path.write_text(yaml.safe_dump({"study": study, "vary": {"training.steps": [1, 2]}}))
    out = tmp_path / "runs" / "steps"
    assert call(monkeypatch, path, "--seeds", "4", "--out", out, "--workers", 1) == 0
    assert [a["run"] for a in read_json(out / "sweep.json")["arms"]] == ["steps-1", "steps-2"]
    seeds = {r["seed"] for r in read_json(tmp_path / "runs" / "steps-1" / "gate.json")}
    assert seeds == {4}
    shown = capsys.readouterr()
    assert "training.steps = 2: not learned" in " ".join(shown.out.split())
    assert "training.steps = 1" in shown.err


def test_a_grid_is_run_arm_by_arm(
    small_study: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "grid.yaml"
    study = small_study(finders=["bm25"]).name
    path.write_text(f"study: {study}\nvary: {{training.steps: [1, 2], questions: [4, 5]}}\n")
    out = tmp_path / "runs" / "grid"
    assert call(monkeypatch, path, "--seeds", "0-1", "--out", out, "--workers", 1) == 0
    assert [a["run"] for a in read_json(out / "sweep.json")["arms"]] == [
        f"grid-steps-{s}+questions-{q}" for s in (1, 2) for q in (4, 5)
    ]
    gate = read_json(tmp_path / "runs" / "grid-steps-2+questions-5" / "gate.json")
    assert {r["seed"] for r in gate} == {0, 1}
    shown = capsys.readouterr()
    assert "training.steps = 2, questions = 4" in shown.err
    assert "training.steps = 1, questions = 5: not learned" in " ".join(shown.out.split())


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (None, [], "gone.yaml: no such file"),
        ("study: gone.yaml\nvary: {a: [1, 2]}\n", [], "gone.yaml: no such file"),
        ("study: small.yaml\n", [], "vary"),
        ("study: small.yaml\nvary: {questions: [4, 1]}\n", [], "questions = 1"),
        ("study: small.yaml\nvary: {questions: [4, 5]}\n", ["--seeds", "x"], "--seeds x: write"),
        (
            "study: small.yaml\nvary: {questions: [4, 5], training.batch: [8, 0]}\n",
            [],
            "questions = 4, training.batch = 0, in ",
        ),
    ],
)
def test_mistakes_are_one_line(
    text: str | None,
    words: list[str],
    message: str,
    small_study: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small_study()
    path = tmp_path / ("sweep.yaml" if text else "gone.yaml")
    if text:
        path.write_text(text)
    assert call(monkeypatch, path, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("runs*"))
