import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seedbed.cli import main as cli


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Run the command line in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["seedbed", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from seedbed.cli.main import app\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("seedbed 0.")


CASES = [
    (["run", "gone.yaml"], "gone.yaml: no such file"),
    (["run", "."], "is a folder, a file is needed"),
    (["run", "{study}", "--set", "training.stps=3"], "training.stps: unknown key; did you mean 's"),
    (["run", "{study}", "--set", "training.steps=many"], "training.steps: Input should be a valid"),
    (["run", "{study}", "--seeds", "x"], "--seeds x: write it as 0-4 or 0,2,5"),
    (["list", "wrolds"], "list wrolds: known are worlds, finders, subjects and studies"),
    (["new", "world", "Bad-Name"], "must be a lower-case Python identifier"),
    (["new", "planet", "x"], "new planet: a world or a finder can be made"),
    (["data", "hopps", "--out", "x"], "unknown world kind 'hopps'; did you mean 'hops'"),
    (["data", "hops", "--out", "x", "--set", "basis=3"], "basis: unknown key; did you mean"),
    (["show", "gone"], "gone"),
    (["compare", "gone", "gone"], "gone"),
    (["fetch", "smolm2"], "smollm2"),
    (["find", "bm25", "--documents", "{empty}", "--questions", "{questions}", "--subject",
      "{empty}", "--out", "x.jsonl"], "empty.jsonl: is empty"),
    (["find", "bm25", "--documents", "{notext}", "--questions", "{questions}", "--subject",
      "{empty}", "--out", "x.jsonl"], "notext.jsonl:2: has no text"),
    (["find", "bm25", "--documents", "{twice}", "--questions", "{questions}", "--subject",
      "{empty}", "--out", "x.jsonl"], "twice.jsonl:2: id 'a' stands on line 1"),
    (["find", "bm25", "--documents", "{rows}", "--questions", "{questions}", "--subject",
      "nobody/no-such-model", "--out", "x.jsonl"], "nobody/no-such-model"),
    (["measure", "nobody/no-such-model", "{questions}", "--out", "x.jsonl"],
     "nobody/no-such-model"),
    (["score", "gone.jsonl", "--truth", "{rows}", "--questions", "{questions}", "--out", "x.json"],
     "gone.jsonl: no such file"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_bad_input_is_one_line_exit_2_and_nothing_written(
    words: list[str],
    expected: str,
    small_study: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {
        "empty": "",
        "rows": '{"id": "a", "text": "b"}\n',
        "notext": '{"id": "a", "text": "b"}\n{"id": "c"}\n',
        "twice": '{"id": "a", "text": "b"}\n{"id": "a", "text": "c"}\n',
        "questions": '{"prompt": "x", "answer": "y", "choices": ["y", "z"]}\n',
    }
    names = {"study": small_study()}
    for name, text in files.items():
        names[name] = tmp_path / f"{name}.jsonl"
        names[name].write_text(text)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    code = call(monkeypatch, *[w.format(**names) for w in words])
    error = capsys.readouterr().err
    assert code == 2, error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert expected in error
    assert list(work.iterdir()) == []


def test_a_full_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "x"))

    monkeypatch.setattr(Path, "open", full)
    assert call(monkeypatch, "data", "hops", "--out", tmp_path / "data") == 2
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seedbed.runs.index.Index.open", interrupted)
    assert call(monkeypatch, "runs", "rebuild", tmp_path) == 130
    assert capsys.readouterr().err.strip() == (
        "error: interrupted; the same command goes on from here"
    )


def test_worlds_say_about_which_kinds_of_site_they_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    assert call(monkeypatch, "list", "worlds") == 0
    listed = capsys.readouterr().out
    assert "document, cell, input, direction" in listed
    assert call(monkeypatch, "list", "finders") == 0
    assert "as set" in capsys.readouterr().out
