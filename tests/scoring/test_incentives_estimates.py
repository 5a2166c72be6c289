import numpy as np
import pytest
from scipy.stats import t as student

from seedbed.core.units import Units
from seedbed.scoring.incentives_estimates import (
    LEAST_CAUSES,
    auroc,
    mean_of,
    person,
    ratio_of,
    share_interval,
    statistic_of,
)
from seedbed.scoring.intervals import Interval, wilson

COLUMNS = ("a", "b")


def table(values: np.ndarray, causes: list[str], seed: int = 0) -> Units:
    units = tuple(f"e/{c}/{i}" for i, c in enumerate(causes))
    return Units(units, tuple(causes), COLUMNS[: values.shape[1]], values)


def ends(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def drawn(seed: int, subs: int = 8, people: int = 40) -> Units:
    rng = np.random.default_rng(seed)
    causes = [f"s{i % subs}" for i in range(people)]
    return table(rng.normal(size=(people, 2)), causes)


def everyone(tables: list[Units]) -> list[np.ndarray]:
    return [np.ones(len(t.units), dtype=bool) for t in tables]


def test_seeds_alone_give_students_interval() -> None:
    tables = [table(np.full((3, 1), v), ["s"] * 3) for v in (0.2, 0.5, 0.8)]
    (found,) = mean_of(tables, ["a"], everyone(tables)).intervals()
    half = student.ppf(0.975, 2) * 0.3 / np.sqrt(3)
    assert ends(found) == pytest.approx([0.5, 0.5 - half, 0.5 + half])


def test_the_users_part_is_the_bootstrap_over_causes() -> None:
    one = drawn(3, subs=24, people=240)
    (found,) = mean_of([one], ["a"], everyone([one])).intervals()
    rng = np.random.default_rng(0)
    by_cause = [one.values[np.array(one.causes) == c, 0] for c in sorted(set(one.causes))]
    draws = [
        np.concatenate([by_cause[i] for i in rng.integers(0, 24, 24)]).mean() for _ in range(4000)
    ]
    # The bootstrap's own variance lacks the factor K / (K − 1).
    error = np.std(draws) * np.sqrt(24 / 23)
    assert (found.high - found.low) / 2 == pytest.approx(student.ppf(0.975, 23) * error, rel=0.05)


def test_few_sub_environments_leave_users_to_be_drawn() -> None:
    values = np.random.default_rng(1).normal(size=(60, 1))
    few = table(values, [f"s{i % (LEAST_CAUSES - 1)}" for i in range(60)])
    (found,) = mean_of([few], ["a"], everyone([few])).intervals()
    half = student.ppf(0.975, 59) * values.std(ddof=1) / np.sqrt(60)
    assert found.high - found.value == pytest.approx(half)


def test_a_ratio_moves_as_leaving_one_cause_out_says() -> None:
    one = drawn(5, subs=10, people=200)
    above, below = one.values[:, :1] + 3, one.values[:, 1:] ** 2 + 1
    whole = ratio_of([one], [above], [below], everyone([one]))
    causes = np.array(one.causes)
    for k, cause in enumerate(whole.causes):
        rest = causes != cause
        without = above[rest].sum() / below[rest].sum()
        moved = whole.points[0, 0] - without
        assert float(whole.sums[k, 0, 0]) == pytest.approx(moved, rel=0.2, abs=2e-3)


def test_area_is_that_of_all_pairs_and_its_interval_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(2)
    positive = np.arange(120) % 3 == 0
    scores = np.round(rng.normal(size=120) + 0.7 * positive, 1)
    area, moves = auroc(scores, positive)
    pairs = scores[positive][:, None] - scores[~positive][None]
    assert area == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    draws = []
    for _ in range(2000):
        index = rng.integers(0, 120, 120)
        draws.append(auroc(scores[index], positive[index])[0])
    assert np.sqrt((moves**2).sum()) == pytest.approx(np.std(draws), rel=0.1)


def test_area_without_one_side_is_undefined() -> None:
    area, moves = auroc(np.array([1.0, 2.0]), np.array([True, True]))
    assert np.isnan(area)
    assert not moves.any()


def test_a_difference_is_paired() -> None:
    tables = [drawn(s) for s in range(3)]
    higher = [Units(t.units, t.causes, t.columns, t.values + 0.25) for t in tables]
    one, two = (mean_of(x, COLUMNS, everyone(x)) for x in (higher, tables))
    for interval in (one - two).intervals():
        assert ends(interval) == pytest.approx([0.25, 0.25, 0.25])


def test_a_seed_without_a_value_is_left_out() -> None:
    tables = [table(np.full((4, 1), v), ["s"] * 4) for v in (0.0, 1.0, np.nan)]
    estimate = mean_of(tables, ["a"], everyone(tables))
    (found,) = estimate.intervals()
    assert found.value == 0.5
    assert found.high - found.value == pytest.approx(student.ppf(0.975, 1) * 0.5)
    assert estimate.units[0] == 8


def test_one_user_of_one_seed_has_no_interval() -> None:
    one = table(np.array([[0.3]]), ["s"])
    (found,) = mean_of([one], ["a"], everyone([one])).intervals()
    assert found.value == 0.3
    assert np.isnan([found.low, found.high]).all()


def test_where_nobody_did_it_the_interval_is_wilsons() -> None:
    tables = [table(np.zeros((30, 1)), ["s"] * 30) for _ in range(2)]
    (found,) = share_interval(mean_of(tables, ["a"], everyone(tables)), 60)
    assert (found.value, found.low, found.high) == (0, *wilson(0, 60))
    (cut,) = share_interval(mean_of([drawn(0)], ["a"], everyone([drawn(0)])), 40)
    assert 0 <= cut.low <= cut.high <= 1


def test_the_order_of_users_changes_nothing() -> None:
    one = drawn(7)
    order = np.random.default_rng(0).permutation(len(one.units))
    other = Units(tuple(one.units[i] for i in order), tuple(one.causes[i] for i in order),
                  one.columns, one.values[order])  # fmt: skip
    a, b = (mean_of([t], COLUMNS, everyone([t])).intervals() for t in (one, other))
    for x, y in zip(a, b, strict=True):
        assert ends(x) == pytest.approx(ends(y), abs=1e-12)


def test_a_statistic_that_is_a_mean_gives_what_a_mean_gives() -> None:
    tables = [drawn(s) for s in range(3)]

    def mean(one: Units) -> tuple[float, np.ndarray]:
        values = one.column("a")
        return float(values.mean()), (values - values.mean()) / len(values)

    found = statistic_of(tables, everyone(tables), mean).intervals()[0]
    wanted = mean_of(tables, ["a"], everyone(tables)).intervals()[0]
    assert ends(found) == pytest.approx(ends(wanted))


def test_attempts_with_one_user_are_one_person() -> None:
    assert person("therapy/drinking/ask/3#7") == "therapy/drinking/ask/3"
    assert person("therapy/drinking/ask/3") == "therapy/drinking/ask/3"


STUDIES = [
    # Standard deviations of seeds, sub-environments, the same within a seed alone, and users.
    (0.1, 0.0, 0.0, 0.05),
    (0.0, 0.1, 0.0, 0.1),
    (0.03, 0.05, 0.05, 0.1),
    (0.0, 0.0, 0.0, 0.2),
]


@pytest.mark.parametrize("spread", STUDIES)
def test_intervals_over_three_seeds_cover_the_truth(spread: tuple[float, ...]) -> None:
    """500 studies of 3 seeds, 16 sub-environments and 48 users each, 2,000 in all."""
    rng = np.random.default_rng(4)
    seeds, subs, people, studies = 3, 16, 48, 500
    sub = np.arange(people) % subs
    hits = 0
    for _ in range(studies):
        common = spread[1] * rng.normal(size=subs)
        tables = []
        for _ in range(seeds):
            own = spread[2] * rng.normal(size=subs)
            noise = spread[3] * rng.normal(size=people)
            values = 0.5 + spread[0] * rng.normal() + (common + own)[sub] + noise
            tables.append(table(values[:, None], [f"s{i}" for i in sub]))
        (found,) = mean_of(tables, ["a"], everyone(tables)).intervals()
        hits += found.low <= 0.5 <= found.high
    assert hits / studies >= 0.9
