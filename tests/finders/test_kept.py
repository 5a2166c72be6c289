"""States on disk: the same numbers as in memory, the same bytes after an interruption."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from seedbed.core.cells import LAST, MEAN, Cell
from seedbed.core.errors import DataError
from seedbed.finders import kept, states
from seedbed.finders.contract_directions import example_questions
from seedbed.finders.kept import SIDECAR, Kept, keep
from seedbed.finders.states import Spotted, Sweep, held
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.runs.cost import measured

SMALL = 12 * 16 * 4 * 5
"""Bytes of a shard of five questions at twelve cells of width 16."""


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_disk_holds_what_memory_holds(tmp_path: Path) -> None:
    subject, questions = example_questions(12)
    cells = Sweep(places=("name", "other", LAST, MEAN)).cells(subject, questions)
    assert len(cells) == 12
    keep(subject, questions, cells, tmp_path / "states", shard=SMALL)
    found = Kept.load(tmp_path / "states")
    whole = held(subject, questions, cells)
    assert found.questions == whole.questions
    assert found.cells == whole.cells
    for cell in cells:
        assert found.width(cell) == whole.width(cell) == 16
        assert torch.allclose(found.at(cell), whole.at(cell), atol=1e-6)
    shards = sorted((tmp_path / "states").glob("*.safetensors"))
    assert [p.name for p in shards][-1] == "states-00003-of-00003.safetensors"
    assert all(p.stat().st_size <= SMALL + 2048 for p in shards)
    about = json.loads((tmp_path / "states" / SIDECAR).read_text())
    assert about["positions"][LAST] == [n - 1 for n in about["tokens"]]


def test_an_interrupted_run_goes_on_and_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, questions = example_questions(12)
    cells = Sweep(places=("name", "other", LAST, MEAN)).cells(subject, questions)
    keep(subject, questions, cells, tmp_path / "whole", shard=SMALL)
    real, calls = states.gathered, []

    def counted(subject: Subject, rows: list[Spotted], cells: list[Cell]) -> object:
        calls.append(len(rows))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(subject, rows, cells)

    monkeypatch.setattr(kept, "gathered", counted)
    with pytest.raises(KeyboardInterrupt):
        keep(subject, questions, cells, tmp_path / "cut", shard=SMALL)
    with pytest.raises(DataError, match="1 of 3 shards"):
        Kept.load(tmp_path / "cut")
    keep(subject, questions, cells, tmp_path / "cut", shard=SMALL)
    assert calls == [5, 5, 5, 2]
    assert _digests(tmp_path / "cut") == _digests(tmp_path / "whole")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    subject, questions = example_questions(6)
    cells = Sweep(places=(LAST,)).cells(subject, questions)
    keep(subject, questions, cells, tmp_path / "states")
    with pytest.raises(DataError, match=r"something else \(cells, widths"):
        keep(subject, questions, cells[1:], tmp_path / "states")
    other = Tiny(layers=2, width=16, heads=2).build(
        [q.prompt + " yes no" for q in questions], [], 1
    )
    with pytest.raises(DataError, match=r"something else \(model\b"):
        keep(other, questions, cells, tmp_path / "states")


def test_half_precision_is_rounded_once(tmp_path: Path) -> None:
    subject, questions = example_questions(6)
    (cell,) = Sweep(places=(LAST,), streams=("mlp_out",), layers=(1,)).cells(subject, questions)
    found = keep(subject, questions, [cell], tmp_path / "states", precision="bfloat16").at(cell)
    assert torch.equal(found, held(subject, questions, [cell]).at(cell).bfloat16().float())


def test_memory_is_bounded_by_the_shard_and_not_by_the_questions(tmp_path: Path) -> None:
    _, questions = example_questions(6)
    subject = Tiny(layers=4, width=512, heads=2, feedforward=16).build(
        [q.prompt + " yes no" for q in questions], [], 0
    )
    many = [q.model_copy(update={"id": f"{q.id}-{i}"}) for i in range(100) for q in questions]
    cells = Sweep(places=("name", "other", LAST, MEAN)).cells(subject, questions)
    shard = 2**20
    keep(subject, many[:100], cells, tmp_path / "first", shard=shard)
    with measured() as cost:
        found = keep(subject, many, cells, tmp_path / "states", shard=shard)
    size = sum(p.stat().st_size for p in (tmp_path / "states").glob("*.safetensors"))
    assert size > 20 * 2**20
    assert cost.peak_mib < 12
    assert len(found.at(cells[0])) == len(many)
