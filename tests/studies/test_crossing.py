"""Finders of other kinds of site in a study: run, marked, resumed, and named where none can be."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.report.crossed import findings, grids
from seedbed.report.reader import Run
from seedbed.studies import crossing, stages
from seedbed.studies.crossing import balanced, crossable
from seedbed.studies.run import run
from seedbed.studies.study import Study
from seedbed.worlds.base import WORLDS

FINDERS = [
    {"kind": "bm25"},
    {"kind": "patching"},
    {"kind": "attribution-patching"},
    {"kind": "ablation"},
    {"kind": "directions", "measure": ["difference", "surface"]},
    {"kind": "user-contrast"},
]
PICKY = {"kind": "patching", "label": "exact", "direction": "denoising"}
COSTS = ("seconds", "peak_mib", "epochs")


def study(**changes: Any) -> Study:
    values: dict[str, Any] = {
        "name": "crossed",
        "world": {"kind": "hops", "bases": 8, "depth": 0, "values": 4,
                  "texts": {"redundancy": 4}, "decoys": {"prompt": 4},
                  "asked": {"functions": 8, "prompts": 2}, "gate": {"margin": 0.1}},
        "subject": {"kind": "tiny", "layers": 2, "width": 48, "heads": 2},
        "training": {"steps": 80, "batch": 16, "loss": "answer",
                     "optimizer": {"lr": 5e-3, "weight_decay": 0.3}},
        "finders": FINDERS,
        "seeds": [0, 1],
        "questions": 10,
    }  # fmt: skip
    return Study.model_validate({**values, **changes})


@pytest.fixture(scope="module")
def crossed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(study(), tmp_path_factory.mktemp("crossed") / "run", workers=1)


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["sites"]: row for row in json.loads((folder / "crossed.json").read_text())}


def marks(row: dict[str, Any], truth: str, metric: str) -> dict[str, dict[str, Any]]:
    return {s["finder"]: s for s in row["scores"]
            if (s["truth"], s["metric"], s["slice"]) == (truth, metric, "all")}  # fmt: skip


def test_finders_of_cells_and_parts_are_marked_beside_chance_and_oracle(crossed_run: Path) -> None:
    found = rows(crossed_run)
    assert list(found) == ["cell", "direction", "input"]
    for kind, best in (("cell", "patching"), ("input", "ablation")):
        assert found[kind]["asked"] == 20
        assert found[kind]["reason"] == ""
        scored = marks(found[kind], "declared", "average_precision")
        assert scored["oracle"]["value"] == 1
        assert scored[best]["low"] > scored[best]["chance"]
        assert scored["chance"]["low"] <= scored["chance"]["chance"] <= scored["chance"]["high"]


def test_exact_patching_is_the_measured_truth_about_cells(crossed_run: Path) -> None:
    row = rows(crossed_run)["cell"]
    correlations = marks(row, "measured", "pearson")
    assert "patching" not in correlations
    assert correlations["attribution-patching"]["low"] > 0 == correlations["chance"]["chance"]
    means = []
    for seed in ("0", "1"):
        here = crossed_run / "seeds" / seed / "crossed" / "cell"
        exact = Claim.load(here / "find-patching" / "claim.npz")
        other = Claim.load(here / "find-attribution-patching" / "claim.npz").arranged(exact.sites)
        pairs = zip(exact.scores, other.scores, strict=True)
        means.append(np.mean([np.corrcoef(a[a > 0], b[a > 0])[0, 1] for a, b in pairs]))
    assert correlations["attribution-patching"]["value"] == pytest.approx(np.mean(means))
    assert not marks(rows(crossed_run)["input"], "measured", "pearson")


def test_truth_speaks_of_the_claims_sites_and_of_what_was_asked(crossed_run: Path) -> None:
    for seed in ("0", "1"):
        here = crossed_run / "seeds" / seed / "crossed" / "cell"
        claim, truth = Claim.load(here / "find-patching" / "claim.npz"), Truth.load(
            here / "truth.npz"
        )  # fmt: skip
        assert claim.site_kind is truth.site_kind is SiteKind.CELL
        assert (claim.questions, claim.sites) == (truth.questions, truth.sites)
        assert len(truth.questions) == 10
        documents = (crossed_run / "seeds" / seed / "data" / "documents.jsonl").read_bytes()
        assert (here / "data" / "documents.jsonl").read_bytes() == documents


def test_what_cannot_run_is_named_with_its_reason(crossed_run: Path) -> None:
    found = rows(crossed_run)["direction"]
    assert found["scores"] == []
    assert found["reason"].startswith("depth: only bases")
    missing = {m["finder"]: m["reason"] for m in json.loads(
        (crossed_run / "missing.json").read_text())}  # fmt: skip
    assert set(missing) == {"directions", "user-contrast"}
    assert "depth: only bases" in missing["directions"]
    assert "reads users" in missing["user-contrast"]


def test_the_page_and_the_verdict_tell_of_it(crossed_run: Path) -> None:
    told = Run(crossed_run)
    assert [g.name for g in grids(told)] == [
        "crossed-cell-declared", "crossed-cell-measured", "crossed-input-declared",
    ]  # fmt: skip
    said = {topic: " ".join(text) for topic, text, _ in findings(told)}
    assert "None was marked: depth: only bases" in said["Finders of directions"]
    best = marks(rows(crossed_run)["input"], "declared", "average_precision")["ablation"]
    assert f"average precision {best['value']:.2f}" in said[
        "Finders of parts of the input (declared truth)"
    ]  # fmt: skip


def test_interrupted_it_goes_on_to_the_same_scores(
    crossed_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(crossed_run.parent, tmp_path / "all")
    store = tmp_path / "all" / ".store"
    for stage in [p for p in store.iterdir() if p.is_dir()]:
        mark = json.loads((stage / "stage.json").read_text())
        if mark["stage"] == "view" or "view" in mark["key"] or "exact" in mark["key"]:
            shutil.rmtree(stage)
    real, calls = stages.find_stage, list[Any]()

    def dies(*args: Any) -> None:
        calls.append(args)
        if len(calls) > 3:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(crossing, "find_stage", dies)
    with pytest.raises(KeyboardInterrupt):
        run(study(), tmp_path / "all" / "run", workers=1)
    assert not (tmp_path / "all" / "run" / "crossed.json").exists()
    monkeypatch.setattr(crossing, "find_stage", real)
    again = rows(run(study(), tmp_path / "all" / "run", workers=1))
    assert _uncosted(again) == _uncosted(rows(crossed_run))


def _uncosted(found: dict[str, dict[str, Any]]) -> list[Any]:
    return [
        (row["asked"], [{k: v for k, v in s.items() if k not in COSTS} for s in row["scores"]])
        for row in found.values()
    ]


def test_a_finder_that_a_view_does_not_suit_costs_nobody_else(
    crossed_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = stages.find_stage

    def refuses(finder: Any, *given: Any) -> None:
        if finder.name in ("picky", "exact"):
            raise InputError("needs other rows")
        real(finder, *given)

    monkeypatch.setattr(crossing, "find_stage", refuses)
    more = [*FINDERS, {"kind": "ablation", "label": "picky", "method": "remove"}]
    found = rows(run(study(finders=more), crossed_run.parent / "picky", workers=1))
    assert _uncosted(found) == _uncosted(rows(crossed_run))
    alone = [{"kind": "bm25"}, PICKY, {"kind": "ablation"}]
    folder = run(study(finders=alone), crossed_run.parent / "alone", workers=1)
    found = rows(folder)
    assert found["cell"]["reason"] == "exact: seed 0: needs other rows"
    assert marks(found["input"], "declared", "average_precision")["ablation"]["value"] is not None
    missing = json.loads((folder / "missing.json").read_text())
    assert missing == [{"finder": "exact", "reason": "exact: seed 0: needs other rows"}]


def test_a_study_without_such_finders_writes_nothing(crossed_run: Path) -> None:
    plain = run(study(finders=[{"kind": "bm25"}]), crossed_run.parent / "plain", workers=1)
    assert not (plain / "crossed.json").exists()
    assert not (plain / "seeds" / "0" / "crossed").exists()


def test_classes_are_asked_about_in_equal_numbers() -> None:
    of = {f"q{i}": "a" if i % 3 else "b" for i in range(30)}
    asked = balanced(list(of), of, 0)
    assert [of[q] for q in asked].count("a") == [of[q] for q in asked].count("b") == 10
    assert list(asked) == sorted(asked, key=list(of).index)
    assert balanced(["q1", "q2"], of, 0) == ()


def test_a_world_does_not_cross_to_its_own_kind() -> None:
    world = WORLDS.build({"kind": "hops"})
    assert crossable(world, SiteKind.CELL)
    assert not crossable(world, SiteKind.DOCUMENT)
    assert not crossable(world, SiteKind.USER)
