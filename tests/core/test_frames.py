import sys
from pathlib import Path

import numpy as np
import pytest
from tests.runs.made import FINDERS, write_run

from seedbed.core.errors import InputError, MissingExtra
from seedbed.core.frames import claims
from seedbed.core.sites import Claim

pytest.importorskip("pandas")


def test_every_claim_of_every_seed_in_one_table(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    table = claims(run)
    assert list(table.columns) == ["seed", "finder", "question", "site", "score", "rank"]
    assert len(table) == 2 * len(FINDERS) * 6 * 8
    claim = Claim.load(run / "seeds" / "1" / "find-bm25" / "claim.npz")
    own = table[(table.seed == 1) & (table.finder == "bm25")]
    assert np.array_equal(own.score.to_numpy().reshape(6, 8), claim.scores)
    first = own[own["rank"] == 1].set_index("question").site
    assert first.to_dict() == {
        q: claim.sites[i] for q, i in zip(claim.questions, claim.scores.argmax(axis=1), strict=True)
    }


def test_no_claims_and_no_pandas_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no claims here"):
        claims(tmp_path)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"seedbed\[share\]"):
        claims(tmp_path)
