"""Runs whose finders name one of two kinds: one number says it all, and it leads everywhere."""

import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from seedbed.core.files import read_rows, write_json
from seedbed.core.rows import Question
from seedbed.core.seeds import generator
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.report.columns import main_columns
from seedbed.report.compare import compare
from seedbed.report.page import write_report
from seedbed.report.reader import Run
from seedbed.report.tables import show
from seedbed.report.verdict import findings, headline
from seedbed.scoring.rows import Cost, SeedResults, collect

KINDS = ("computed", "stored")
RIGHT = {"difference": 1.0, "surface": 0.5}


@pytest.fixture(scope="module")
def kinds(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which `difference` names every kind and `surface` every other."""
    path = shutil.copytree(small, tmp_path_factory.mktemp("runs") / "kinds")
    results = []
    for folder in sorted((path / "seeds").iterdir()):
        seed = int(folder.name)
        questions = read_rows(folder / "data" / "questions.jsonl", Question)[:12]
        own = generator(seed, "kinds").permutation(np.arange(12) % 2)
        truth = Truth(
            tuple(q.id for q in questions), KINDS, np.eye(2)[own],
            np.where(np.eye(2)[own] == 1, 0, 1).astype(np.int16), ("own", "other"),
            SiteKind.DIRECTION,
        )  # fmt: skip
        truth.save(folder / "data" / "truth.npz")
        for old in folder.glob("find-*"):
            shutil.rmtree(old)
        claims, costs = {}, {}
        for finder, right in RIGHT.items():
            sign = np.where(np.arange(12) < 12 * right, 1, -1)[:, None]
            scores = sign * np.where(truth.values == 1, 1.0, -1.0)
            claims[finder] = Claim(truth.questions, KINDS, scores)
            costs[finder] = Cost(1.0, 1.0, 0.1)
            claims[finder].save(folder / f"find-{finder}" / "claim.npz")
            write_json(folder / f"find-{finder}" / "cost.json", vars(costs[finder]))
        results.append(SeedResults(seed, questions, np.ones(12, dtype=bool), truth, claims, costs))
    rows = [row.model_dump(mode="json") for row in collect(results)]
    write_json(path / "scores.json", rows)
    return path


def test_an_annotation_is_called_one(kinds: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(kinds, tmp_path / "copy")
    assert "Truth" not in [f.topic for f in findings(Run(copy))]
    for path in copy.glob("seeds/*/data/truth.npz"):
        replace(Truth.load(path), names=("annotated", "other")).save(path)
    (found,) = (f for f in findings(Run(copy)) if f.topic == "Truth")
    assert "an annotation" in found.text[0]


def test_of_two_kinds_one_metric_says_it_all(kinds: Path) -> None:
    run = Run(kinds)
    assert run.noun == "kind"
    assert run.metrics == ("roc_auc",)
    assert run.lead("declared") == "roc_auc"
    assert not run.hops
    assert run.finders() == ("difference", "surface")
    assert headline(run).startswith("difference named the kind best: ROC-AUC 1.00")
    columns = [c for block in main_columns(run, "declared") for c in block]
    assert {c.metric for c in columns} == {"roc_auc"}


def test_page_and_terminal_work_without_a_ranking(kinds: Path) -> None:
    text = write_report(kinds).read_text(encoding="utf-8")
    assert "named the kind best" in text
    assert "kinds" in text
    console = Console(file=StringIO(), width=100)
    show(kinds, console)
    assert "ROC" in console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO


def test_runs_of_kinds_are_compared(kinds: Path, directed: Path) -> None:
    console = Console(file=StringIO(), width=120)
    found = compare(kinds, kinds, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    assert "ROC-AUC, all questions" in said
    assert {row.truth for row in found.rows} == {"declared"}
    console = Console(file=StringIO(), width=120)
    found = compare(directed, directed, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    assert "steering over-random, all questions" in said
    assert "recurrent: difference" in said
    told = [r for r in found.rows if r.truth == "directions"]
    assert told
    assert all(row.difference in (0.0, None) for row in told)
