import numpy as np
import pytest

from seedbed.core.units import Units
from seedbed.scoring.units import Resampled


def table(values: list[list[float]], causes: list[str] | None = None) -> Units:
    n = len(values)
    names = tuple(f"u{i}" for i in range(n))
    columns = tuple("abcdef"[: len(values[0])])
    return Units(names, tuple(causes or names), columns, np.array(values, dtype=float))


def test_a_ratio_of_means_is_not_a_mean_of_ratios() -> None:
    found = Resampled([table([[1, 1], [9, 3]])]).ratios("b")
    assert found[0].value == pytest.approx(10 / 4)
    assert found[1].value == found[1].low == found[1].high == 1


def test_units_without_a_value_leave_both_means() -> None:
    units = table([[1, 2], [float("nan"), 100]])
    assert Resampled([units]).ratios("b")[0].value == pytest.approx(0.5)
    assert Resampled([units]).means()[0].value == 1


def test_a_column_without_any_value_has_no_interval() -> None:
    found = Resampled([table([[float("nan"), 1.0]])]).means()[0]
    assert np.isnan([found.value, found.low, found.high]).all()


def test_seeds_count_alike_whatever_their_number_of_units() -> None:
    found = Resampled([table([[1.0]] * 9), table([[3.0]])]).means()[0]
    assert found.value == 2
    assert (found.low, found.high) == (1, 3)


def test_units_of_one_cause_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    values = [[v] for v in rng.normal(size=8) for _ in range(25)]
    apart = Resampled([table(values)]).means()[0]
    together = Resampled([table(values, [str(i // 25) for i in range(200)])]).means()[0]
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_the_interval_of_a_mean_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        found = Resampled([table([[v] for v in rng.normal(size=40)])], 400).means()[0]
        inside += found.low <= 0 <= found.high
    assert 180 <= inside <= 199


def test_tables_of_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="same columns"):
        Resampled([table([[1.0]]), table([[1.0, 2.0]])])


def test_the_interval_of_a_ratio_is_that_of_a_slow_bootstrap() -> None:
    rng = np.random.default_rng(5)
    tables = []
    for seed in range(3):
        cause = rng.integers(0, 8, 40)
        shared = rng.normal(size=8)[cause]
        total = 3 + shared + 0.3 * rng.normal(size=40)
        part = 0.4 * total + 0.5 * shared + 0.5 * rng.normal(size=40) + 0.2 * seed
        part[rng.random(40) < 0.2] = np.nan
        tables.append(table(np.stack([total, part], 1).tolist(), [str(c) for c in cause]))
    found = Resampled(tables).ratios("a")[1]
    draws = []
    for _ in range(1500):
        ratios = []
        for chosen in rng.integers(0, 3, 3):
            of = tables[chosen]
            causes = np.array(of.causes)
            names = np.unique(causes)
            drawn = rng.choice(names, len(names))
            rows = np.concatenate([np.flatnonzero(causes == c) for c in drawn])
            kept = of.values[rows][np.isfinite(of.values[rows, 1])]
            ratios.append(kept[:, 1].sum() / kept[:, 0].sum())
        draws.append(np.mean(ratios))
    low, high = np.quantile(draws, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))


def test_a_difference_of_two_tables_draws_their_causes_apart() -> None:
    rng = np.random.default_rng(0)
    sides = [table(rng.normal(m, 1, size=(40, 1)).tolist()) for m in (1.0, 0.0)]
    one = Resampled([sides[0]])
    gap = one.less(Resampled([sides[1]], part="other"), "a")
    assert gap.value == pytest.approx(float(sides[0].values.mean() - sides[1].values.mean()))
    wide = np.sqrt(sum(s.values.var(ddof=1) / 40 for s in sides)) * 2 * 1.96
    assert gap.high - gap.low == pytest.approx(wide, rel=0.15)
    # Against itself, drawn apart, a table differs by nothing on average, but not in every draw.
    self_gap = one.less(Resampled([sides[0]], part="other"), "a")
    assert self_gap.value == 0
    assert self_gap.low < 0 < self_gap.high


def test_where_all_units_have_one_cause_units_are_drawn() -> None:
    values = [[float(i % 4 > 0)] for i in range(40)]
    alone = Resampled([table(values, ["word"] * 40)]).means()[0]
    apart = Resampled([table(values)]).means()[0]
    assert alone.value == apart.value
    assert (alone.low, alone.high) == pytest.approx((apart.low, apart.high), abs=0.05)
    assert alone.low < 0.75 < alone.high
