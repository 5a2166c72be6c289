"""Curves over training are means over the seeds' snapshots."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.report.figures import Plan, render
from seedbed.report.history import curves, over_training
from seedbed.report.reader import Run


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
def test_curves_by_hand(staged: Any, measure: str) -> None:
    found = {c.name: c for c in curves(Run(staged.path), measure)}
    assert list(found) == ["split=train", "split=id", "split=new_trigger", "split=new_range"]
    for name, curve in found.items():
        assert curve.steps == (50, 100, 200)
        for i, step in enumerate(curve.steps):
            told = [
                getattr(r, measure)
                for rows in staged.snapshots.values()
                for r in rows
                if (r.slice, r.step) == (name, step)
            ]
            assert curve.values[i] == pytest.approx(np.mean(told))
            # Over three seeds a bootstrap reaches from the lowest to the highest.
            assert curve.lows[i] == pytest.approx(min(told))
            assert curve.highs[i] == pytest.approx(max(told))


def test_the_figure_names_every_axis(staged: Any) -> None:
    made = over_training(Run(staged.path))
    assert made is not None
    last = [r.accuracy for rows in staged.snapshots.values() for r in rows
            if (r.slice, r.step) == ("split=id", 200)]  # fmt: skip
    assert f"new points {np.mean(last):.2f}" in made[0]
    svg = render(Plan("history", *made))[0]
    for name in ("as trained", "new points", "new trigger", "new range"):
        assert svg.count(f">{name}<") == 1


def test_steps_that_a_seed_lacks_are_left_out(staged: Any, tmp_path: Path) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")
    file = path / "seeds/1/history/history.jsonl"
    kept = [line for line in file.read_text().splitlines() if '"step": 50' not in line]
    file.write_text("\n".join(kept))
    assert {c.steps for c in curves(Run(path), "loss")} == {(100, 200)}


def test_no_snapshots_no_figure(made: Path) -> None:
    assert over_training(Run(made)) is None
