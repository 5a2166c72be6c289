import json
import re
import sys
from pathlib import Path

import pytest
from tests.runs.made import config_of, write_run

from seedbed.cli.main import main

ROOT = Path(__file__).parents[2]


def _call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["seedbed", "runs", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "100")
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs"
    write_run(root / "a", started="2026-11-01T00:00:00+00:00")
    world = {"kind": "counting", "depth": 1}
    write_run(root / "b", config_of(name="b", world=world), skill=5.0)
    (write_run(root / "c", config_of(threads=2)) / "scores.json").write_text("[")
    return root


def test_runs_alone_lists_them_within_100_columns(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _call(monkeypatch) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert re.search(r"a +hops +2 +gradients-cosine, AP +\d\.\d\d \[", out)
    assert "c is damaged: scores.json:1: not JSON" in out
    assert "runs: 3 runs" in out


def test_filters_sort_and_json(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(*words: str) -> list[str]:
        assert _call(monkeypatch, "list", "runs", "--json", *words) == 0
        return [Path(run["folder"]).name for run in json.loads(capsys.readouterr().out)]

    assert listed("--sort", "run") == ["a", "b", "c"]
    assert listed("--world", "counting") == ["b"]
    assert listed("--state", "damaged") == ["c"]
    assert listed("--sort", "average_precision", "--limit", "1") == ["b"]
    assert listed("--finder", "gradients", "--since", "2026-11-02") == ["b"]
    assert listed("--where", "average_precision>0.99", "--finder", "bm25") == []
    assert _call(monkeypatch, "list", "runs", "--finder", "bm25", "--world", "hops") == 0
    assert re.search(r"a +hops +2 +bm25, AP +\d\.\d\d \[", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "nowhere"], "nowhere: no such folder"),
        (["list", "--world", "hop"], "--world hop: no run has it; did you mean 'hops'?"),
        (["list", "--state", "done"], "finished, stopped"),
        (["list", "--where", "precision>0.5"], "did you mean 'r_precision'?"),
        (["list", "--where", "precision"], "METRIC>NUMBER"),
        (["list", "--sort", "colour"], "--sort colour: unknown; there are: started"),
        (["compare", "runs/a"], "two or more"),
        (["compare", "runs/a", "runs/c"], "runs/c: the run is damaged: scores.json"),
        (["prune", "--yes"], "--yes: name what may go: --unfinished"),
        (["export", "runs/c", "--out", "x.tar.gz"], "runs/c: the run is damaged"),
        (["import", "x.tar.gz"], "x.tar.gz: no such file"),
        (["dataset", "runs", "--seed", "1", "--out", "d"], "runs is no run"),
    ],
)
def test_mistakes_are_one_line(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    told: str,
) -> None:
    assert _call(monkeypatch, *words) == 2
    text = capsys.readouterr().err
    assert told in text
    assert text.count("\n") == 1


def test_several_runs_side_by_side(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _call(monkeypatch, "compare", *["runs/a", "runs/b"] * 3) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert re.search(r"world.kind +hops +counting +hops +counting", out)
    assert re.search(r"gradients-cosine +0\.\d{3} ± 0\.\d{3} +\d\.\d{3} ± \d\.\d{3} ≠", out)
    assert re.search(r"oracle +1\.000 +1\.000", out)


def test_prune_shows_first_and_removes_what_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _call(monkeypatch, "prune") == 0
    assert "nothing was removed" in capsys.readouterr().out
    assert _call(monkeypatch, "prune", "--damaged", "--yes") == 0
    assert "1 folder, 0.0 MB freed" in capsys.readouterr().out
    assert sorted(p.name for p in root.glob("[a-z]*")) == ["a", "b"]
    assert _call(monkeypatch, "prune") == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_an_index_that_cannot_be_trusted_is_told_of(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".index.sqlite").write_text("?" * 200)
    assert _call(monkeypatch, "list") == 0
    told = capsys.readouterr()
    assert "made anew from the folders" in told.err
    assert "3 runs" in told.out
    assert _call(monkeypatch, "rebuild") == 0
    assert "3 runs read anew" in capsys.readouterr().out


def test_a_run_goes_out_and_comes_in(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _call(monkeypatch, "export", "runs/a", "--out", "a.tar.gz", "--no-subject") == 0
    assert "2 files of weights left out" in capsys.readouterr().out
    assert _call(monkeypatch, "import", "a.tar.gz", "--out", "there") == 0
    assert "there/a: imported" in capsys.readouterr().out
    assert _call(monkeypatch, "import", "a.tar.gz") == 0
    assert "runs/a: already here, nothing was done" in capsys.readouterr().out
    data = Path("a.tar.gz").read_bytes()
    Path("a.tar.gz").write_bytes(data[:-1000])
    assert _call(monkeypatch, "import", "a.tar.gz", "--out", "elsewhere") == 2
    assert "a.tar.gz: member 'run/" in capsys.readouterr().err
    assert not Path("elsewhere").exists()


def test_rows_go_to_datasets_and_back(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("datasets")
    assert _call(monkeypatch, "dataset", "runs/a", "--out", "d", "--parquet") == 0
    assert _call(monkeypatch, "rows", "d", "--out", "rows") == 0
    assert "rows: 8 documents, 6 questions, 1 pairs, 4 claims" in capsys.readouterr().out
    assert _call(monkeypatch, "dataset", "rows", "--out", "e", "--parquet") == 0
    for name in ("documents", "truth", "claims"):
        one, two = (Path(place, f"{name}.parquet").read_bytes() for place in "de")
        assert one == two


def test_the_lines_for_pandas_on_the_page_work(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    page = (ROOT / "docs" / "sharing.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    made = [block for block in blocks if "pandas" in block or "frames" in block]
    assert len(made) == 3
    found = []
    for block in made:
        assert len([line for line in block.splitlines() if line]) == 2
        names: dict[str, object] = {}
        exec(block.replace("runs/hops", "runs/a"), names)
        found.append(names["table"])
    scores, documents, claims = found
    rows = json.loads((root / "a" / "scores.json").read_text())
    assert scores.value.dropna().tolist() == [r["value"] for r in rows if r["value"] is not None]  # type: ignore[attr-defined]  # a DataFrame
    assert documents.loc[1, "text"] == "Text 1 says é."  # type: ignore[attr-defined]  # as above
    assert set(claims.finder) == {"bm25", "gradients-dot", "gradients-cosine", "chance"}  # type: ignore[attr-defined]  # as above
