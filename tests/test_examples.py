"""The examples run as they stand."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seedbed.models.folders import save_subject
from seedbed.models.tiny import Tiny

EXAMPLES = Path(__file__).parents[1] / "examples"


Run = Callable[..., list[str]]


@pytest.fixture
def run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs an example as a script in this process; the lines that it prints."""

    def run(name: str, *words: object) -> list[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out.strip().splitlines()

    return run


def test_run_a_study(tmp_path: Path) -> None:
    # Its workers are processes of their own, so it must be one that they can read.
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "run_a_study.py")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    values = {line.split()[0]: float(line.split()[1]) for line in lines}
    assert set(values) == {"bm25", "gradients", "chance", "oracle"}
    assert values["oracle"] == 1
    assert values["gradients"] > values["chance"]


def test_rank_own_documents(run_here: Run, tmp_path: Path) -> None:
    texts = ["the cat sat", "the dog ran", "a cat ran"]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    (tmp_path / "q.jsonl").write_text(json.dumps({"query": "the dog", "completion": "ran"}) + "\n")
    save_subject(Tiny(layers=1, width=16, heads=2).build(texts, [], 0), tmp_path / "model")
    out = "\n".join(run_here("rank_own_documents.py", "model", "d.jsonl", "q.jsonl"))
    assert "bm25: 'the dog' ← line-2" in out
    assert "gradients: " in out


def test_which_parts_decide(run_here: Run, tmp_path: Path) -> None:
    prompts = {"big dog runs": "yes", "small cat sits": "no", "big cat runs": "yes"}
    rows = []
    for prompt, answer in prompts.items():
        first, second, _ = prompt.split()
        places = {"size": (0, len(first)), "animal": (len(first) + 1, len(f"{first} {second}"))}
        rows.append({"prompt": prompt, "choices": [" yes", " no"], "answer": f" {answer}",
                     "places": places})  # fmt: skip
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = [f"{prompt} {answer}" for prompt, answer in prompts.items()]
    save_subject(Tiny(layers=1, width=16, heads=2).build(texts, [], 0), tmp_path / "model")
    lines = run_here("which_parts_decide.py", "model", "q.jsonl")
    assert len(lines) == 3
    assert all("size " in line and "animal " in line for line in lines)


def test_which_layer_carries_it(run_here: Run) -> None:
    lines = run_here("which_layer_carries_it.py", 3)
    right = {line.partition(":")[0]: line for line in lines}
    assert "3 of 3 right" in right["kl"]
    assert "3 of 3 right" in right["logit"]
    # A distribution compared with a copy of itself has no gradient, or is no distance at all.
    assert "0 of 3 right" in right["published, KL of p and p"]
    assert "its loss is nan" in right["published, earlier"]
