from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.files import read_json, read_rows
from seedbed.core.history import Snapshot
from seedbed.core.rows import Question
from seedbed.core.words import Words
from seedbed.measuring.answers import Answer
from seedbed.studies.run import run
from seedbed.studies.study import Study


def test_answers_in_words_agree_with_choices(quadrants_run: Path) -> None:
    for seed in ("0", "1"):
        found = read_json(quadrants_run / "seeds" / seed / "words" / "words.json")
        whole = Words.model_validate(found).slices[0]
        assert whole.slice == "all"
        assert whole.n == 30
        assert whole.agreement >= 0.99
        assert abs(whole.accuracy - whole.choice_accuracy) <= 0.01


def test_the_last_snapshot_is_what_was_measured(
    quadrants_study: dict[str, Any], quadrants_run: Path
) -> None:
    here = quadrants_run / "seeds" / "0"
    rows = read_rows(here / "history" / "history.jsonl", Snapshot)
    steps = sorted({r.step for r in rows})
    assert steps[-1] == quadrants_study["training"]["steps"]
    assert len(steps) > 1
    assert len({r.slice for r in rows}) == 4
    last = {r.slice: r for r in rows if r.step == steps[-1]}
    first = {r.slice: r for r in rows if r.step == steps[0]}
    assert last["split=id"].loss < first["split=id"].loss
    answers = {a.id: a for a in read_rows(here / "measure" / "answers.jsonl", Answer)}
    trained = [q.id for q in read_rows(here / "data" / "questions.jsonl", Question)
               if q.split == "train"]  # fmt: skip
    kept = last["split=train"]
    if kept.n == len(trained):
        assert kept.accuracy == pytest.approx(
            sum(answers[q].correct for q in trained) / len(trained)
        )


def test_a_grid_of_a_world_without_one_is_refused(
    counting_study: dict[str, Any], tmp_path: Path
) -> None:
    study = {**counting_study, "looks": {"grid": True}, "seeds": [0],
             "training": {"steps": 1, "batch": 8}}  # fmt: skip
    with pytest.raises(ConfigError, match="'counting' has no grid"):
        run(Study.model_validate(study), tmp_path / "run", workers=1)
