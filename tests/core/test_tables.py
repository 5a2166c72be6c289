from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import DataError
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.core.tables import read_claim, read_truth, write_claim, write_truth


@pytest.mark.parametrize("name", ["claim.jsonl", "claim.npz"])
def test_claims_survive_both_formats(tmp_path: Path, name: str) -> None:
    scores = np.random.default_rng(0).normal(size=(3, 4))
    claim = Claim(("q0", "q1", "q2"), ("a", "b", "c", "d"), scores)
    write_claim(tmp_path / name, claim)
    again = read_claim(tmp_path / name).arranged(claim.sites)
    assert again.questions == claim.questions
    np.testing.assert_array_equal(again.scores, scores)


def test_truth_survives_jsonl_on_a_claims_axes(tmp_path: Path) -> None:
    values = np.array([[1, 0, np.nan]])
    labels = np.array([[1, 2, 3]], dtype=np.int16)
    names = ("unrelated", "evidence:0", "mention", "supporting")
    write_truth(tmp_path / "t.jsonl", Truth(("q",), ("a", "b", "c"), values, labels, names))
    again = read_truth(tmp_path / "t.jsonl", ("q",), ("c", "a", "b"))
    np.testing.assert_array_equal(again.values, [[np.nan, 1, 0]])
    assert [again.names[i] for i in again.labels[0]] == ["supporting", "evidence:0", "mention"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"question": "q", "score": 1}', ":1: has no site or document"),
        ('{"question": "q", "site": "a", "score": "high"}', ":1: score: a finite number"),
        ('{"question": "q", "site": "a", "score": 1}\n' * 2, ":2: the same question and site"),
        (
            '{"question": "q", "site": "a", "score": 1}\n'
            '{"question": "r", "site": "b", "score": 2}',
            "2 cells of 2 × 2 lack a score",
        ),
    ],
)
def test_unfit_claims_are_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "c.jsonl").write_text(line)
    with pytest.raises(DataError) as caught:
        read_claim(tmp_path / "c.jsonl")
    assert words in str(caught.value)


def test_a_truth_about_other_sites_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"question": "q", "site": "x", "value": 1}\n')
    with pytest.raises(DataError, match="site 'x' is not among"):
        read_truth(tmp_path / "t.jsonl", ("q",), ("a",))


@pytest.mark.parametrize("name", ["t.jsonl", "t.npz"])
def test_a_truth_about_cells_may_name_bands_or_the_cells_themselves(
    tmp_path: Path, name: str
) -> None:
    cells = ("resid_pre.0@item1", "resid_pre.0@last", "resid_post.0@item1", "resid_post.0@last")
    bands = tuple(f"{band}@{p}" for band in ("first", "inner", "last") for p in ("item1", "last"))
    spelt = np.array([[1.0, 0, 0, 1]])
    for sites, values in ((cells, spelt), (bands, np.array([[1.0, 0, np.nan, np.nan, 0, 1]]))):
        labels = np.zeros(values.shape, np.int16)
        truth = Truth(("q",), sites, values, labels, ("unrelated",), SiteKind.CELL)
        if name == "t.npz":
            truth.save(tmp_path / name)
        else:
            write_truth(tmp_path / name, truth)
        found = read_truth(tmp_path / name, ("q",), cells[::-1])
        np.testing.assert_array_equal(found.values, spelt[:, ::-1])


def test_a_band_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    rows = ('{"question": "q", "site": "first@item9", "value": 0, "label": "later"}\n'
            '{"question": "q", "site": "firts@item1", "value": 1}')  # fmt: skip
    (tmp_path / "t.jsonl").write_text(rows)
    with pytest.raises(DataError, match=r"t\.jsonl:2: site 'firts@item1'"):
        read_truth(tmp_path / "t.jsonl", ("q",), ("resid_pre.0@item1",))
