import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.runs.made import FINDERS, write_run

from seedbed.core.errors import DataError, InputError, MissingExtra
from seedbed.core.frames import claims
from seedbed.core.hub import Shared, crossed_of, read_datasets, write_datasets
from seedbed.core.rows import Document, Question
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.core.tables import read_claim

pytest.importorskip("datasets")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def _plain(shared: Shared) -> dict[str, Any]:
    """Everything in it as values that compare."""
    truth, claims = shared.truth, shared.claims
    assert truth is not None
    return {
        "rows": [list(shared.documents), list(shared.questions), list(shared.pairs)],
        "truth": [truth.questions, truth.sites, truth.names, truth.site_kind, truth.kind,
                  truth.labels.tolist(), np.nan_to_num(truth.values, nan=9).tolist()],
        "claims": {name: [c.questions, c.sites, c.site_kind, c.notes, c.scores.tolist(),
                          str(c.scores.dtype)] for name, c in claims.items()},
    }  # fmt: skip


@pytest.mark.parametrize("parquet", [False, True])
def test_nothing_is_lost_on_the_way_there_and_back(
    run: Path, tmp_path: Path, parquet: bool
) -> None:
    shared = Shared.of_run(run, 1)
    assert set(shared.claims) == set(FINDERS)
    assert shared.documents[3].meta == {"of": [3, {"deep": None}]}
    write_datasets(shared, tmp_path / "out", parquet)
    back = read_datasets(tmp_path / "out")
    assert _plain(back) == _plain(shared)
    back.write(tmp_path / "rows")
    assert _plain(Shared.of_rows(tmp_path / "rows")) == _plain(shared)
    for name, row in (("documents", Document), ("questions", Question)):
        lines = (tmp_path / "rows" / f"{name}.jsonl").read_text()
        assert lines == (run / "seeds" / "1" / "data" / f"{name}.jsonl").read_text()
        assert row.model_validate(json.loads(lines.splitlines()[0]))
    long = read_claim(tmp_path / "rows" / "claims" / "bm25.jsonl").arranged(shared.truth.sites)  # type: ignore[union-attr]  # asserted above
    assert np.array_equal(long.scores, shared.claims["bm25"].scores)


def test_datasets_reads_them_as_its_own(run: Path, tmp_path: Path) -> None:
    import datasets

    write_datasets(Shared.of_run(run, 0), tmp_path / "out")
    documents = datasets.load_from_disk(str(tmp_path / "out" / "documents"))
    assert documents[2]["text"] == "Text 2 says é."
    assert documents[2]["marks"] == [{"name": "rating", "value": 1 / 3}]
    claims = datasets.load_from_disk(str(tmp_path / "out" / "claims"))
    first = [r for r in claims if r["finder"] == "bm25" and r["question"] == "q0"]
    assert sorted(r["rank"] for r in first) == list(range(1, 9))
    assert max(first, key=lambda r: r["score"])["rank"] == 1


def test_the_same_rows_give_the_same_bytes(run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_datasets(Shared.of_run(run, 0), tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(files) > 12
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_a_claim_keeps_its_type_and_kind_of_site(tmp_path: Path) -> None:
    scores = np.array([[0.1, 0.2]], dtype=np.float32)
    claim = Claim(("q",), ("a", "b"), scores, SiteKind.CELL, {"path": "x"})
    write_datasets(Shared(claims={"one": claim}), tmp_path / "out")
    back = read_datasets(tmp_path / "out").claims["one"]
    assert str(back.scores.dtype) == "float32"
    assert (back.site_kind, back.notes) == (SiteKind.CELL, {"path": "x"})
    (tmp_path / "out" / "seedbed.json").unlink()
    alone = read_datasets(tmp_path / "out").claims["one"]
    assert (alone.scores.tolist(), alone.site_kind) == (scores.tolist(), SiteKind.CELL)


def test_unfit_rows_are_named(run: Path, tmp_path: Path) -> None:
    import datasets

    place = tmp_path / "out"
    rows = [{"id": "a", "text": "x"}, {"id": "b", "text": ""}]
    datasets.Dataset.from_list(rows).save_to_disk(place / "documents")
    with pytest.raises(DataError, match=r"documents:2: text: "):
        read_datasets(place)
    cells = [{"finder": "f", "question": q, "site": s, "score": 1.0} for q, s in ("aa", "bb")]
    datasets.Dataset.from_list(cells).save_to_disk(place / "claims")
    (place / "documents").rename(place / "elsewhere")
    with pytest.raises(DataError, match="2 rows are not the cells of 2 questions × 2 sites"):
        read_datasets(place)
    (place / "claims" / "state.json").write_text("{")
    with pytest.raises(DataError, match="not a dataset on disk"):
        read_datasets(place)
    (place / "questions.parquet").write_text("text")
    with pytest.raises(DataError, match="not Parquet"):
        read_datasets(place)


def test_what_is_not_there_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no seed 7; there are: 0, 1"):
        Shared.of_run(run, 7)
    with pytest.raises(InputError, match="no rows here"):
        Shared.of_rows(run)
    with pytest.raises(InputError, match="no datasets here"):
        read_datasets(run)
    with pytest.raises(InputError, match="no such folder"):
        read_datasets(run / "x")
    shared = Shared.of_run(run, 0)
    with pytest.raises(InputError, match="holds other things"):
        write_datasets(shared, run)
    with pytest.raises(InputError, match="is a file"):
        shared.write(run / "gate.json")
    assert (run / "gate.json").exists()


def test_a_missing_package_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"seedbed\[share\]"):
        write_datasets(Shared.of_run(run, 0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_kind_of_site_that_a_run_was_crossed_to(run: Path) -> None:
    there = run / "seeds" / "0" / "crossed" / "cell"
    shutil.copytree(run / "seeds" / "0" / "data", there / "data")
    Truth.load(there / "data" / "truth.npz").save(there / "truth.npz")
    name = next((run / "seeds" / "0").glob("find-*")).name
    shutil.copytree(run / "seeds" / "0" / name, there / name)
    assert crossed_of(run, 0) == ["cell"]
    assert list(Shared.of_run(run, 0, "cell").claims) == [name.removeprefix("find-")]
    assert set(claims(run, "cell")["finder"]) == {name.removeprefix("find-")}
    with pytest.raises(InputError, match="no claims about 'cel'; there are: cell"):
        Shared.of_run(run, 0, "cel")
