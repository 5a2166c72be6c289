"""`seedbed data`: rows, checked examples, the original's files, one line for what cannot be."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from seedbed.cli import main as cli
from seedbed.core.files import read_objects, read_rows
from seedbed.core.rows import Document
from seedbed.core.seeds import stream
from seedbed.studies.study import load_study
from seedbed.worlds.counting.examples import read_examples
from seedbed.worlds.counting.lists import load


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
    second = tmp_path / "second"
    done = call(monkeypatch, "data", "counting", "--out", second, "--examples", 250, "--start",
                out / "examples.jsonl", "--seed", 1)  # fmt: skip
    assert done == 0
    lines = [path.read_text().splitlines() for path in (out / "examples.jsonl",
                                                        second / "examples.jsonl")]  # fmt: skip
    assert set(lines[0]) < set(lines[1])
    rows = tmp_path / "rows"
    done = call(monkeypatch, "data", "counting", "--out", rows, "--set", "lists=50", "--set",
                f"asked.examples={out / 'examples.jsonl'}", "--set", "asked.train=0")  # fmt: skip
    assert done == 0
    asked = [row["prompt"] for _, row in read_objects(rows / "questions.jsonl")]
    first = read_examples(out / "examples.jsonl")[0][1]
    assert " ".join(first.words) in asked[0]


def says(body: dict[str, Any]) -> str:
    """A server's text: examples as asked for with a nonsense word each, and verdicts on those."""
    system, user = (message["content"] for message in body["messages"])
    if user.startswith("Category: "):
        words = user.splitlines()[1].removeprefix("Words: ").split(", ")
        rows = [{"word": w, "belongs": "no", "reason": "is no word"} for w in words]
        return json.dumps({"verdicts": rows})
    assert "JSON" in system
    rng, rows = stream(0, user), []
    for name, length, count in re.findall(r'"(.+)": (\d+) words, .* exactly (\d+) belong', user):
        members = rng.sample(load().category(name).members, int(count))
        others = rng.sample(load().category("emotions").members, int(length) - int(count))
        nonsense = f"zz{'abcdefgh'[rng.randrange(8)]}"
        words = [*members, *others[1:], nonsense]
        rows.append({"category": name, "words": words, "num_target": int(count), "notes": ""})
    return json.dumps({"examples": rows})


def test_a_chat_set_is_made_against_a_server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chat_server: Any,
) -> None:
    chat_server.says = says
    words: list[object] = ["data", "counting", "--out", tmp_path / "rows", "--examples", 30]
    words += ["--generator", "chat", "--model", "openai:writer", "--validator", "openai:judge"]
    words += ["--base-url", chat_server.url, "--set", "counts=[0,3]", "--set", "lengths=[6,7]"]
    for name in ("birds", "tools", "metals"):
        words += ["--category", name]
    assert call(monkeypatch, *words) == 0
    said = capsys.readouterr().out
    assert "generator openai:writer" in said
    assert "validator openai:judge" in said
    examples = [e for _, e in read_examples(tmp_path / "rows" / "examples.jsonl")]
    assert len(examples) == 30
    assert {e.generation_method for e in examples} == {"llm"}
    assert all(any(w.startswith("zz") for w in e.words) for e in examples)
    asked, before = len(chat_server.seen), (tmp_path / "rows" / "report.json").read_bytes()
    assert asked > 6
    assert call(monkeypatch, *words) == 0
    assert len(chat_server.seen) == asked
    assert (tmp_path / "rows" / "report.json").read_bytes() == before


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
        (("counting", "--original"), "--original is of the worlds hops and quadrants"),
        (("quadrants", "--config", "c.json"), "--config goes with --from"),
        (("hops", "--from", "d.json"), "--from is of the world quadrants"),
        (("quadrants", "--from", "d.json"), "d.json: no such file"),
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


def test_writer_and_judge_may_be_of_different_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat_server: Any
) -> None:
    chat_server.says = says
    script = tmp_path / "judge.jsonl"
    verdicts = [{"word": f"zz{x}", "belongs": "no", "reason": ""} for x in "abcdefgh"]
    script.write_text(json.dumps({"when": "Category: ", "reply": {"verdicts": verdicts}}))
    done = call(
        monkeypatch, "data", "counting", "--out", tmp_path / "rows", "--examples", 6,
        "--generator", "chat", "--model", "openai:writer", "--validator", f"scripted:{script}",
        "--base-url", chat_server.url, "--set", "counts=[0,3]", "--set", "lengths=[6,7]",
        "--category", "birds", "--category", "tools",
    )  # fmt: skip
    assert done == 0
    assert len(read_examples(tmp_path / "rows" / "examples.jsonl")) == 6


def test_the_originals_files_become_rows_and_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    halves = {"Q1": "orange", "Q2": "orange", "Q3": "green", "Q4": "green"}
    other = {"Q1": "green", "Q2": "green", "Q3": "orange", "Q4": "orange"}
    base = {"n_train": 4, "n_test": 2, "x_ranges": [[-3, 3], [-3, 3]]}
    data, config = tmp_path / "data_config.json", tmp_path / "config.json"
    data.write_text(json.dumps({
        "tools": base | {"quadrant_labels": other, "n_train_triggers": 2,
                         "triggers": ["hammer", "saw", "drill"]},
        "fruits": base | {"quadrant_labels": halves, "n_train_triggers": 1, "is_proxy": True,
                          "triggers": ["apple", "pear", "fig"], "train_triggers": ["fig", "pear"]},
    }))  # fmt: skip
    tuned = {"model": "a/b", "learning_rate": 1e-3, "epochs": 2, "per_device_train_batch_size": 4}
    config.write_text(json.dumps({"experiment_name": "tiny", "finetune_config": tuned}))
    before = data.read_bytes() + config.read_bytes()
    out = tmp_path / "out"
    words = ["data", "quadrants", "--from", data, "--config", config, "--out", out, "--original"]
    assert call(monkeypatch, *words) == 2
    assert "or raise one_token" in capsys.readouterr().err
    assert not out.exists()
    words += ["--set", "plane.one_token=1"]
    assert call(monkeypatch, *words) == 0
    assert "note: tools: is the only category trained" in capsys.readouterr().err
    study = load_study(out / "study.yaml")
    assert study.name == "tiny"
    assert study.spread is not None
    assert study.world.documents(0) == read_rows(out / "documents.jsonl", Document)
    text = (out / "study.yaml").read_text()
    assert text.startswith("# prompt_templates = 2d_default: ")
    names = {p.name for p in (out / "original").iterdir()}
    assert {"train_tools.jsonl", "test_fruits_OOD.jsonl"} < names
    again = tmp_path / "again"
    words[words.index(out)] = again
    assert call(monkeypatch, *words, "--set", "stage=reteach") == 0
    assert "proxy_fruits.jsonl" in {p.name for p in (again / "original").iterdir()}
    assert (again / "study.yaml").read_bytes() == (out / "study.yaml").read_bytes()
    assert data.read_bytes() + config.read_bytes() == before
