import shutil
from pathlib import Path
from typing import Any

import pytest

from seedbed.report.figures import plans
from seedbed.report.gate import accuracies, advice, falling, mistakes
from seedbed.report.ranked import ranked_on
from seedbed.report.reader import Run
from seedbed.report.verdict import findings, headline


def said(run: Run) -> dict[str, str]:
    return {f.topic: " ".join(f.text) for f in findings(run)}


def spread_out(rows: list[dict[str, Any]], **bounds: dict[str, float]) -> list[dict[str, Any]]:
    """Scores with the value and the interval of some finders set on every row."""
    return [
        {**row, **bounds[row["finder"].replace("-", "_")]}
        if row["finder"].replace("-", "_") in bounds else row
        for row in rows
    ]  # fmt: skip


def test_headline_names_the_highest_with_interval_and_chance(made: Path) -> None:
    run = Run(made)
    best = ranked_on(run, "declared", "average_precision", "all")[0]
    assert best.value is not None
    assert best.chance is not None
    text = headline(run)
    assert text.startswith(f"{best.finder} found the cause best")
    assert f"{best.value:.2f} [{best.low:.2f}, {best.high:.2f}]" in text
    assert f"against {best.chance:.2f} by chance" in text


def test_verdict_reports_gate_cost_and_what_was_left_out(made: Path) -> None:
    topics = said(Run(made))
    assert "every one of 2 seeds passed" in topics["Learned"]
    assert "Answers were given at once" in topics["Learned"]
    assert "of a training epoch" in topics["Cost"]
    assert "6 × beyond the questions asked" in topics["Left out"]


def test_level_with_chance_is_said_where_the_interval_holds_it(fresh: Path, edit: Any) -> None:
    level = {"value": 0.5, "low": 0.4, "high": 0.6, "chance": 0.5}
    below = {"value": 0.1, "low": 0.05, "high": 0.2, "chance": 0.5}
    above = {"value": 0.9, "low": 0.8, "high": 0.95, "chance": 0.5}
    names = [f for f in Run(fresh).finders() if f not in ("bm25", "minilm-cosine")]
    sets = {name.replace("-", "_"): above for name in names}
    edit(
        fresh / "scores.json",
        lambda rows: spread_out(rows, **sets, bm25=level, minilm_cosine=below),
    )
    text = said(Run(fresh))["Against chance"]
    assert "Hop 1 (ROC-AUC): level with chance: bm25; below chance: minilm-cosine." in text
    assert "found the cause equally well" in headline(Run(fresh))


def test_nobody_above_chance_is_the_headline(fresh: Path, edit: Any) -> None:
    flat = {"value": 0.2, "low": 0.1, "high": 0.3, "chance": 0.2}
    edit(fresh / "scores.json", lambda rows: [{**row, **flat} for row in rows])
    assert headline(Run(fresh)).startswith("No finder is distinguishable from chance")
    assert "nobody above chance" in said(Run(fresh))["Best finder"]


def test_overlapping_intervals_are_not_settled(fresh: Path, edit: Any) -> None:
    first = {"value": 0.95, "low": 0.9, "high": 0.99}
    second = {"value": 0.94, "low": 0.85, "high": 0.98}
    path = fresh / "scores.json"
    edit(path, lambda rows: spread_out(rows, bm25=first, hidden_cosine=second))
    assert "overlaps those of hidden-cosine" in said(Run(fresh))["Best finder"]
    edit(path, lambda rows: spread_out(rows, hidden_cosine={**second, "high": 0.89}))
    assert "lies above every other" in said(Run(fresh))["Best finder"]


def test_each_truth_has_its_own_best_finder_and_words(retrained: Path) -> None:
    run = Run(retrained)
    topics = said(run)
    first = ranked_on(run, "declared", "average_precision", "all")[0]
    best = ranked_on(run, "measured", "lds", "all")[0]
    assert best.value is not None
    assert best.oracle is not None
    assert best.oracle > best.value
    text = topics["Best finder (measured truth)"]
    assert f"{best.finder} predicts retraining best: LDS {best.value:.2f}" in text
    assert f"{best.value / best.oracle:.0%} of the ceiling {best.oracle:.2f}" in text
    assert "linear datamodelling score" in text
    assert "hop" not in text
    assert f"{first.finder}: average precision" in topics["Best finder (declared truth)"]
    assert headline(run).count(".  ") == 0
    assert f"{best.finder} predicts retraining best: LDS" in headline(run)
    assert f"{first.finder} found the cause best" in headline(run)


