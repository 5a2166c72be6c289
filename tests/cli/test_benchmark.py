"""`seedbed benchmark` as it is called: files, worlds and studies in, a page out, one line else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seedbed.cli.benchmark import questions_of
from seedbed.cli.main import app
from seedbed.core.errors import ConfigError, DataError, InputError
from seedbed.core.files import read_json, write_rows
from seedbed.core.rows import Question

QUESTIONS = [
    Question(id=f"q{i}", prompt=f"list {i}: a b", choices=(" 0", " 1", " 2"), answer=f" {i % 3}",
             cause=f"c{i}", split="train" if i >= 12 else "id", slices={"length": str(i % 2)})
    for i in range(14)
]  # fmt: skip


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file of questions, two of them of the split train."""
    path = tmp_path / "questions.jsonl"
    write_rows(path, QUESTIONS)
    return path


@pytest.fixture
def script(tmp_path: Path) -> str:
    """A chat model that says 1 to everything."""
    path = tmp_path / "script.jsonl"
    path.write_text("".join(json.dumps({"when": w, "reply": "1"}) + "\n" for w in ("list", "of")))
    return f"one=scripted:{path}"


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["benchmark", *arguments], catch_exceptions=True)


def refused(*arguments: str) -> InputError:
    done = call(*arguments)
    assert isinstance(done.exception, InputError), done.output
    assert done.exception.exit_code == 2
    assert "\n" not in str(done.exception)
    return done.exception


def test_a_file_of_questions(rows: Path, script: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = call(str(rows), "--subject", script, "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "one: not learned" in done.output
    assert done.output.strip().endswith("benchmark.html")
    found = read_json(out / "benchmark.json")
    assert found["questions"] == 12
    assert found["subjects"][0]["name"] == "one"
    assert "one" in (out / "benchmark.html").read_text()
    kept = next((out / "subjects").glob("one-*/answers.jsonl")).read_text().splitlines()
    assert [json.loads(line)["number"] for line in kept] == [1] * 12


def test_the_limit_draws_evenly_and_the_same(rows: Path) -> None:
    found = [[q.id for q in questions_of(str(rows), seed, 5, [])] for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert len(set(found[0])) == 5
    assert found[0] == sorted(found[0], key=lambda key: int(key[1:]))
    assert set(found[0]) <= {f"q{i}" for i in range(12)}
    assert len(questions_of(str(rows), 0, 99, [])) == 12


def test_a_world_and_a_study(tmp_path: Path) -> None:
    sets = ["asked.questions=9", "lists=20"]
    study = tmp_path / "study.yaml"
    study.write_text("world: {kind: counting, asked: {questions: 9}, lists: 20}\n")
    found = questions_of("counting", 1, 0, sets)
    assert found == questions_of(str(study), 1, 0, [])
    assert found != questions_of("counting", 2, 0, sets)
    assert len(found) == 9
    assert {q.split for q in found} == {"id"}


def test_examples_of_the_data_loop(tmp_path: Path) -> None:
    path = tmp_path / "my: examples.jsonl"
    words = ["apple", "robot", "pear", "newt", "bicycle"]
    write_rows(path, [{"category": "fruits", "words": words, "num_target": 2}])
    found = questions_of(str(path), 0, 0, [])
    assert [q.answer for q in found] == [" 2"]
    assert found[0].prompt.startswith("Here is a list of words.")
    assert questions_of(str(path), 0, 0, ["form=compact"])[0].prompt.startswith("fruits:")


def test_what_is_wrong_is_one_line(rows: Path, script: str, tmp_path: Path) -> None:
    out = ["--subject", script, "--out", str(tmp_path / "out")]
    assert "did you mean" in str(refused(str(rows.with_name("question.jsonl")), *out))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert isinstance(refused(str(empty), *out), DataError)
    words = tmp_path / "words.jsonl"
    write_rows(words, [{"id": "q", "prompt": "x", "answer": "a", "choices": ["a", "b"]}])
    assert "its answer 'a' is no whole number" in str(refused(str(words), *out))
    train = tmp_path / "train.jsonl"
    write_rows(train, QUESTIONS[12:])
    assert "has no held-out question" in str(refused(str(train), *out))
    assert "did you mean 'counting'" in str(refused("countin", *out))
    assert "--set means nothing" in str(refused(str(rows), *out, "--set", "a=1"))
    twice = refused(str(rows), *out, "--subject", script)
    assert isinstance(twice, ConfigError)
    assert "'one' stands there twice" in str(twice)
    assert "write it as PLACE" in str(refused(str(rows), "--subject", "x=", *out[2:]))
    assert not (tmp_path / "out").exists()


def test_the_command_line_says_it_in_one_line(rows: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.jsonl"
    write_rows(words, [{"id": "q", "prompt": "x", "answer": "a", "choices": ["a", "b"]}])
    command = [sys.executable, "-m", "seedbed.cli.main", "benchmark", str(words)]
    command += ["--subject", "scripted:x", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: question 'q': its answer 'a' is no whole number\n"
