from pathlib import Path
from typing import Any

import pytest

from seedbed.report.ranked import (
    best_on,
    ceiling,
    clearly_above,
    overlap,
    question_slices,
    ranked_on,
    share_of_ceiling,
)
from seedbed.report.reader import Run
from seedbed.report.schema import Score


def row(low: Any, high: Any, value: float = 0.1, oracle: float | None = 1.0) -> Score:
    return Score(
        finder="f", truth="measured", metric="lds", slice="all", value=value, low=low, high=high,
        chance=0, oracle=oracle, seeds=(0,), seconds=None, peak_mib=None, epochs=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "shared", "above"),
    [
        ((0.1, 0.2), (0.2, 0.3), True, False),
        ((0.1, 0.2), (0.21, 0.3), False, False),
        ((0.21, 0.3), (0.1, 0.2), False, True),
        ((-0.3, -0.2), (-0.5, -0.4), False, True),
        ((None, 0.2), (0, 1), False, False),
    ],
)
def test_intervals_that_share_a_point(a: Any, b: Any, shared: bool, above: bool) -> None:
    assert overlap(row(*a), row(*b)) is overlap(row(*b), row(*a)) is shared
    assert clearly_above(row(*a), row(*b)) is above
    assert clearly_above(None, row(*b)) is False


@pytest.mark.parametrize(
    ("value", "oracle", "share"),
    [(0.4, 0.8, 0.5), (-0.2, 0.8, -0.25), (0.4, None, None), (0.4, 0.0, None)],
)
def test_share_of_the_ceiling(value: float, oracle: float | None, share: float | None) -> None:
    assert share_of_ceiling(row(0, 1, value, oracle)) == share


def test_controls_are_no_finders(retrained: Path) -> None:
    run = Run(retrained)
    for truth, metric in (("declared", "average_precision"), ("measured", "lds")):
        names = [r.finder for r in ranked_on(run, truth, metric, "all")]
        assert names == list(run.finders(truth))
        assert not {"chance", "labels", "oracle"} & set(names)
    assert best_on(run, "measured", "mrr", "all") is None


def test_ceiling_is_the_oracle_row_of_the_measured_truth(retrained: Path, made: Path) -> None:
    run = Run(retrained)
    top = ceiling(run)
    assert top is not None
    assert (
        top.value == {r.oracle for r in run.scores if r.metric == "lds" and r.slice == "all"}.pop()
    )
    assert ceiling(Run(made)) is None


def test_slices_follow_the_key_of_the_gate(made: Path) -> None:
    assert question_slices(Run(made)) == ["all", "depth=0", "depth=1", "depth=2"]
