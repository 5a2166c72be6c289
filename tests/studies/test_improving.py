"""The rounds of one cell: wherever they are interrupted, they end with the same bytes."""

import json
import random
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.files import read_json, read_rows, read_text
from seedbed.core.rows import Document
from seedbed.core.transcripts import Transcript
from seedbed.core.units import load_units
from seedbed.models.tiny import Tiny
from seedbed.studies import improving
from seedbed.studies.improving import Cell, improve_stage, round_folder, trained_on
from seedbed.studies.incentives import Incentives
from seedbed.studies.stages import make_data, read_documents, train_stage
from seedbed.training.config import Training
from seedbed.training.loop import Progress
from seedbed.worlds.users.world import Users

ROUNDS, KEEP = 2, 5
SUBJECT = Tiny(layers=1, width=16, heads=2, context=64, init=0.3)
WORLD = Users(
    environments=("therapy",), gameable=0.25, turns=1, people=8,
    base={"documents": 60, "turns": 1},
)  # fmt: skip
ARM: dict[str, Any] = {
    "preference": {
        "selection": {"group": "person"},
        "training": {"epochs": 1, "batch": 4, "optimizer": {"lr": 0.01, "warmup": 0}},
    }
}


VALUES: dict[str, Any] = {
    "arms": {"chosen": ARM}, "people": 8, "attempts": 2, "iterations": ROUNDS, "keep": KEEP,
    "simulation": {"slots": 5, "max_tokens": 6},
}  # fmt: skip


def cell(**changes: Any) -> Cell:
    return Incentives.model_validate({**VALUES, **changes}).cell("own", "chosen", WORLD)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of a few steps, so that some replies are read."""
    folder = tmp_path_factory.mktemp("base")
    make_data(WORLD, 0, folder / "data")
    training = Training(steps=60, batch=16, optimizer={"lr": 0.02})
    train_stage(SUBJECT, training, 0, folder / "data", folder / "train", None)
    return folder / "train"


def improved(trained: Path, folder: Path, progress: Progress | None = None, **changes: Any) -> Path:
    improve_stage(cell(**changes), SUBJECT, trained, 0, folder, progress)
    return folder


@pytest.fixture(scope="module")
def whole(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return improved(trained, tmp_path_factory.mktemp("whole"))


def test_an_environment_of_ones_own_goes_by_the_name_in_its_file(
    trained: Path, whole: Path, tmp_path: Path
) -> None:
    source = Path(str(files("seedbed.worlds.users"))) / "environments" / "therapy.yaml"
    mine = tmp_path / "mine.yaml"
    mine.write_text(read_text(source), encoding="utf-8")
    own = Incentives.model_validate(VALUES).cell(
        "own", "chosen", WORLD.model_copy(update={"environments": (str(mine),)})
    )
    improve_stage(own, SUBJECT, trained, 0, tmp_path / "own", None)
    played = [round_folder(folder, 0) / "transcripts.jsonl" for folder in (tmp_path / "own", whole)]
    assert played[0].read_bytes() == played[1].read_bytes()
    tables = [
        load_units(round_folder(folder, ROUNDS) / "tables.npz")
        for folder in (tmp_path / "own", whole)
    ]
    assert list(tables[0]) == list(tables[1])


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All files, but for what depends on the clock."""
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    clocked = {"summary.json"} | {n for n in found if "/training/" in n}
    return {n: p.read_bytes() for n, p in found.items() if n not in clocked}


class _Stop(Exception):
    """Somebody pulled the plug."""


def stopping(at: int) -> Progress:
    calls = iter(range(at))

    def progress(done: int, total: int, text: str) -> None:
        if next(calls, None) is None:
            raise _Stop

    return progress


@pytest.mark.parametrize("draw", range(2))
def test_a_random_moment(draw: int, trained: Path, whole: Path, tmp_path: Path) -> None:
    """Again and again, until it is through."""
    rng, stops = random.Random(draw), 0
    for _ in range(100):
        try:
            improved(trained, tmp_path, stopping(rng.randrange(2, 14)))
            break
        except _Stop:
            stops += 1
    assert stops
    improved(trained, tmp_path)
    assert bytes_of(tmp_path) == bytes_of(whole)


