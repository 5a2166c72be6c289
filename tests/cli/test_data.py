"""`seedbed data counting`: rows, checked examples, and one line for what cannot be."""

import json
import sys
from pathlib import Path

import pytest

from seedbed.cli import main as cli
from seedbed.core.files import read_objects
from seedbed.worlds.counting.examples import read_examples


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["seedbed", *map(str, words)])
    try:
        cli.main()
    except SystemExit as caught:
        return int(caught.code or 0)
    return 0


def test_rows_of_a_world_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "rows"
    assert call(monkeypatch, "data", "counting", "--out", out, "--set", "lists=50") == 0
    assert len(list(read_objects(out / "documents.jsonl"))) == 50
    assert len(list(read_objects(out / "pairs.jsonl"))) == 90


def test_examples_are_made_and_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "examples"
    assert call(monkeypatch, "data", "counting", "--out", out, "--examples", 236) == 0
    said = capsys.readouterr().out
    assert "systematic" in said
    assert "0 disputed labels" in said
    assert "word diversity" in said
    assert len(read_examples(out / "examples.jsonl")) == 236
    report = json.loads((out / "report.json").read_text())
    assert report["complete"] is True
    assert set(report["distributions"]) == {"count", "length", "category"}
    rows = tmp_path / "rows"
    done = call(monkeypatch, "data", "counting", "--out", rows, "--set", "lists=50", "--set",
                f"asked.examples={out / 'examples.jsonl'}", "--set", "asked.train=0")  # fmt: skip
    assert done == 0
    asked = [row["prompt"] for _, row in read_objects(rows / "questions.jsonl")]
    first = read_examples(out / "examples.jsonl")[0][1]
    assert " ".join(first.words) in asked[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("counting", "--examples", 10, "--category", "fruit"), "did you mean 'fruits'?"),
        (("counting", "--examples", 10, "--generator", "chat"), "needs a chat model: give --model"),
        (("counting", "--examples", 10, "--generator", "char"), "generator: "),
        (("counting", "--generator", "chat"), "go with --examples"),
        (("hops", "--examples", 10), "is of the world counting, not of 'hops'"),
        (("counting", "--examples", 10, "--set", "counts=[0,8]", "--set", "lengths=[5,6]"),
         "do not fit into lists of 5 words"),
        (("counting", "--examples", 10, "--generator", "chat", "--model", "openay:x"), "openay"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[object, ...],
    message: str,
) -> None:
    out = tmp_path / "rows"
    assert call(monkeypatch, "data", *words, "--out", out) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (out / "examples.jsonl").exists()