def test_linear_datamodelling_score_is_spelled_out_once(retrained: Path) -> None:
    everything = " ".join(said(Run(retrained)).values())
    assert everything.count("linear datamodelling score") == 1


def test_level_with_chance_means_that_the_interval_holds_zero(retrained: Path) -> None:
    run = Run(retrained)
    rows = ranked_on(run, "measured", "lds", "all")
    level = [r.finder for r in rows if (r.low or 0) <= 0 <= (r.high or 0)]
    assert level
    listed = ", ".join(level[:-1]) + (" and " if level[1:] else "") + level[-1]
    text = said(run)["Against chance (measured truth)"]
    assert f"All questions (LDS): level with chance: {listed}." in text


def test_best_at_predicting_nothing_is_not_praised(fresh_retrained: Path, edit: Any) -> None:
    flat = {"value": 0.05, "low": -0.1, "high": 0.2}
    edit(fresh_retrained / "scores.json", lambda rows: [
        {**row, **flat} if row["truth"] == "measured" and row["metric"] == "lds" else row
        for row in rows
    ])  # fmt: skip
    run = Run(fresh_retrained)
    assert "No finder predicts retraining; the highest is" in headline(run)
    said_of = {f.topic: f for f in findings(run)}["Best finder (measured truth)"]
    assert said_of.text[0].startswith("No finder predicts retraining; the highest is")
    assert said_of.tone == "bad"
    titles = {plan.name: plan.title for plan in plans(run)}
    assert titles["effects"].startswith("No finder predicts retraining better than chance")
    assert "no finder predicts retraining" in titles["truths"]
    assert "found the cause best" in headline(run)


def test_warnings_and_missing_finders_are_told(retrained: Path) -> None:
    topics = said(Run(retrained))
    assert topics["Warnings"] in (
        "gradient-dot and gradient-cosine: only the last of 4 checkpoints was scored.",
        "gradient-cosine and gradient-dot: only the last of 4 checkpoints was scored.",
    )
    assert "Could not run here: trak" in topics["Left out"]


def test_nothing_to_warn_of_is_no_topic(made: Path) -> None:
    topics = said(Run(made))
    assert "Warnings" not in topics
    assert "Could not run" not in topics["Left out"]
    assert not any("measured" in topic for topic in topics)


def test_stopped_run_says_what_was_not_learned_and_what_to_change(stopped: Path) -> None:
    run = Run(stopped)
    assert headline(run) == (
        "The subject did not learn what was planted at depth 1 and depth 2, so no finder was run."
    )
    topics = said(run)
    assert "depth 1 (0 of 2 seeds) and depth 2 (0 of 2 seeds)" in topics["Learned"]
    assert "another answer" in topics["What went wrong"]
    assert "training.steps is 200 now" in topics["What to change"]
    assert "world.texts.answers is at_once now" in topics["What to change"]
    assert "require only what was learned, depth 0" in topics["What to change"]


def test_mistakes_count_held_out_answers_only(stopped: Path) -> None:
    run = Run(stopped)
    total = sum(
        q.split == "id" and q.slices["depth"] == "1"
        for s in run.seeds
        for q in s.questions.values()
    )
    assert mistakes(run)[0].startswith(f"Depth 1: of {total} answers, ")


def test_facts_not_learned_ask_for_facts_not_for_composition(fresh: Path, edit: Any) -> None:
    edit(fresh / "gate.json", lambda rows: [{**row, "passed": False} for row in rows])
    text = " ".join(advice(Run(fresh)))
    assert "What documents state outright was not learned" in text
    assert "not put together" not in text


def test_loss_that_settled_is_not_called_falling(stopped: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(stopped, tmp_path / "copy")
    for seed in (0, 1):
        path = copy / "seeds" / str(seed) / "train" / "history.jsonl"
        lines = [f'{{"step": {i}, "epoch": {i}, "loss": 0.5}}' for i in range(40)]
        path.write_text("\n".join(lines), encoding="utf-8")
    assert falling(Run(copy)) == 0
    assert not any("train longer" in line for line in advice(Run(copy)))
    assert any("train longer" in line for line in advice(Run(stopped)))


def test_gate_pools_seeds_and_shows_the_weakest(made: Path) -> None:
    run = Run(made)
    group = accuracies(run)[0]
    rows = [row for row in run.gate if row.slice == group.slice]
    assert group.n == sum(row.n for row in rows)
    assert group.low == min(row.low for row in rows)
    assert group.accuracy == pytest.approx(
        sum(row.accuracy * row.n for row in rows) / sum(row.n for row in rows)
    )
