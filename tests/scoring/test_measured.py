"""Rows of the measured truth from outcomes whose causes are known."""

from collections.abc import Sequence

import numpy as np
import pytest

from seedbed.core.outcomes import InterventionKind, Outcomes
from seedbed.core.rows import Question
from seedbed.core.sites import Claim, Truth
from seedbed.scoring.measured import collect_measured
from seedbed.scoring.rows import ScoreRow, SeedResults

COUNT = 30
SITES = tuple(f"d{i}" for i in range(COUNT))
Keyed = dict[tuple[str, str, str], ScoreRow]


def result(seed: int, values: Sequence[str], bank: bool = True) -> SeedResults:
    """Eight questions in two slices; outputs are sums of `effects`, with a little noise."""
    rng = np.random.default_rng(seed)
    questions = [
        Question(id=f"q{i}", prompt="p", answer="a", cause=f"c{i % 4}",
                 slices={"kind": values[i // 4]})
        for i in range(8)
    ]  # fmt: skip
    ids = tuple(q.id for q in questions)
    effects = rng.normal(size=(8, COUNT))
    best = np.argsort(-effects, axis=1)[:, :3]
    labels = np.zeros((8, COUNT), dtype=np.int16)
    np.put_along_axis(labels, best, 1, axis=1)
    truth = Truth(ids, SITES, labels.astype(float), labels, ("unrelated", "evidence:0"))
    claims = {
        "right": Claim(ids, SITES, effects),
        "chance": Claim(ids, SITES, rng.random((8, COUNT))),
    }
    kept = [np.ones(COUNT, dtype=bool), *(rng.random((20, COUNT)) < 0.5)]
    kinds: list[InterventionKind] = ["none"]
    kinds += ["subset"] * 20
    names = ["", *map(str, range(20))]
    for q in range(8):
        worst = np.argsort(effects[q])[:3]
        for name, left in (("right", best[q]), ("labels", best[q]), ("chance", worst)):
            own = np.ones(COUNT, dtype=bool)
            own[left] = False
            kept.append(own)
            kinds.append("top")
            names.append(f"{name}/3/q{q}")
    rows = np.array(kept)
    outputs = (rows @ effects.T)[:, None, :] + 0.01 * rng.normal(size=(len(rows), 2, 8))
    found = Outcomes(tuple(kinds), tuple(names), ids, SITES, rows, outputs)
    correct = np.ones(8, dtype=bool)
    return SeedResults(seed, questions, correct, truth, claims, {}, found if bank else None)


def keyed(results: Sequence[SeedResults]) -> Keyed:
    rows = collect_measured(results)
    found = {(r.finder, r.metric, r.slice): r for r in rows}
    assert len(found) == len(rows)
    return found


def test_what_was_measured_is_predicted_up_to_the_ceiling() -> None:
    rows = keyed([result(0, "ab"), result(1, "ab")])
    right, top = rows["right", "lds", "all"], rows["oracle", "lds", "all"]
    assert right.value == pytest.approx(1.0, abs=0.01)
    assert right.oracle == top.value == pytest.approx(1.0, abs=0.01)
    assert right.chance == 0
    assert abs(rows["chance", "lds", "all"].value or 0) < 0.3
    assert right.seeds == (0, 1)
    # No facts and no single documents were left out.
    assert {metric for _, metric, _ in rows} == {"lds", "drop@3"}


def test_a_drop_stands_beside_those_of_chance_and_labels() -> None:
    rows = keyed([result(0, "ab"), result(1, "ab")])
    right, labels = rows["right", "drop@3", "all"], rows["labels", "drop@3", "all"]
    assert right.value == pytest.approx(labels.value, abs=0.02)
    assert right.chance == rows["chance", "drop@3", "all"].value
    assert right.oracle == labels.value
    assert (right.chance or 0) < 0 < (right.value or 0)


def test_slices_that_only_some_seeds_have_are_marked_on_those() -> None:
    both, one = keyed([result(0, "ab"), result(1, "ac")]), keyed([result(1, "ac")])
    for metric in ("lds", "drop@3"):
        assert {s for _, m, s in both if m == metric} >= {"kind=a", "kind=b", "kind=c"}
        # A mean over the only seed that has it.
        assert both["right", metric, "kind=c"].value == one["right", metric, "kind=c"].value


def test_seeds_without_retraining_do_not_count() -> None:
    assert collect_measured([result(0, "ab", bank=False)]) == []
    rows = keyed([result(0, "ab"), result(1, "ab", bank=False)])
    assert rows["right", "lds", "all"].seeds == (0,)
