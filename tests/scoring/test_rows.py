import numpy as np
import pytest

from seedbed.core.rows import Question
from seedbed.core.sites import Claim, Truth
from seedbed.scoring.rows import Cost, ScoreRow, SeedResults, collect

SITES = tuple(f"d{i}" for i in range(40))


def _result(seed: int) -> SeedResults:
    rng = np.random.default_rng(seed)
    questions = [
        Question(
            id=f"q{i}",
            prompt="p",
            answer="a",
            cause=f"c{i % 4}",
            slices={"depth": str(i % 2), "function": f"f{i}"},
        )
        for i in range(8)
    ]
    labels = np.zeros((8, 40), dtype=np.int16)
    values = np.zeros((8, 40))
    for i in range(8):
        labels[i, [i, i + 8]] = 1
        values[i, [i, i + 8]] = 1
        if i % 2:
            labels[i, [20 + i]] = 2
            values[i, [20 + i]] = 1
        labels[i, 39], values[i, 39] = 3, np.nan
    names = ("unrelated", "evidence:0", "evidence:1", "supporting")
    ids = tuple(q.id for q in questions)
    truth = Truth(ids, SITES, values, labels, names)
    claims = {
        "chance": Claim(ids, SITES, rng.random((8, 40))),
        "first hop": Claim(ids, SITES, (labels == 1).astype(float)),
    }
    cost = Cost(seconds=2.0, peak_mib=10.0, epochs=0.5)
    correct = np.arange(8) < 6
    return SeedResults(seed, questions, correct, truth, claims, dict.fromkeys(claims, cost))


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str, str], ScoreRow]:
    found = collect([_result(1), _result(0), _result(2)])
    keyed = {(r.finder, r.metric, r.slice): r for r in found}
    assert len(keyed) == len(found)
    return keyed


def test_oracle_is_perfect_and_stands_beside_every_row(
    rows: dict[tuple[str, str, str], ScoreRow],
) -> None:
    for (finder, metric, slice_), row in rows.items():
        assert row.oracle == rows["oracle", metric, slice_].value
        if finder == "oracle" and metric in ("average_precision", "roc_auc", "mrr", "r_precision"):
            assert row.value == 1
        if row.value is not None:
            assert row.low is not None
            assert row.high is not None
            assert row.low <= row.value + 1e-12
            assert row.value <= row.high + 1e-12


def test_chance_row_agrees_with_its_expected_level(
    rows: dict[tuple[str, str, str], ScoreRow],
) -> None:
    row = rows["chance", "roc_auc", "all"]
    assert row.low is not None
    assert row.high is not None
    assert row.low - 0.1 < 0.5 < row.high + 0.1
    assert row.chance == 0.5


def test_hops_are_scored_apart(rows: dict[tuple[str, str, str], ScoreRow]) -> None:
    assert rows["first hop", "average_precision", "hop=0"].value == 1
    assert rows["first hop", "roc_auc", "hop>=1"].value == 0
    assert ("first hop", "roc_auc", "depth=0,hop=1") not in rows
    assert rows["first hop", "roc_auc", "depth=1,hop=1"].value == 0
    assert rows["oracle", "average_precision", "depth=1,hop>=1"].value == 1


def test_composition_and_costs(rows: dict[tuple[str, str, str], ScoreRow]) -> None:
    row = rows["first hop", "top10:evidence:0", "all"]
    assert row.value == pytest.approx(0.2)
    assert row.chance == pytest.approx(2 / 40)
    assert (row.seconds, row.peak_mib, row.epochs) == (2, 10, 0.5)
    assert row.seeds == (0, 1, 2)
    assert rows["oracle", "mrr", "all"].seconds is None


def test_slices_of_single_causes_are_no_rows(
    rows: dict[tuple[str, str, str], ScoreRow],
) -> None:
    names = {slice_ for _, _, slice_ in rows}
    assert {"depth=0", "depth=1"} <= names
    assert not any("function" in name for name in names)
