import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.sites import Truth
from seedbed.report.slices import Slice, evidence, orders, values_by_metric
from seedbed.scoring.ranking import METRICS

NAMES = ("other", "evidence:0", "evidence:1", "evidence:2", "supporting")
VALUE = (0.0, 1.0, 1.0, 1.0, np.nan)


def truth_of(labels: list[list[int]]) -> Truth:
    array = np.array(labels, dtype=np.int16)
    questions = tuple(f"q{i}" for i in range(array.shape[0]))
    sites = tuple(f"d{i}" for i in range(array.shape[1]))
    return Truth(questions, sites, np.array(VALUE)[array], array, NAMES)


def question(**slices: str) -> Question:
    return Question(id="q", prompt="p", choices=("a", "b"), answer="a", slices=slices)


@pytest.mark.parametrize(
    ("name", "correct", "expected"),
    [
        ("all", False, True),
        ("correct", False, False),
        ("correct", True, True),
        ("depth=1", True, True),
        ("depth=2", True, False),
        ("depth=1,hop=0", False, True),
        ("correct,hop>=1", False, False),
        ("split=id", False, True),
        ("split=train", False, False),
        ("function=", False, True),
    ],
)
def test_which_questions_a_slice_covers(name: str, correct: bool, expected: bool) -> None:
    assert Slice.parse(name).covers(question(depth="1"), correct) is expected


def test_hop_condition_is_kept_apart() -> None:
    assert Slice.parse("depth=2,hop=1").hop == "hop=1"
    assert Slice.parse("hop>=1").hop == "hop>=1"
    assert Slice.parse("hop_depth=1").hop == ""


def test_unknown_condition_is_an_error() -> None:
    with pytest.raises(InputError, match="'deep' is not a condition"):
        Slice.parse("deep")


@pytest.mark.parametrize(
    ("hop", "positive", "known"),
    [
        ("", [0, 1, 1, 1, 0], [1, 1, 1, 1, 0]),
        ("hop=1", [0, 0, 1, 0, 0], [1, 0, 1, 0, 0]),
        ("hop>=1", [0, 0, 1, 1, 0], [1, 0, 1, 1, 0]),
    ],
)
def test_other_evidence_is_left_out_not_wrong(
    hop: str, positive: list[int], known: list[int]
) -> None:
    got = evidence(truth_of([[0, 1, 2, 3, 4]]), hop)
    assert got[0].astype(int).tolist() == [positive]
    assert got[1].astype(int).tolist() == [known]


def slow(metric: str, scores: list[float], labels: list[int], hops: set[int]) -> float:
    """Pure-Python marks of one question: walk down the list, evidence last among equals."""
    rows = [
        (s, label in hops) for s, label in zip(scores, labels, strict=True)
        if label == 0 or label in hops
    ]  # fmt: skip
    rows.sort(key=lambda row: (-row[0], row[1]))
    hits = [hit for _, hit in rows]
    total = sum(hits)
    if not total:
        return float("nan")
    if metric == "average_precision":
        return sum(sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit) / total
    if metric == "r_precision":
        return sum(hits[:total]) / total
    if metric == "recall@10":
        return sum(hits[:10]) / total
    if metric == "mrr":
        return 1 / (hits.index(True) + 1)
    good = [s for s, hit in rows if hit]
    bad = [s for s, hit in rows if not hit]
    return sum(g > b for g in good for b in bad) / (len(good) * len(bad)) if bad else float("nan")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3).flatmap(
        lambda q: st.lists(
            st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=14, max_size=14),
            min_size=q,
            max_size=q,
        )
    )
)
def test_values_agree_with_a_slow_implementation(rows: list[list[tuple[int, int]]]) -> None:
    labels = [[label for label, _ in row] for row in rows]
    scores = np.array([[score for _, score in row] for row in rows], dtype=float)
    hops = {"": {1, 2, 3}, "hop=1": {2}, "hop>=1": {2, 3}}
    wanted = {hop: list(METRICS) for hop in hops}
    truth = truth_of(labels)
    found = values_by_metric(wanted, orders(scores, truth), truth)
    for hop, chosen in hops.items():
        for metric in METRICS:
            expected = [
                slow(metric, s, row, chosen) for s, row in zip(scores.tolist(), labels, strict=True)
            ]
            np.testing.assert_allclose(found[hop][metric], expected, equal_nan=True)


def test_composition_counts_labels_among_the_first_ten() -> None:
    labels = [[1] * 4 + [4] * 4 + [0] * 12]
    scores = np.arange(20, 0, -1, dtype=float)[None]
    wanted = {"": ["top10:evidence:0", "top10:supporting", "top10:other", "top10:unheard of"]}
    truth = truth_of(labels)
    found = values_by_metric(wanted, orders(scores, truth), truth)[""]
    assert [float(v[0]) for v in found.values()][:3] == [0.4, 0.4, 0.2]
    assert np.isnan(found["top10:unheard of"][0])


def test_order_is_descending_with_evidence_last_among_equals() -> None:
    truth = truth_of([[0, 1, 0, 0, 4], [0, 0, 0, 0, 0]])
    scores = np.array([[1.0, 3.0, 3.0, 2.0, 9.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    assert orders(scores, truth).tolist() == [[4, 2, 1, 3, 0], [0, 1, 2, 3, 4]]


def test_no_question_gives_no_values() -> None:
    empty = Truth((), ("a", "b"), np.zeros((0, 2)), np.zeros((0, 2), np.int16), NAMES)
    found = values_by_metric({"": ["mrr", "top10:other"]}, orders(np.zeros((0, 2)), empty), empty)
    assert [v.shape for v in found[""].values()] == [(0,), (0,)]
