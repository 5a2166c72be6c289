"""What leaving transcripts out does to harm: means, changes and the gap of a replay."""

import numpy as np
import pytest

from seedbed.core.attribution import UNCHANGED
from seedbed.scoring.attribution import SeedReplays, replayed


def seed(number: int, groups: tuple[str, ...] = (UNCHANGED, "kind/gameable")) -> SeedReplays:
    """Two replays of each group; four questions, of which the last two are about others."""
    odds = np.zeros((2, 2, 4))
    odds[0, :, :2] = [[2.0, 3.0], [2.0, 5.0]]
    odds[1, :, :2] = [[-1.0, 0.0], [-3.0, -2.0]]
    odds[:, :, 2:] = -4.0 - number
    shares = 1 / (1 + np.exp(-odds))
    own = odds[0, 0] + np.array([0.0, 0.25, 0.0, 0.0]) * number
    return SeedReplays(
        ("a", "b", "c", "d"), ("x", "y", "x", "y"), ("gameable",) * 2 + ("other",) * 2, groups,
        (0, 10 + number), odds, shares, own,
    )  # fmt: skip


def test_rows_are_means_over_replays_questions_and_seeds() -> None:
    rows = {(r.group, r.users, r.name): r for r in replayed([seed(0), seed(1)])}
    unchanged = rows[UNCHANGED, "gameable", "odds"]
    assert unchanged.value == pytest.approx(3.0)
    assert unchanged.units == 4
    gone = rows["kind/gameable", "gameable", "odds-change"]
    assert gone.value == pytest.approx(-1.5 - 3.0)
    assert gone.documents == 10.5
    low, value, high = (float(x) for x in (gone.low, gone.value, gone.high) if x is not None)
    assert low <= value <= high < 0
    assert rows["kind/gameable", "other", "odds-change"].value == 0
    assert (UNCHANGED, "gameable", "odds-change") not in rows


def test_the_gap_is_the_worst_of_all_seeds() -> None:
    assert seed(0).gap() == 0
    rows = [r for r in replayed([seed(0), seed(1)]) if r.name == "gap"]
    assert [r.value for r in rows] == [pytest.approx(0.25)]
    assert rows[0].low is None


def test_seeds_must_have_left_the_same_out() -> None:
    with pytest.raises(ValueError, match="the same groups"):
        replayed([seed(0), seed(0, (UNCHANGED, "kind/other"))])
