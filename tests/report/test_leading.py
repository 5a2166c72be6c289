import random

import pytest

from seedbed.report.leading import called, metric_order, top_name


def test_metrics_stand_in_the_order_of_a_reader() -> None:
    wanted = ["average_precision", "recall@10", "lds", "group_r", "drop@4", "drop@16", "top10:x"]
    mixed = random.Random(0).sample(wanted, len(wanted))
    assert sorted(mixed, key=metric_order) == wanted


@pytest.mark.parametrize(
    ("truth", "metric", "name"),
    [
        ("declared", "average_precision", "oracle"),
        ("measured", "lds", "ceiling"),
        ("measured", "drop@4", "labels"),
    ],
)
def test_the_upper_control_has_a_name(truth: str, metric: str, name: str) -> None:
    assert top_name(truth, metric) == name


def test_only_the_measured_oracle_is_a_ceiling() -> None:
    assert called("oracle", "measured") == "ceiling"
    assert called("oracle", "declared") == "oracle"
    assert called("bm25", "measured") == "bm25"
