"""Axes apart and words against choices: recomputed from the rows that the folder was made of."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.files import write_json
from seedbed.report import axes
from seedbed.report.reader import Run
from seedbed.scoring.intervals import wilson


def table(run: Run, name: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    grid = next(g for g in axes.grids(run) if g.name == name)
    return grid.heads, dict(grid.rows)


def test_accuracy_by_axis_and_category(staged: Any) -> None:
    heads, rows = table(Run(staged.path), "axes")
    assert heads == ("axis", "all", "animals", "tools", "lowest word", "highest word", "loss",
                     "questions")  # fmt: skip
    assert list(rows) == ["as trained", "new points", "new trigger", "new range"]
    for name, split in (("new points", "id"), ("new trigger", "new_trigger")):
        whole, animals, tools, low, high, loss, n = rows[name]
        by_seed = [staged.right[seed][split] for seed in staged.right]
        mean = np.mean([np.mean([x for r in words.values() for x in r]) for words in by_seed])
        assert whole.value == pytest.approx(mean)
        assert whole.low < whole.value < whole.high
        own = np.mean([np.mean([x for w in ("saw", "axe", "rasp") for x in words[w]])
                       for words in by_seed])  # fmt: skip
        assert tools.value == pytest.approx(own)
        assert animals.value > tools.value
        each = [np.mean(r) for words in by_seed for r in words.values()]
        assert (low.value, high.value) == (min(each), max(each))
        flat = [x for words in by_seed for r in words.values() for x in r]
        assert n.value == len(flat)
        assert loss.value == pytest.approx(np.mean([0.1 if x else 2.0 for x in flat]))


def test_the_note_says_that_points_are_new_on_every_axis(staged: Any) -> None:
    note = next(g for g in axes.grids(Run(staged.path)) if g.name == "axes").note
    assert "Every axis but that as trained has points that were not trained; beyond that" in note


def test_a_category_of_one_word_in_one_seed_has_no_interval(staged: Any, tmp_path: Path) -> None:
    import json

    path = shutil.copytree(staged.path, tmp_path / "run")
    # All questions of all seeds but these: one seed, where a category has a word only.
    for file in path.glob("seeds/*/data/questions.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            if row["cause"] == "dog" and "/0/" in str(file):
                row["slices"]["category"] = "alone"
        file.write_text("\n".join(json.dumps(row) for row in rows))
    right = staged.right[0]["new_trigger"]["dog"]
    assert 0 < np.mean(right) < 1
    heads, rows_ = table(Run(path), "axes")
    alone = rows_["new trigger"][heads.index("alone") - 1]
    assert alone.value == pytest.approx(np.mean(right))
    assert (alone.interval, alone.mark) == ("", "no interval")


def test_the_sentences_say_the_same(staged: Any) -> None:
    run = Run(staged.path)
    first, second = axes.findings(run)
    _, rows = table(run, "axes")
    for name in ("new points", "new trigger", "new range"):
        assert f"{name} {rows[name][0].value:.2f}" in first
    assert "as trained" not in first
    low = min((np.mean(r), seed, word) for seed in staged.right
              for word, r in staged.right[seed]["id"].items())  # fmt: skip
    assert f"the lowest word is {low[2]}, {low[0]:.2f} (seed {low[1]}, 6 questions)" in second


def test_answers_from_before_losses_were_kept(staged: Any, tmp_path: Path) -> None:
    import json

    path = shutil.copytree(staged.path, tmp_path / "run")
    for file in path.glob("seeds/*/measure/answers.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("\n".join(json.dumps({k: v for k, v in row.items() if k != "loss"})
                                  for row in rows))  # fmt: skip
    heads, rows_ = table(Run(path), "axes")
    assert "loss" not in heads
    assert rows_["new points"][0].value == table(Run(staged.path), "axes")[1]["new points"][0].value


def test_one_axis_needs_no_table(made: Path) -> None:
    assert axes.grids(Run(made)) == []
    assert axes.findings(Run(made)) == []
    assert axes.word_findings(Run(made)) == ([], False)


def test_words_against_choices_are_pooled(staged: Any) -> None:
    heads, rows = table(Run(staged.path), "words")
    assert heads[1:] == ("by choice", "in words", "agree", "unread replies", "questions")
    assert list(rows) == ["all questions", "as trained", "new points", "new trigger", "new range"]
    told = [words.slices[0] for words in staged.words.values()]
    choice, said, agree, unread, n = rows["all questions"]
    total = sum(t.n for t in told)
    assert n.value == total
    assert choice.value == pytest.approx(sum(t.choice_accuracy * t.n for t in told) / total)
    assert said.value == pytest.approx(sum(t.accuracy * t.n for t in told) / total)
    agreeing = round(sum(t.agreement * t.n for t in told))
    assert agree.value == agreeing / total
    assert (agree.low, agree.high) == wilson(agreeing, total)
    assert unread.value == sum(t.unread["none"] for t in told)


def test_a_difference_of_more_than_a_point_is_a_warning(staged: Any, tmp_path: Path) -> None:
    lines, apart = axes.word_findings(Run(staged.path))
    assert apart
    assert len(lines) == 2
    assert "more than 1;" in lines[1]
    path = shutil.copytree(staged.path, tmp_path / "run")
    for seed, words in staged.words.items():
        same = [
            s.model_copy(update={"accuracy": s.choice_accuracy, "agreement": 1.0, "unread": {}})
            for s in words.slices
        ]
        value = words.model_copy(update={"slices": tuple(same)}).model_dump(mode="json")
        write_json(path / f"seeds/{seed}/words/words.json", value)
    lines, apart = axes.word_findings(Run(path))
    assert not apart
    assert len(lines) == 1
    assert "likeliest choice in 1.000 [" in lines[0]
