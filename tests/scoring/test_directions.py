import numpy as np
import pytest
from scipy.stats import spearmanr

from seedbed.core.selectivity import CHOSEN, Column, DirectionRow
from seedbed.core.units import Units
from seedbed.scoring.directions import rows

SITES = ("resid_pre.0@a", "resid_pre.1@a", "resid_pre.2@a", "resid_post.2@a")
Values = dict[Column, np.ndarray]


def table(values: Values, causes: list[str] | None = None) -> Units:
    count = len(next(iter(values.values())))
    names = tuple(f"u{i}" for i in range(count))
    made = np.stack([np.asarray(v, dtype=float) for v in values.values()], axis=1)
    return Units(names, tuple(causes or names), tuple(c.key for c in values), made)


def flat(value: float, count: int = 4) -> np.ndarray:
    return np.full(count, value)


def one(found: list[DirectionRow], **wanted: object) -> DirectionRow:
    hits = [r for r in found if all(getattr(r, k) == v for k, v in wanted.items())]
    assert len(hits) == 1, hits
    return hits[0]


def ends(row: DirectionRow) -> tuple[float, float]:
    assert row.low is not None
    assert row.high is not None
    return row.low, row.high


def steered(seed: int, units: int, draws: int = 3) -> Units:
    rng = np.random.default_rng(seed)
    values = {Column("flipped", "probe", CHOSEN, 2.0): (rng.random(units) < 0.8) * 1.0}
    for k in range(draws):
        drawn = (rng.random(units) < 0.1 + 0.1 * k) * 1.0
        values[Column("flipped", f"random-{k}", CHOSEN, 2.0)] = drawn
    return table(values, [f"c{i // 2}" for i in range(units)])


def test_means_are_over_seeds_and_name_what_the_column_names() -> None:
    column = Column("auc", "difference", SITES[1])
    found = rows("recurrent", [{"decodable:all": table({column: flat(0.9)})},
                               {"decodable:all": table({column: flat(0.7, 12)})}])  # fmt: skip
    assert [r.model_dump() for r in found] == [
        {"side": "recurrent", "section": "decodable", "direction": "difference",
         "site": SITES[1], "name": "auc", "slice": "all", "dose": None,
         "value": pytest.approx(0.8), "low": pytest.approx(0.7), "high": pytest.approx(0.9),
         "units": 16}
    ]  # fmt: skip


def test_random_draws_are_one_row_and_the_largest_is_told_beside_it() -> None:
    def seed(values: tuple[float, float, float]) -> dict[str, Units]:
        site = SITES[0]
        draws = {Column("kl", f"random-{k}", site, 1.0): flat(v) for k, v in enumerate(values)}
        return {"effect:all": table({Column("kl", "probe", site, 1.0): flat(2.0), **draws})}

    found = rows("", [seed((0.0, 0.3, 0.6)), seed((0.9, 0.0, 0.0))])
    assert {r.direction for r in found} == {"probe", "random", "random-max"}
    mean = one(found, direction="random")
    assert mean.value == pytest.approx(0.3)
    # Every unit says the same, so all of the width comes from which directions were drawn.
    assert ends(mean) == pytest.approx((0.05, 0.6), abs=0.06)
    assert mean.units == 8
    largest = one(found, direction="random-max")
    assert largest.value == pytest.approx((0.6 + 0.9) / 2)
    assert ends(largest) == pytest.approx((0.6, 0.9))


def test_over_random_is_paired_and_stands_for_the_site_chosen_alone() -> None:
    shared = np.random.default_rng(0).normal(size=60)
    values = {
        Column("difference", "probe", CHOSEN, 1.0): shared + 0.5,
        Column("difference", "random-0", CHOSEN, 1.0): shared,
        Column("target", "probe", CHOSEN, 1.0): shared,
        Column("difference", "probe", SITES[0], 1.0): shared,
        Column("difference", "random-0", SITES[0], 1.0): shared,
    }
    found = rows("", [{"selectivity:all": table(values)}])
    over = one(found, name="over-random")
    assert (over.section, over.direction, over.site) == ("selectivity", "probe", CHOSEN)
    assert over.value == pytest.approx(0.5)
    # The units' own spread falls out of a paired difference.
    assert ends(over) == pytest.approx((0.5, 0.5))
    low, high = ends(one(found, name="difference", direction="probe", site=CHOSEN))
    assert high - low > 0.3


