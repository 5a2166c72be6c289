import re
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import spearmanr

from seedbed.report.reader import Run
from seedbed.report.retraining import (
    bank_line,
    disagreements,
    labels_line,
    order_agreement,
    output_words,
)

Rows = list[dict[str, Any]]


def moved(rows: Rows, truth: str, metric: str, **bounds: tuple[float, float, float]) -> Rows:
    """Scores with (value, low, high) of some finders set on the slice `all`."""
    names = ("value", "low", "high")
    return [
        {**row, **dict(zip(names, bounds[name], strict=True))}
        if (row["truth"], row["metric"], row["slice"]) == (truth, metric, "all")
        and (name := row["finder"].replace("-", "_")) in bounds
        else row
        for row in rows
    ]


def test_bank_is_counted_and_traceable(retrained: Path) -> None:
    run = Run(retrained)
    outcomes = [seed.outcomes for seed in run.seeds]
    subjects = sum(2 * len(o.names) for o in outcomes if o is not None)
    text = bank_line(run)
    assert text.startswith(f"{subjects} subjects retrained: ")
    counted = [int(n) for n in re.findall(r"(\d+) (?:with|random|facts|single|finders)", text)]
    assert sum(counted) * 2 == subjects
    assert "each under 2 seeds" in text
    assert f"{1.5 * subjects / 60:.1f} min of processes summed" in text
    top = run.score("oracle", "measured", "lds", "all")
    assert top is not None
    assert f"LDS {top.value:.2f} [{top.low:.2f}, {top.high:.2f}]" in text
    assert "seeds/*/effects/outcomes.npz" in text


def test_run_without_a_bank_says_nothing(made: Path) -> None:
    assert bank_line(Run(made)) == ""
    assert labels_line(Run(made)) == ""


def test_order_agreement_is_spearmans(retrained: Path) -> None:
    run = Run(retrained)
    values = [
        [run.score(f, truth, metric, "all") for f in run.finders()]
        for truth, metric in (("declared", "average_precision"), ("measured", "lds"))
    ]
    numbers = [[row.value for row in rows if row is not None] for rows in values]
    assert order_agreement(run) == pytest.approx(spearmanr(*numbers).statistic)


def test_labels_clearly_below_the_ceiling_did_not_all_matter(
    fresh_retrained: Path, edit: Any
) -> None:
    path = fresh_retrained / "scores.json"
    edit(path, lambda rows: moved(rows, "measured", "lds", labels=(0.3, 0.25, 0.4),
                                  oracle=(0.9, 0.8, 0.95), bm25=(0.6, 0.5, 0.7)))  # fmt: skip
    text = labels_line(Run(fresh_retrained))
    assert "clearly below it, so being evidence is not the same as having mattered" in text
    assert "bm25 predicts retraining clearly better than they do" in text
    edit(path, lambda rows: moved(rows, "measured", "lds", labels=(0.85, 0.7, 0.9)))
    assert "not clearly below it" in labels_line(Run(fresh_retrained))
    edit(path, lambda rows: moved(rows, "measured", "lds", labels=(0.92, 0.7, 0.95)))
    assert "the evidence is what mattered" in labels_line(Run(fresh_retrained))


def test_opposite_orders_are_named_only_if_clear(fresh_retrained: Path, edit: Any) -> None:
    path = fresh_retrained / "scores.json"
    everybody = {f.replace("-", "_"): (0.5, 0.4, 0.6) for f in Run(fresh_retrained).finders()}
    for truth, metric in (("declared", "average_precision"), ("measured", "lds")):
        edit(path, lambda rows, t=truth, m=metric: moved(rows, t, m, **everybody))
    quiet = "No two finders are clearly in opposite orders under the two truths."
    assert quiet in disagreements(Run(fresh_retrained))
    edit(path, lambda rows: moved(rows, "declared", "average_precision", bm25=(0.9, 0.85, 0.95)))
    assert quiet in disagreements(Run(fresh_retrained))
    edit(path, lambda rows: moved(rows, "measured", "lds", bm25=(-0.1, -0.2, 0.05)))
    lines = disagreements(Run(fresh_retrained))
    assert quiet not in lines
    assert "Above chance on the declared truth but not on the measured one: bm25." in lines
    turned = [line for line in lines if line.startswith("bm25 is clearly ahead of")]
    assert len(turned) == 3
    assert "(LDS 0.50 against -0.10)" in turned[0]
    assert "3 more pairs are clearly in opposite orders." in lines


@pytest.mark.parametrize(
    ("config", "words"),
    [("measured: {output: odds}\n", "log-odds of the answer"), ("", "log p(answer)")],
)
def test_what_was_read_from_subjects(fresh_retrained: Path, config: str, words: str) -> None:
    path = fresh_retrained / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8") + config, encoding="utf-8")
    assert output_words(Run(fresh_retrained)) == words
