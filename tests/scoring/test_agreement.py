import numpy as np
import pytest

from seedbed.core.sites import Claim, SiteKind
from seedbed.core.units import Units
from seedbed.scoring.agreement import agreement, agreements

CELLS = tuple(f"resid_pre.{i}@last" for i in range(6))


def claim_of(*rows: list[float]) -> Claim:
    names = tuple(f"q{i}" for i in range(len(rows)))
    return Claim(names, CELLS, np.array(rows, dtype=float), SiteKind.CELL)


def effects_of(*rows: list[float], columns: tuple[str, ...] = CELLS) -> Units:
    names = tuple(f"q{i}" for i in range(len(rows)))
    return Units(names, names, columns, np.array(rows, dtype=float))


def test_sizes_count_and_signs_do_not() -> None:
    claim = claim_of([1, 2, 3, 4, 5, 6])
    pearson, recall = agreement(claim, effects_of([-1, 2, -3, 4, -5, 6]))
    assert pearson[0] == pytest.approx(1)
    assert recall[0] == 1
    pearson, recall = agreement(claim, effects_of([6, -5, 4, -3, 2, -1]))
    assert pearson[0] == pytest.approx(-1)
    assert recall[0] == 0


def test_cells_that_move_nothing_are_no_merit() -> None:
    # On the zeros both agree; on the three cells that move, the claim has it the wrong way round.
    claim = claim_of([0, 0, 0, 3, 2, 1])
    pearson, recall = agreement(claim, effects_of([0, 0, float("nan"), 1, 2, 3]))
    assert pearson[0] == pytest.approx(-1)
    assert recall[0] == 0.5


def test_ties_go_against_the_claim() -> None:
    effects = effects_of([6, 5, 1, 1, 1, 1])
    assert agreement(claim_of([1, 1, 1, 1, 1, 1]), effects)[1][0] == 0
    assert agreement(claim_of([2, 1, 1, 1, 1, 1]), effects)[1][0] == 0.5
    assert agreement(claim_of([2, 1.5, 1, 1, 1, 1]), effects)[1][0] == 1


def test_effects_that_only_rounding_tells_apart_are_one_rank() -> None:
    effects = effects_of([1.0, 1.0 - 1e-6, 1.0 - 2e-6, 0.5, 0.1, 0.1])
    for claim in ([6, 5, 1, 1, 1, 1], [1, 6, 5, 1, 1, 1], [6, 1, 5, 1, 1, 1]):
        assert agreement(claim_of([float(c) for c in claim]), effects)[1][0] == 1
    assert agreement(claim_of([6, 1, 1, 5, 1, 1]), effects)[1][0] == 0.5


def test_too_few_cells_that_move_are_not_defined() -> None:
    pearson, recall = agreement(claim_of([1, 2, 3, 4, 5, 6]), effects_of([1, 2, 0, 0, 0, 0]))
    assert np.isnan([pearson[0], recall[0]]).all()


def test_rows_and_columns_are_matched_by_name() -> None:
    claim = claim_of([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1])
    values = np.array([[1.0, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]])
    turned = Units(("q1", "q0"), ("x", "y"), CELLS[::-1], values)
    table = agreements({"one": [claim]}, [turned])[0]
    assert table.columns == ("pearson one", "recall one")
    assert table.causes == ("x", "y")
    np.testing.assert_allclose(table.values, 1)