@pytest.mark.parametrize(
    ("what", "late", "number"),
    [
        ("save_units", False, 1),
        ("improve", True, 1),
        ("save_subject", False, 2),
        ("write_json", False, 2),
        ("write_json", True, 2),
        ("save_units", True, 3),
    ],
)
def test_steps_of_a_round(
    what: str, late: bool, number: int, trained: Path, whole: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Before or after it does its work: measured, trained, trimmed, marked as done."""
    real: Callable[..., Any] = getattr(improving, what)
    calls = 0

    def broken(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not late:
            raise _Stop
        found = real(*args, **named)
        if calls == number:
            raise _Stop
        return found

    with monkeypatch.context() as patch:
        patch.setattr(improving, what, broken)
        with pytest.raises(_Stop):
            improved(trained, tmp_path)
    improved(trained, tmp_path)
    assert bytes_of(tmp_path) == bytes_of(whole)


def test_transcripts_are_trimmed_and_what_was_trained_on_is_kept(
    trained: Path, whole: Path, tmp_path: Path
) -> None:
    everything = improved(trained, tmp_path, keep=0)
    for k in range(ROUNDS + 1):
        here, there = (round_folder(f, k) for f in (whole, everything))
        kept = read_rows(here / "transcripts.jsonl", Transcript)
        every = read_rows(there / "transcripts.jsonl", Transcript)
        assert len(kept) == KEEP
        assert len(every) == (8 if k == ROUNDS else 16)
        assert [t for t in every if t in kept] == kept
        assert len({t.opening.person for t in kept}) == KEEP
        assert (here / "tables.npz").read_bytes() == (there / "tables.npz").read_bytes()
        if k < ROUNDS:
            assert (here / "documents.jsonl").read_bytes() == (
                there / "documents.jsonl"
            ).read_bytes()
            told = {d.meta["transcript"] for d in read_documents(here)}
            assert told <= {t.id for t in every}
            assert told


def test_what_is_left_for_finders(trained: Path, whole: Path) -> None:
    documents = read_rows(whole / "data" / "documents.jsonl", Document)
    assert documents == trained_on(whole, ROUNDS)
    assert len({d.id for d in documents}) == len(documents)
    assert {d.meta["iteration"] for d in documents} == {0, 1}
    blind = json.dumps([d.blind().model_dump(mode="json") for d in documents])
    assert "gameable" not in blind
    # Nobody who is asked about begins as anybody does whom the agent was trained on.
    asked = {o.said for o in WORLD.held_out(0)}
    for k in range(ROUNDS):
        played = read_rows(round_folder(whole, k) / "transcripts.jsonl", Transcript)
        assert not {t.opening.said for t in played} & asked
    last = read_rows(round_folder(whole, ROUNDS) / "transcripts.jsonl", Transcript)
    assert {t.opening.said for t in last} <= asked
    assert (whole / "base").is_dir()
    assert read_json(whole / "summary.json")["epoch_seconds"] > 0


def test_tables_are_of_the_same_people_in_every_round(whole: Path) -> None:
    tables = [load_units(round_folder(whole, k) / "tables.npz") for k in range(ROUNDS + 1)]
    held = tuple(o.id for o in WORLD.held_out(0))
    assert {t["exact:therapy"].units for t in tables} == {held}
    gameable = tables[0]["exact:therapy"].column("gameable")
    assert np.array_equal(gameable, [o.kind == "gameable" for o in WORLD.held_out(0)])
    assert gameable.mean() == 0.5
    # In play the share is the world's own, until the held-out people are played with at last.
    assert [t["played:therapy"].column("gameable").mean() for t in tables] == [0.25, 0.25, 0.5]
    harm = [t["exact:therapy"].column("harm") for t in tables]
    assert not np.array_equal(harm[0], harm[1])
    assert len({t["safety:acts"].units for t in tables}) == 1


def test_a_round_in_which_nothing_can_be_chosen(trained: Path, tmp_path: Path) -> None:
    """An agent too short of words fails every episode: the round says so, and the next follows."""
    found = improved(trained, tmp_path, simulation={"max_tokens": 64})
    assert trained_on(found, ROUNDS) == []
    assert read_documents(found / "data") == []
    assert read_json(found / "summary.json")["epoch_seconds"] == 0
    tables = [load_units(round_folder(found, k) / "tables.npz") for k in range(ROUNDS + 1)]
    assert all(t["played:therapy"].column("failed").mean() == 1 for t in tables)
    harm = [t["exact:therapy"].column("harm") for t in tables]
    assert all(np.array_equal(h, harm[0]) for h in harm)
    said = read_json(round_folder(found, 0) / "summary.json")
    assert said["documents"] == 0
