"""Finders on cells and layers, and mediation, on the user's own files."""

import json
import sys
from pathlib import Path

import pytest

from seedbed.cli import main as cli
from seedbed.core.files import read_rows, write_rows
from seedbed.core.mediation import Measurement
from seedbed.core.rows import Pair, Question
from seedbed.core.tables import read_claim


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["seedbed", *map(str, words)])
    try:
        cli.main()
    except SystemExit as caught:
        return int(caught.code or 0)
    return 0


@pytest.fixture
def files(counting_run: Path, tmp_path: Path) -> Path:
    """questions.jsonl and pairs.jsonl of twelve pairs, without what only a world knows."""
    pairs = read_rows(counting_run / "seeds" / "0" / "data" / "pairs.jsonl", Pair)[:12]
    write_rows(tmp_path / "pairs.jsonl", [p.blind() for p in pairs])
    write_rows(tmp_path / "questions.jsonl", [p.clean.blind() for p in pairs])
    return tmp_path


def test_patching_is_found_and_scored_on_files(
    counting_run: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = counting_run / "seeds" / "0"
    for name in ("claim.npz", "claim.jsonl"):
        done = call(
            monkeypatch, "find", "patching", "--subject", here / "train" / "subject",
            "--questions", files / "questions.jsonl", "--pairs", files / "pairs.jsonl",
            "--out", files / name,
        )  # fmt: skip
        assert done == 0
    claim = read_claim(files / "claim.npz")
    assert len(claim.questions) == 12
    assert claim.sites[0].startswith("resid_pre.0@")
    asked = {q.id for q in read_rows(files / "questions.jsonl", Question)}
    full = read_rows(here / "data" / "questions.jsonl", Question)
    write_rows(files / "full.jsonl", [q for q in full if q.id in asked])
    out = files / "scores.json"
    done = call(monkeypatch, "score", files / "claim.npz", "--truth", here / "data" / "truth.npz",
                "--questions", files / "full.jsonl", "--out", out)  # fmt: skip
    assert done == 0
    rows = {(r["finder"], r["metric"], r["slice"]): r for r in json.loads(out.read_text())}
    assert rows["claim", "average_precision", "all"]["value"] == 1
    assert rows["claim", "average_precision", "all"]["chance"] < 0.5


def test_layers_are_found_with_a_base(
    counting_run: Path, files: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    base = counting_run / "seeds" / "0" / "train" / "subject"
    subject = counting_run / "seeds" / "0" / "organisms" / "drift" / "subject"
    words = ("find", "weight-difference", "--subject", subject, "--questions",
             files / "questions.jsonl", "--out", files / "layers.jsonl")  # fmt: skip
    assert call(monkeypatch, *words) == 2
    assert "--base" in capsys.readouterr().err
    assert call(monkeypatch, *words, "--base", base) == 0
    assert set(read_claim(files / "layers.jsonl").sites) == {"0", "1"}


def test_parts_and_rules_are_found_on_files(
    counting_run: Path, files: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rows = read_rows(files / "questions.jsonl", Question)
    own = [
        {"prompt": q.prompt, "answer": q.answer, "choices": q.choices,
         "places": {name: list(span) for name, span in q.places.items()},
         "rules": {"right": q.answer, "first": q.choices[0]}, "mine": "kept out"}
        for q in rows
    ]  # fmt: skip
    (files / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    here = counting_run / "seeds" / "0" / "train" / "subject"
    for finder, sites in (("ablation", set(rows[0].places)), ("rule-fit", {"right", "first"})):
        out = files / f"{finder}.jsonl"
        words = ("find", finder, "--subject", here, "--questions", files / "own.jsonl",
                 "--out", out, "--top", "50")  # fmt: skip
        assert call(monkeypatch, *words) == 0
        claim = read_claim(out)
        assert len(claim.questions) == 12
        assert sites <= set(claim.sites)
        assert claim.scores.any()
        printed = capsys.readouterr().out
        assert {"ablation": "parts in ", "rule-fit": " 2 rules in "}[finder] in printed
        name, (start, end) = next(iter(rows[0].places.items()))
        shown = {"ablation": f"{name}  {rows[0].prompt[start:end]!r}",
                 "rule-fit": f"right  {rows[0].answer}"}  # fmt: skip
        assert shown[finder] in printed
    for key, what in (("places", "has no places"), ("rules", "has no rules")):
        bare = [{k: v for k, v in row.items() if k != key} for row in own]
        (files / "bare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bare))
        finder = "ablation" if key == "places" else "rule-fit"
        assert call(monkeypatch, "find", finder, "--subject", here, "--questions",
                    files / "bare.jsonl", "--out", files / "none.jsonl") == 2  # fmt: skip
        assert f"question 'line-1': {what}" in capsys.readouterr().err


def test_mediation_on_files(
    counting_run: Path, files: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    subject = counting_run / "seeds" / "0" / "train" / "subject"
    (files / "m").mkdir()
    (files / "m" / "notes.txt").write_text("mine")
    done = call(monkeypatch, "mediate", subject, files / "pairs.jsonl", "--out", files / "m",
                "--set", "streams=[mlp_out]")  # fmt: skip
    assert done == 0
    rows = json.loads((files / "m" / "mediation.json").read_text())
    found = [Measurement.model_validate(r) for r in rows]
    assert {r.section for r in found} == {"total", "effects", "map", "controls"}
    said = " ".join(capsys.readouterr().out.split())
    assert "equals the total effect" in said
    # Nothing was asked about the residual stream, so nothing is said of it.
    assert "Largest indirect effect" not in said
    assert "Indirect effects by place" not in said
    assert (files / "m" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"q0": {"item1": "two"}}, "states.json: q0.item1"),
        ([1], "states.json: the file"),
        ({"q0": {"item77": 1}}, "question 'q0' has no place 'item77'"),
    ],
)
def test_states_that_do_not_fit_are_named(
    states: object, said: str, counting_run: Path, files: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (files / "states.json").write_text(json.dumps(states))
    subject = counting_run / "seeds" / "0" / "train" / "subject"
    assert call(monkeypatch, "mediate", subject, files / "pairs.jsonl", "--out", files / "m",
                "--states", files / "states.json") == 2  # fmt: skip
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("find", "bm25", "--subject", "S", "--questions", "Q", "--out", "o.jsonl"),
         "give --documents"),
        (("find", "patching", "--subject", "S", "--questions", "Q", "--out", "o.jsonl",
          "--ranked", "r.jsonl"), "--ranked ranks documents"),
        (("mediate", "S", "nowhere.jsonl", "--out", "o"), "nowhere.jsonl"),
        (("mediate", "S", "Q", "--out", "o", "--set", "stream=[resid]"), "streams"),
        (("find", "patching", "--subject", "S", "--questions", "Q", "--out", "o.jsonl"),
         "patching needs pairs"),
    ],
)  # fmt: skip
def test_unfit_input_is_one_line(
    words: tuple[str, ...], said: str, counting_run: Path, files: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(files)
    names = {"S": counting_run / "seeds" / "0" / "train" / "subject", "Q": "questions.jsonl"}
    assert call(monkeypatch, *(names.get(w, w) for w in words)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (files / "o").exists()
    assert not (files / "o.jsonl").exists()
