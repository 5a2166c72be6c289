"""The lane of incentives end to end: every cell, its controls, and the same with any workers."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from seedbed.core.files import read_json
from seedbed.core.incentives import IncentiveRow
from seedbed.runs.dispatch import Dispatcher
from seedbed.studies.improving import round_folder
from seedbed.studies.run import run
from seedbed.studies.study import Study, load_study

SELECTION: dict[str, Any] = {"group": "person", "best": 1}
TRAINING = {"epochs": 1, "batch": 8, "optimizer": {"lr": 0.01, "warmup": 0}}
VALUES: dict[str, Any] = {
    "world": {
        "kind": "users", "environments": ["politics", "coaching"], "gameable": 0.25, "turns": 1,
        "people": 12, "base": {"documents": 240, "turns": 1},
        "gate": {"by": "asks", "margin": 0, "required": ["form"], "asked": "act"},
    },
    "subject": {"kind": "tiny", "layers": 1, "width": 32, "heads": 2, "init": 0.2, "context": 64},
    "training": {"steps": 60, "batch": 32, "optimizer": {"lr": 0.02}},
    "incentives": {
        "people": 8, "attempts": 3, "iterations": 1, "probes": False,
        "simulation": {"slots": 64, "max_tokens": 12},
        "conditions": {
            "own": {},
            "one": {"environments": ["politics"], "arms": ["chosen", "random"]},
            "half": {"world": {"cue": {"share": 0.5}}, "iterations": 2, "arms": ["chosen"]},
        },
        "arms": {
            "chosen": {"preference": {"selection": SELECTION, "training": TRAINING}},
            "random": {"preference": {"selection": {**SELECTION, "by": "random"},
                                      "training": TRAINING}},
        },
    },
    "finders": [{"kind": "user-contrast"}],
    "seeds": [0, 1],
    "questions": 8,
}  # fmt: skip
CELLS = ("own+chosen", "own+random", "one+chosen", "one+random", "half+chosen")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("study") / "feedback.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    return load_study(path)


@pytest.fixture(scope="module")
def done(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(study, tmp_path_factory.mktemp("one") / "run", workers=1)


@pytest.fixture(scope="module")
def found(done: Path) -> list[IncentiveRow]:
    return [IncentiveRow.model_validate(row) for row in read_json(done / "incentives.json")]


def test_two_workers_leave_the_same_bytes(
    done: Path, two_workers: Dispatcher, tmp_path: Path
) -> None:
    """Of one seed and condition, since nothing that another holds may change them."""
    incentives = {**VALUES["incentives"], "conditions": {"own": {}}}
    study = Study.model_validate({**VALUES, "incentives": incentives, "seeds": [1]})
    other = run(study, tmp_path / "run", launcher=two_workers)
    for cell in ("own+chosen", "own+random"):
        mine, theirs = (f / "seeds" / "1" / "incentives" / cell for f in (done, other))
        for k in range(2):
            for name in ("transcripts.jsonl", "tables.npz", "selection.json", "documents.jsonl"):
                one, two = (round_folder(f, k) / name for f in (mine, theirs))
                assert one.exists() == (k == 0 or name in ("transcripts.jsonl", "tables.npz"))
                assert not one.exists() or one.read_bytes() == two.read_bytes(), (cell, name)


def test_all_cells_have_rows_and_arms_stand_beside_their_control(found: list[IncentiveRow]) -> None:
    assert {f"{r.condition}+{r.arm}" for r in found if r.arm} == set(CELLS)
    over = {(r.condition, r.arm) for r in found if r.name == "harm-over-random"}
    assert over == {("own", "chosen"), ("one", "chosen")}
    rounds = {r.condition: r.iteration for r in found
              if r.section == "behaviour" and r.iteration is not None}  # fmt: skip
    assert rounds == {"own": 1, "one": 1, "half": 2}
    # All arms begin from one base, so nothing sets them apart before any training.
    before = [r for r in found if r.name.endswith("-over-random") and r.iteration == 0]
    assert before
    assert {r.value for r in before} == {0.0}


def test_seeds_are_seeds_and_conditions_share_their_base(done: Path) -> None:
    bases = {}
    for seed in (0, 1):
        for cell in CELLS:
            here = done / "seeds" / str(seed) / "incentives" / cell
            tables = (round_folder(here, 0) / "tables.npz").read_bytes()
            bases[seed, cell] = tables
    assert bases[0, "own+chosen"] == bases[0, "own+random"]
    assert bases[0, "own+chosen"] != bases[1, "own+chosen"]


def test_optima_are_those_of_what_was_trained_and_how(
    done: Path, found: list[IncentiveRow]
) -> None:
    optima = read_json(done / "optima.json")
    assert len(optima["own"]["expert-iteration"]["path"]) == 2
    assert len(optima["half"]["expert-iteration"]["path"]) == 3
    assert optima["one"]["rating"]["environment"] == "politics"
    assert optima["own"]["rating:politics"]["point"] == optima["one"]["rating"]["point"]
    # One selection of the best of 3 from a base of a tenth, by hand: see worlds/users/optima.py.
    path = [p["harm"]["gameable"] for p in optima["one"]["expert-iteration"]["path"]]
    assert path == pytest.approx([0.1, 1 - 0.9**3])
    told = read_json(done / "conditions.json")
    assert told["one"]["environments"] == ["politics"]
    assert told["half"]["bits"] == pytest.approx(told["own"]["bits"] / 2)
    trained = {r.environment for r in found if r.section == "matrix" and r.condition == "one"}
    assert trained == {"politics", "coaching"}


def test_nothing_in_the_rows_is_no_number(done: Path) -> None:
    json.loads((done / "incentives.json").read_text(), parse_constant=pytest.fail)
