from pathlib import Path

from seedbed.report.columns import main_columns, prices, trained_columns
from seedbed.report.reader import Run


def test_declared_columns_by_hop_measured_ones_by_question(retrained: Path) -> None:
    run = Run(retrained)
    (declared,) = main_columns(run, "declared")
    assert [(c.metric, c.slice) for c in declared[:4]] == [
        ("average_precision", "all"), *(("roc_auc", f"hop={k}") for k in range(3))
    ]  # fmt: skip
    lds, others = main_columns(run, "measured")
    assert [(c.metric, c.slice) for c in lds] == [
        ("lds", "all"), *(("lds", f"depth={k}") for k in range(3))
    ]  # fmt: skip
    assert [c.metric for c in others] == ["group_r", "single_r", "drop@2", "drop@8"]
    assert others[-1].head == "drop\n@8"
    assert lds[1].label == "LDS depth 0"


def test_a_slice_has_its_own_columns(retrained: Path) -> None:
    run = Run(retrained)
    lds, *_ = main_columns(run, "measured", "depth=2")
    assert [(c.metric, c.slice) for c in lds] == [("lds", "depth=2")]
    assert main_columns(run, "measured", "hop=1") == []


def test_run_without_retraining_has_no_measured_columns(made: Path) -> None:
    assert main_columns(Run(made), "measured") == []
    assert trained_columns(Run(made)) == []


def test_memory_stands_under_the_declared_truth(retrained: Path) -> None:
    run = Run(retrained)
    declared = run.score("bm25", "declared", "mrr", "all")
    measured = run.score("bm25", "measured", "lds", "all")
    assert declared is not None
    assert measured is not None
    assert prices(declared) == {"seconds": 0.04, "epochs": 0.003, "peak MiB": 61.0}
    assert prices(measured) == {"seconds": 0.04, "epochs": 0.003}
