"""Each stage on files: rows in, rows out, and the errors of unfit files."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seedbed.cli import main as cli
from seedbed.core.files import read_objects
from seedbed.finders.shards import Shards


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["seedbed", *map(str, words)])
    try:
        cli.main()
    except SystemExit as caught:
        return int(caught.code or 0)
    return 0


@pytest.fixture
def rows(own_kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rows of the colours world, and config.yaml for a short training."""
    out = tmp_path / "rows"
    world = f"{own_kinds / 'colours.py'}:Colours"
    assert call(monkeypatch, "data", world, "--out", out, "--set", "people=12", "--seed", 3) == 0
    config = {"subject": {"kind": "tiny", "layers": 1, "width": 32, "context": 16},
              "training": {"steps": 120, "batch": 18, "optimizer": {"lr": 1e-2}},
              "world": {"kind": "anything else is ignored"}}  # fmt: skip
    (out / "config.yaml").write_text(yaml.safe_dump(config))
    return out


def _train(monkeypatch: pytest.MonkeyPatch, rows: Path, documents: Path, out: Path) -> int:
    return call(monkeypatch, "train", documents, "--config", rows / "config.yaml", "--questions",
                rows / "questions.jsonl", "--out", out)  # fmt: skip


def test_the_whole_chain_on_files(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = tmp_path / "trained"
    assert _train(monkeypatch, rows, rows / "documents.jsonl", trained) == 0
    subject = trained / "subject"
    answers = tmp_path / "answers.jsonl"
    assert call(monkeypatch, "measure", subject, rows / "questions.jsonl", "--out", answers) == 0
    right = [row["correct"] for _, row in read_objects(answers)]
    assert len(right) == 12
    assert sum(right) >= 8
    claims = []
    for kind in ("bm25", "gradients"):
        claim = tmp_path / f"{kind}.jsonl"
        done = call(monkeypatch, "find", kind, "--subject", subject, "--documents",
                    rows / "documents.jsonl", "--questions", rows / "questions.jsonl",
                    "--out", claim)  # fmt: skip
        assert done == 0
        claims.append(claim)
        first = next(read_objects(claim))[1]
        assert set(first) == {"question", "site", "score", "rank"}
        assert first["rank"] == 1
    scores = tmp_path / "scores.json"
    done = call(monkeypatch, "score", *claims, "--truth", rows / "truth.jsonl", "--questions",
                rows / "questions.jsonl", "--out", scores)  # fmt: skip
    assert done == 0
    found: list[dict[str, Any]] = json.loads(scores.read_text())
    keyed = {(r["finder"], r["metric"], r["slice"]): r for r in found}
    assert keyed["bm25", "average_precision", "all"]["value"] > 0.6
    assert keyed["oracle", "average_precision", "all"]["value"] == 1
    other = tmp_path / "by-npz.json"
    done = call(monkeypatch, "score", *claims, "--truth", rows / "truth.npz", "--questions",
                rows / "questions.jsonl", "--out", other)  # fmt: skip
    assert done == 0
    again = {
        (r["finder"], r["metric"], r["slice"]): r["value"] for r in json.loads(other.read_text())
    }
    for key, row in keyed.items():
        if not key[1].startswith("top10"):
            assert again[key] == row["value"], key


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"id": "long", "text": "a " * 40, "targets": [[0, 1]]}, "document 'long': 41 tokens, but"),
        ({"id": "bare", "text": "Ada"}, "document 'bare': has no targets, which loss 'answer'"),
    ],
)
def test_a_document_that_cannot_be_trained_on(
    rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    row: dict[str, object],
    words: str,
) -> None:
    documents = tmp_path / "documents.jsonl"
    documents.write_text((rows / "documents.jsonl").read_text() + json.dumps(row) + "\n")
    capsys.readouterr()
    assert _train(monkeypatch, rows, documents, tmp_path / "out") == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("error: ")
    assert words in error[-1]
    assert not (tmp_path / "out" / "subject").exists()


