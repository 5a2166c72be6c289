import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.files import read_json, read_rows
from seedbed.core.grid import DecisionGrid
from seedbed.core.rows import Question
from seedbed.core.spread import Spreading
from seedbed.measuring.answers import Answer, answer
from seedbed.models.folders import load_subject
from seedbed.runs.dispatch import Dispatcher
from seedbed.studies.run import run
from seedbed.studies.study import Study

CELLS = ("none+plain", "two+plain")


def spreading(folder: Path) -> Spreading:
    return Spreading.model_validate(read_json(folder / "spread.json"))


def test_shares_are_what_the_saved_answers_say(quadrants_run: Path) -> None:
    found = spreading(quadrants_run)
    assert found.arms == ("none", "two")
    assert not found.stopped
    for arm in found.arms:
        counted = [f.seed for f in found.fits if f.arm == arm]
        fitted = {s for s in counted if all(f.fitted for f in found.fits
                                            if (f.seed, f.arm) == (s, arm))}  # fmt: skip
        rows = [r for r in found.shares if r.arm == arm and r.value is not None]
        assert {r.seeds for r in rows} == {len(fitted)}
        for row in rows:
            means = []
            for seed in sorted(fitted):
                here = quadrants_run / "seeds" / str(seed) / "spread"
                questions = read_rows(here / f"data-{arm}" / "questions.jsonl", Question)
                answers = read_rows(here / f"{arm}+plain" / "measured" / "answers.jsonl", Answer)
                said = {a.id: a.prediction for a in answers}
                mine = [q for q in questions if q.slices["group"] == row.group]
                rules = {"new": [q.rules["new"] == said[q.id] for q in mine],
                         "old": [q.rules["old"] == said[q.id] for q in mine]}  # fmt: skip
                rules["neither"] = [
                    not (n or o) for n, o in zip(rules["new"], rules["old"], strict=True)
                ]
                means.append(np.mean(rules[row.outcome]))
            assert row.value == pytest.approx(np.mean(means))


def test_what_was_taught_was_learned_and_the_subject_before_is_as_it_was(
    quadrants_run: Path,
) -> None:
    rows = {(r.group, r.outcome): r for r in spreading(quadrants_run).shares if r.arm == "none"}
    taught = rows["taught", "new"]
    assert taught.value is not None
    assert taught.before is not None
    assert taught.before < 0.3
    assert taught.value > 0.6


def test_answers_are_those_of_the_saved_subject(quadrants_run: Path) -> None:
    here = quadrants_run / "seeds" / "0" / "spread"
    subject = load_subject(here / "two+plain" / "subject")
    questions = read_rows(here / "data-two" / "questions.jsonl", Question)[:20]
    kept = read_rows(here / "two+plain" / "measured" / "answers.jsonl", Answer)[:20]
    said = [a.prediction for a in answer(subject, questions)]
    assert said == [a.prediction for a in kept]
    before = load_subject(quadrants_run / "seeds" / "0" / "train" / "subject")
    pairs = zip(before.model.parameters(), subject.model.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_every_subject_is_drawn(quadrants_run: Path) -> None:
    for seed in ("0", "1"):
        here = quadrants_run / "seeds" / seed
        for place in (here / "grid", *(here / "spread" / f"grid-{cell}" for cell in CELLS)):
            grid = DecisionGrid.load(place / "grid.npz")
            assert grid.said.shape[1:] == (5, 5)
        before = DecisionGrid.load(here / "spread" / "grid-before" / "grid.npz")
        assert before.panels == grid.panels
    # After its second stage the map of what was taught is another one.
    first = DecisionGrid.load(quadrants_run / "seeds/0/spread/grid-none+plain/grid.npz")
    groups = [about["group"] for about in first.about]
    taught = groups.index("taught")
    assert (first.said[taught] == first.right[taught]).mean() > 0.6


def test_a_share_that_is_not_reached_stops_the_lane_with_figures(
    quadrants_study: dict[str, Any], quadrants_run: Path, tmp_path: Path
) -> None:
    # The store lies beside the run, so nothing is trained again.
    changed = {**quadrants_study, "spread": {**quadrants_study["spread"],
                                             "needed": {"taught": 0.999}}}  # fmt: skip
    folder = run(Study.model_validate(changed), quadrants_run.with_name("strict"), workers=1)
    found = spreading(folder)
    assert "no subject fitted its second stage" in found.stopped
    assert "needed: lower end ≥ 1.00" in found.stopped
    assert all(row.value is None for row in found.shares)
    assert not any(row.fitted for row in found.fits if row.group == "taught")
    units = {r["unit"] for r in json.loads((folder / "rules.json").read_text())["explained"]}
    assert units
    assert all(unit.startswith("subject/") for unit in units)


def test_a_run_again_from_nothing_gives_the_same_bytes_with_other_workers(
    quadrants_study: dict[str, Any], quadrants_run: Path, two_workers: Dispatcher, tmp_path: Path
) -> None:
    # What the subject says in words and what finds documents touches neither file.
    kept = {"finders": [{"kind": "ablation"}, {"kind": "rule-fit"}], "looks": {}, "seeds": [1]}
    small = Study.model_validate({**quadrants_study, **kept})
    one = run(small, quadrants_run.with_name("again"), workers=1)
    assert json.loads((one / "manifest.json").read_text())["stages_made"] == 0
    two = run(small, tmp_path / "other" / "run", launcher=two_workers)
    for name in ("spread.json", "rules.json"):
        values = [json.loads((folder / name).read_text()) for folder in (one, two)]
        for value in values:
            value.pop("seconds", None)
            for row in value.get("scores", ()):
                for key in ("seconds", "peak_mib", "epochs"):
                    row.pop(key)
        assert values[0] == values[1]
