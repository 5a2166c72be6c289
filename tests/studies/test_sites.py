import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from seedbed.core.cells import Cell, depth
from seedbed.core.errors import InputError
from seedbed.core.sites import Claim, SiteKind
from seedbed.studies.sites import add_truth_and_chance, truth_of
from seedbed.studies.study import Study


def test_a_run_holds_the_truth_of_its_cells_and_a_chance_claim(counting_run: Path) -> None:
    here = counting_run / "seeds" / "0"
    claim, truth = Claim.load(here / "find-patching" / "claim.npz"), truth_of(here)
    chance = Claim.load(here / "find-chance" / "claim.npz")
    assert claim.site_kind is truth.site_kind is chance.site_kind is SiteKind.CELL
    assert claim.sites == truth.sites == chance.sites
    assert claim.questions == truth.questions == chance.questions
    assert depth(claim.sites) == 2
    for row, values in zip(claim.scores, truth.values, strict=True):
        # Patching must not move anything where nothing can matter, and must where all enters.
        assert (row[values == 0] == 0).all()
        assert (row[values == 1] > 0).all()
    places = {Cell.parse(s).place for s in claim.sites}
    assert {"item1", "item5", "cue", "last", "category"} <= places


def test_scores_stand_beside_chance_and_oracle(counting_run: Path) -> None:
    rows = json.loads((counting_run / "scores.json").read_text())
    marks = {
        r["finder"]: r for r in rows if (r["metric"], r["slice"]) == ("average_precision", "all")
    }
    assert set(marks) == {"patching", "chance", "oracle"}
    assert marks["patching"]["value"] == marks["oracle"]["value"] == 1
    assert marks["chance"]["low"] <= marks["patching"]["chance"] <= marks["chance"]["high"]


def test_finders_of_documents_are_marked_by_what_the_world_says_of_documents(
    counting_run: Path,
) -> None:
    assert json.loads((counting_run / "missing.json").read_text()) == []
    (crossed,) = json.loads((counting_run / "crossed.json").read_text())
    assert crossed["sites"] == "document"
    assert {row["finder"] for row in crossed["scores"]} == {"bm25", "chance", "oracle"}


def test_claims_of_other_cells_are_refused(counting_run: Path, tmp_path: Path) -> None:
    here = tmp_path / "0"
    for name, sites in (("one", ("resid_pre.0@a",)), ("two", ("resid_pre.0@b",))):
        claim = Claim(("q0",), sites, np.zeros((1, 1)), SiteKind.CELL)
        claim.save(here / f"find-{name}" / "claim.npz")
    with pytest.raises(InputError, match="finder 'two'"):
        add_truth_and_chance(here, ["one", "two"], 0)


def test_parts_of_the_input_are_marked_where_claims_speak_of_them(quadrants_run: Path) -> None:
    here = quadrants_run / "seeds" / "0"
    claim, truth = Claim.load(here / "find-ablation" / "claim.npz"), truth_of(here)
    assert claim.site_kind is truth.site_kind is SiteKind.INPUT
    assert claim.sites == truth.sites
    assert claim.questions == truth.questions
    assert {"x1.sign", "trigger", "form"} <= set(truth.sites)
    rows = json.loads((quadrants_run / "scores.json").read_text())
    marks = {
        r["finder"]: r for r in rows if (r["metric"], r["slice"]) == ("average_precision", "all")
    }
    assert marks["oracle"]["value"] == 1
    assert marks["ablation"]["low"] > marks["chance"]["high"]


def test_claims_of_parts_that_the_world_has_not_are_refused(
    quadrants_run: Path, tmp_path: Path
) -> None:
    here = tmp_path / "0"
    asked = Claim.load(quadrants_run / "seeds" / "0" / "find-ablation" / "claim.npz").questions
    claim = Claim(asked, ("x9",), np.zeros((len(asked), 1)), SiteKind.INPUT)
    claim.save(here / "find-one" / "claim.npz")
    shutil.copytree(quadrants_run / "seeds" / "0" / "data", here / "data")
    with pytest.raises(InputError, match="finder 'one': the world has no part 'x9'"):
        add_truth_and_chance(here, ["one"], 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"finders": ["bm25"], "organisms": None}, "none of these reads cells"),
        ({"finders": ["patching"]}, "no finder of this study reads layers"),
        ({"training": None, "measured": {"subsets": 4}}, "retraining needs 'training'"),
        ({"world": {"kind": "hops"}, "finders": ["bm25"], "organisms": None}, "no pairs to patch"),
        (
            {"measured": {"subsets": 4}},
            "measured: the world 'counting' plants no cause in documents",
        ),
        ({"organisms": {"changes": {"x": {"rull": "half"}}}}, r"organisms\.changes\.x: .*rule"),
        ({"organisms": {"changes": {"x": {"rule": "members"}}}}, "like that already"),
        ({"mediation": {"streams": []}}, r"mediation\.streams"),
    ],
)
def test_a_study_that_cannot_be_is_refused(
    counting_study: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Study.model_validate({**counting_study, **change})