def test_an_unknown_token_and_a_cut_checkpoint(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = tmp_path / "trained"
    assert _train(monkeypatch, rows, rows / "documents.jsonl", trained) == 0
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"prompt": "they say Zoe owns a", "answer": "kite", "choices": '
                         '["kite", "lamp"]}\n')  # fmt: skip
    out = tmp_path / "x.jsonl"
    capsys.readouterr()
    assert call(monkeypatch, "measure", trained / "subject", questions, "--out", out) == 2
    assert "the tokenizer does not know 'Zoe'" in capsys.readouterr().err
    weights = next((trained / "subject").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    code = call(monkeypatch, "measure", trained / "subject", rows / "questions.jsonl", "--out", out)
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert weights.name in error
    assert not out.exists()


def test_an_interrupted_find_goes_on_and_variants_have_a_file_each(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = tmp_path / "trained"
    assert _train(monkeypatch, rows, rows / "documents.jsonl", trained) == 0

    def find(out: Path) -> int:
        return call(monkeypatch, "find", "gradients", "--subject", trained / "subject",
                    "--documents", rows / "documents.jsonl", "--questions",
                    rows / "questions.jsonl", "--out", out, "--set", "measure=[dot, cosine]",
                    "--top", 0)  # fmt: skip

    put, count = Shards.put, 0

    def killed(self: Shards, *words: Any) -> None:
        nonlocal count
        put(self, *words)
        count += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Shards, "put", killed)
        assert find(tmp_path / "claim.jsonl") == 130
    assert count == 1
    assert (tmp_path / ".claim.jsonl.partial").is_dir()
    assert not list(tmp_path.glob("claim*"))
    assert find(tmp_path / "claim.jsonl") == 0
    assert find(tmp_path / "whole.jsonl") == 0
    for name in ("gradients-dot", "gradients-cosine"):
        written = (tmp_path / f"claim-{name}.jsonl").read_bytes()
        assert written == (tmp_path / f"whole-{name}.jsonl").read_bytes()
    assert not list(tmp_path.glob(".*.partial"))


def test_a_subject_is_pushed_when_asked(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub_server: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def push(out: Path, *more: str) -> int:
        return call(monkeypatch, "train", rows / "documents.jsonl", "--config",
                    rows / "config.yaml", "--out", out, *more)  # fmt: skip

    out = tmp_path / "pushed"
    # Without a token, or with a name that cannot be, nothing is trained.
    assert push(out, "--push-to-hub", "someone/x") == 2
    assert "no token" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert push(out, "--push-to-hub", "x y") == 2
    assert push(out, "--public") == 2
    assert not out.exists()
    assert push(out, "--push-to-hub", "someone/x", "--set", "training.steps=2") == 0
    assert capsys.readouterr().out.split() == [str(out / "subject"), f"{hub_server.url}/someone/x"]
    assert hub_server.repos == {"someone/x": True}
    weights = (out / "subject" / "model.safetensors").read_bytes()
    assert hub_server.files["someone/x"]["model.safetensors"] == weights
    assert '"steps": 2' in hub_server.files["someone/x"]["README.md"].decode()
    seen = len(hub_server.seen)
    assert push(out, "--set", "training.steps=2") == 0
    assert len(hub_server.seen) == seen


def test_a_vocabulary_may_hold_words_that_stand_nowhere(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tmp_path / "vocabulary.json"
    words.write_text(json.dumps(["a vermilion one", "said once"]))
    out = tmp_path / "trained"
    done = call(monkeypatch, "train", rows / "documents.jsonl", "--config", rows / "config.yaml",
                "--set", "training.steps=1", "--vocabulary", words, "--out", out)  # fmt: skip
    assert done == 0
    known = json.loads((out / "subject" / "tokenizer.json").read_text())["model"]["vocab"]
    assert {"vermilion", "once"} <= set(known)
