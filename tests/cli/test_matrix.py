"""`seedbed matrix` from its file to the site, and its errors in one line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from seedbed.cli import main as cli
from seedbed.core.files import read_json


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["seedbed", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_all_studies_run_and_the_site_shows_them(
    small_study: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "matrix.yaml"
    good = small_study(seeds=[0], finders=["bm25"])
    values = yaml.safe_load(good.read_text())
    values["training"]["steps"] = 1
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(values))
    path.write_text("sizes: {smoke: {short: short.yaml}, good: {colours: small.yaml}}\n")
    out = tmp_path / "runs" / "m"
    given = ("matrix", path, "--out", out, "--workers", 1)
    assert call(monkeypatch, *given, "--size", "good") == 0
    shown = capsys.readouterr()
    assert "colours          finished in" in shown.out
    assert read_json(out / "matrix.json")["size"] == "good"
    page = out / "site" / "index.html"
    assert f"Site: {page}" in shown.out
    assert "bm25" in page.read_text()
    assert call(monkeypatch, *given) == 1
    shown = capsys.readouterr()
    assert "short            stopped in" in shown.out
    assert "error: short: not learned" in shown.err
    assert "short" in (out / "site" / "studies.html").read_text()


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("matrix", ["--size", "ful"], "did you mean 'full'?"),
        ("matrix", ["--seeds", "x"], "--seeds x: write"),
        ("matrix", [], "sizes.full.a: "),
        ("run", [], "this is a matrix file; run it with: seedbed matrix "),
    ],
)
def test_mistakes_are_one_line(
    command: str,
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "matrix.yaml"
    (tmp_path / "s.yaml").write_text("finders: []\n")
    path.write_text("sizes: {full: {a: s.yaml}}\n")
    assert call(monkeypatch, command, path, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("runs*"))