def test_intervals_are_those_of_a_slow_bootstrap() -> None:
    tables = [steered(1, 30), steered(2, 40), steered(3, 24)]
    found = rows("", [{"steering:stored": t} for t in tables])
    rng, drawn = np.random.default_rng(9), []
    for _ in range(3000):
        seeds = []
        for s in rng.integers(0, 3, size=3):
            t = tables[s]
            causes = sorted(set(t.causes))
            taken = rng.choice(causes, size=len(causes))
            index = [i for c in taken for i, own in enumerate(t.causes) if own == c]
            own, *rand = t.values[index].mean(0)
            mean = float(np.mean(rng.choice(rand, size=len(rand))))
            seeds.append((own, mean, own - mean))
        drawn.append(np.mean(seeds, axis=0))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    for i, (name, direction) in enumerate(
        [("flipped", "probe"), ("flipped", "random"), ("over-random", "probe")]
    ):
        row = one(found, name=name, direction=direction)
        assert ends(row) == pytest.approx((low[i], high[i]), abs=0.015)


def test_many_columns_are_resampled_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [{"steering:stored": steered(s, 20, draws=5)} for s in range(2)]
    whole = rows("", tables)
    monkeypatch.setattr("seedbed.scoring.directions._CHUNK", 1)
    assert rows("", tables) == whole


def test_a_seed_may_lack_a_table_or_a_column() -> None:
    first = {"decodable:all": table({Column("auc", "probe", s): flat(0.9) for s in SITES}),
             "patching:stored": table({Column("flipped", "", SITES[0]): flat(0.4)})}  # fmt: skip
    second = {"decodable:all": table({Column("auc", "probe", SITES[0]): flat(0.5)})}
    found = rows("", [first, second])
    assert one(found, name="auc", site=SITES[0]).value == pytest.approx(0.7)
    assert one(found, name="auc", site=SITES[3]).value == pytest.approx(0.9)
    assert one(found, name="flipped").value == pytest.approx(0.4)


def test_agreement_is_the_rank_correlation_over_sites_seed_by_seed() -> None:
    tables, wanted = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        auc, moved, flipped = rng.random((3, 4))
        draws = rng.random((2, 4))
        read = {Column("auc", "probe", s): flat(auc[i]) for i, s in enumerate(SITES)}
        read |= {Column("auc", f"random-{k}", s): flat(draws[k, i])
                 for i, s in enumerate(SITES) for k in range(2)}  # fmt: skip
        steer = {Column("flipped", "probe", s, 2.0): flat(moved[i]) for i, s in enumerate(SITES)}
        steer[Column("flipped", "probe", CHOSEN, 2.0)] = flat(0.5)
        patch = {Column("flipped", "", s): flat(flipped[i]) for i, s in enumerate(SITES)}
        tables.append({"decodable:all": table(read), "steering:stored": table(steer),
                       "patching:stored": table(patch)})  # fmt: skip
        wanted.append([spearmanr(auc, flipped)[0], spearmanr(moved, flipped)[0],
                       np.mean([spearmanr(d, flipped)[0] for d in draws])])  # fmt: skip
    found = [r for r in rows("", tables) if r.name == "agreement"]
    means = np.mean(wanted, axis=0)
    read_ = one(found, section="decodable", direction="probe", slice="stored")
    assert read_.value == pytest.approx(means[0])
    assert (read_.dose, read_.site, read_.units) == (None, "", 12)
    steer_ = one(found, section="steering", direction="probe", slice="stored")
    assert steer_.value == pytest.approx(means[1])
    assert steer_.dose == 2.0
    assert one(found, direction="random").value == pytest.approx(means[2])
    by_seed = np.array(wanted)[:, 0]
    low, high = ends(read_)
    assert by_seed.min() - 1e-9 <= low < means[0] < high <= by_seed.max() + 1e-9


@pytest.mark.parametrize("patched", [[0.3] * 4, [0.1, 0.2]])
def test_agreement_is_not_defined_where_nothing_varies_or_sites_are_few(
    patched: list[float],
) -> None:
    sites = SITES[: len(patched)]
    read = {Column("auc", "probe", s): flat(0.5 + i / 9) for i, s in enumerate(sites)}
    patch = {Column("flipped", "", s): flat(v) for s, v in zip(sites, patched, strict=True)}
    found = rows("", [{"decodable:all": table(read), "patching:all": table(patch)}])
    row = one(found, name="agreement")
    assert (row.value, row.low, row.high) == (None, None, None)


def test_a_column_without_values_is_null() -> None:
    row = rows("", [{"cosine:all": table({Column("cosine", "probe", SITES[0]): flat(np.nan)})}])[0]
    assert (row.value, row.low, row.high, row.units) == (None, None, None, 0)


@pytest.mark.parametrize("name", ["decodable", "guessed:all"])
def test_a_table_of_no_section_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="SECTION:SLICE"):
        rows("", [{name: table({Column("auc", "probe", SITES[0]): flat(1.0)})}])
