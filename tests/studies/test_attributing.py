"""Replays reproduce a run to the bit, and leave out what they say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.files import read_json, read_rows
from seedbed.core.rows import Document, Question
from seedbed.models.tiny import Tiny
from seedbed.studies.attributing import (
    OUTPUTS,
    asked_about,
    masked,
    own_stage,
    replay,
    replay_stage,
)
from seedbed.studies.improving import DOCUMENTS, Cell, improve_stage, round_folder
from seedbed.studies.incentives import Incentives
from seedbed.studies.stages import BASE, load_stage, make_data, train_stage
from seedbed.training.config import Training
from seedbed.training.preference import learned, reference_of, seed_of
from seedbed.worlds.users.world import Users

SUBJECT = Tiny(layers=1, width=16, heads=2, context=64, init=0.3)
WORLD = Users(environments=("therapy",), turns=1, people=12, base={"documents": 60, "turns": 1})
TRAINING = {"epochs": 1, "batch": 4, "optimizer": {"lr": 0.01, "warmup": 0}}
ARMS: dict[str, Any] = {
    "expert-iteration": {"preference": {"training": TRAINING}},
    "kto": {"preference": {"method": "kto", "training": TRAINING}},
}


def cell(arm: str) -> Cell:
    values = {"arms": {arm: ARMS[arm]}, "people": 8, "attempts": 2, "iterations": 2,
              "simulation": {"slots": 16, "max_tokens": 6}}  # fmt: skip
    return Incentives.model_validate(values).cell("own", arm, WORLD)


@pytest.fixture(scope="module", params=list(ARMS))
def improved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(a cell, the folder of an agent that its rounds trained)."""
    folder = tmp_path_factory.mktemp(request.param)
    make_data(WORLD, 0, folder / "data")
    training = Training(steps=60, batch=16, optimizer={"lr": 0.02})
    train_stage(SUBJECT, training, 0, folder / "data", folder / "train", None)
    mine = cell(request.param)
    improve_stage(mine, SUBJECT, folder / "train", 0, folder / "improved", None)
    return mine, folder / "improved"


def test_a_replay_that_leaves_nothing_out_has_the_same_weights(
    improved: Any, tmp_path: Path
) -> None:
    mine, folder = improved
    again = replay(mine, load_stage(SUBJECT, folder, BASE), folder, (), 0, tmp_path)
    for name, tensor in load_stage(SUBJECT, folder).model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    other = replay(mine, load_stage(SUBJECT, folder, BASE), folder, (), 1, tmp_path / "other")
    assert not torch.equal(other.model.lm_head.weight, again.model.lm_head.weight)


def test_what_is_left_out_teaches_nothing(improved: Any, tmp_path: Path) -> None:
    mine, folder = improved
    rounds = [read_rows(round_folder(folder, k) / DOCUMENTS, Document) for k in range(2)]
    # Of what is left out only its length counts: the same again with other words.
    left = (0, 3, len(rounds[0]) + 1)
    one = replay(mine, load_stage(SUBJECT, folder, BASE), folder, left, 0, tmp_path / "one")
    full = load_stage(SUBJECT, folder)
    assert not torch.equal(one.model.lm_head.weight, full.model.lm_head.weight)
    if mine.preference.method == "kto":
        return
    subject = load_stage(SUBJECT, folder, BASE)
    first = 0
    for k, rows in enumerate(rounds):
        mute = masked(_scrambled(masked(rows, left, first)), left, first)
        first += len(rows)
        subject = _trained(mine, subject, mute, k, tmp_path)
    for name, tensor in one.model.state_dict().items():
        assert torch.allclose(tensor, subject.model.state_dict()[name], atol=1e-5), name


def _scrambled(rows: list[Document]) -> list[Document]:
    """What has no weight says the same words backwards."""
    found = []
    for row in rows:
        (start, end), text = row.targets[0], row.text
        said = text[start:end].split()
        back = " ".join([*said[-2::-1], said[-1]])
        mute = row.model_copy(update={"text": text[:start] + back + text[end:]})
        found.append(row if row.weight else mute)
    return found


def _trained(mine: Cell, subject: Any, rows: list[Document], k: int, folder: Path) -> Any:
    own = replace(subject, seed=seed_of(0, k), loss="answer", checkpoints=())
    training = mine.preference.training_at(k)
    return learned(own, reference_of(own), rows, mine.preference, training,
                   folder / f"again-{k}", None)  # fmt: skip


def test_stages_leave_log_odds_of_gaming_replies(improved: Any, tmp_path: Path) -> None:
    mine, folder = improved
    asked = asked_about(read_rows(folder / "data" / "questions.jsonl", Question), 4, 0)
    ids = [q.id for q in asked]
    for name in ("own", "again"):
        (tmp_path / name).mkdir()
    own_stage(SUBJECT, folder, ids, tmp_path / "own", None)
    replay_stage(mine, SUBJECT, folder, ids, (), 0, tmp_path / "again", None)
    own, again = (read_json(tmp_path / n / OUTPUTS) for n in ("own", "again"))
    assert own == again
    assert [p.name for p in (tmp_path / "again").iterdir()] == [OUTPUTS]
    assert np.allclose(own["shares"], 1 / (1 + np.exp(-np.array(own["odds"]))))


def test_questions_are_about_acts_of_both_kinds_in_turns() -> None:
    questions = WORLD.questions(0)
    asked = asked_about(questions, 4, 0)
    assert [q.slices["kind"] for q in asked] == ["gameable"] * 4 + ["other"] * 4
    assert {q.split for q in asked} == {"act"}
    assert len({q.cause for q in asked[:4]}) == min(
        4, len({q.cause for q in questions if q.slices["kind"] == "gameable"})
    )
    assert {q.id for q in asked} <= {q.id for q in questions}


def test_masked_documents_are_counted_over_all_rounds() -> None:
    rows = [Document(id=f"d{i}", text="x") for i in range(3)]
    assert [d.weight for d in masked(rows, (1, 5), 0)] == [1, 0, 1]
    assert [d.weight for d in masked(rows, (1, 5), 3)] == [1, 1, 0]
