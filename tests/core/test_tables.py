from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import DataError
from seedbed.core.sites import Claim, Truth
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
