from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.cells import Cell
from seedbed.core.directions import FILE, DirectionClaim, Directions
from seedbed.core.errors import DataError
from seedbed.core.rows import Question
from seedbed.core.selectivity import Column
from seedbed.core.sites import Claim, SiteKind


def directions(**changes: Any) -> Directions:
    sites = ("resid_pre.0@last", "resid_pre.1r3@last")
    vectors = np.eye(4, dtype=np.float32)[:2]
    ones = np.ones(2, dtype=np.float32)
    given: dict[str, Any] = {"sites": sites, "vectors": vectors, "middle": ones / 2,
             "spread": ones * 2,
             "norm": ones * 3, "positive": "stored", "negative": "computed",
             "made": {"method": "difference"}}  # fmt: skip
    return Directions(**(given | changes))


def test_directions_survive_saving(tmp_path: Path) -> None:
    path, made = tmp_path / FILE, directions()
    made.save(path)
    found = Directions.load(path)
    assert found.sites == made.sites
    assert (found.positive, found.negative, found.made) == ("stored", "computed", made.made)
    for name in ("vectors", "middle", "spread", "norm"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert found.among(made.sites[1:]).vectors.tolist() == [[0, 1, 0, 0]]
    with pytest.raises(KeyError):
        found.at("resid_pre.9@last")


def test_unfit_directions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="length 1"):
        directions(vectors=np.ones((2, 4)))
    with pytest.raises(ValueError, match="does not fit"):
        directions(middle=np.zeros(3))
    with pytest.raises(ValueError, match="not finite"):
        directions(norm=np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="names no cell"):
        directions(sites=("resid_pre.0@last", "nowhere"))
    with pytest.raises(DataError, match="no such file"):
        Directions.load(tmp_path / FILE)
    directions().save(tmp_path / FILE)
    (tmp_path / FILE).write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="not saved directions"):
        Directions.load(tmp_path / FILE)


def test_a_claim_takes_its_directions_along(tmp_path: Path) -> None:
    scores = np.array([[1.0, -1.0]])
    claim = DirectionClaim(
        ("q",), ("stored", "computed"), scores, SiteKind.DIRECTION, {}, directions()
    )
    claim.save(tmp_path / "claim.npz")
    assert Claim.load(tmp_path / "claim.npz").scores.tolist() == scores.tolist()
    assert Directions.load(tmp_path / FILE).sites == directions().sites


def test_steps_are_part_of_a_cell() -> None:
    for name in ("resid_pre.1r7@last", "head.3r0.2@a", "resid_post.2@mean"):
        assert Cell.parse(name).name == name
    assert Cell.parse("resid_pre.1r7@last") == Cell("resid_pre", 1, "last", step=7)


def test_labels_are_for_examples_only() -> None:
    given: dict[str, Any] = {"id": "q", "prompt": "a", "choices": ("x", "y"), "answer": "x"}
    example = Question(**given, split="dev", label="stored", slices={"kind": "stored"})
    assert (example.blind().label, example.blind().split) == ("stored", "dev")
    assert Question(**given, split="context").blind().split == "id"
    with pytest.raises(ValueError, match="must not carry"):
        Question(**given, split="id", label="stored")


def test_columns_survive_their_names() -> None:
    for column in (Column("flipped", "difference", "resid_pre.1r2@b", -2.0), Column("auc")):
        assert Column.parse(column.key) == column
    with pytest.raises(ValueError, match="names no column"):
        Column.parse("flipped|difference")
