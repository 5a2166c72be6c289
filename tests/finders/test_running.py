"""Running moments against those of all states at once."""

from pathlib import Path

import pytest
import torch

from seedbed.core.cells import LAST, MEAN
from seedbed.core.errors import DataError, InputError
from seedbed.finders import running
from seedbed.finders.contract_directions import CLASSES, WORDS, example_questions
from seedbed.finders.directions import DirectionFinder
from seedbed.finders.running import Moments, moments
from seedbed.finders.states import Sweep, held

SWEEP = Sweep(places=("name", LAST, MEAN))


def _labels(count: int) -> dict[str, str]:
    _, questions = example_questions(count)
    return {q.id: next(c for c in CLASSES if any(w in q.prompt.split()[-3] for w in WORDS[c]))
            for q in questions}  # fmt: skip


def test_moments_are_those_of_all_states_at_once() -> None:
    subject, questions = example_questions(36)
    labels, cells = _labels(36), SWEEP.cells(subject, questions)
    bare = [q.model_copy(update={"places": {}}) if i == 4 else q for i, q in enumerate(questions)]
    found = moments(subject, bare, labels, cells, within=True)
    states = held(subject, bare, cells)
    assert found.labels == CLASSES
    for cell in cells:
        x = states.at(cell).double()
        within = torch.zeros(16, 16, dtype=torch.float64)
        for i, label in enumerate(CLASSES):
            own = x[[labels[q.id] == label for q in bare]]
            own = own[own[:, 0].isfinite()]
            assert int(found.of("count", cell)[i]) == len(own)
            assert torch.allclose(found.of("mean", cell)[i], own.mean(0), atol=1e-7)
            far = own - own.mean(0)
            assert torch.allclose(found.of("squares", cell)[i], far.square().sum(0), atol=1e-7)
            assert torch.allclose(found.of("length", cell)[i], own.norm(dim=1).mean(), atol=1e-7)
            within += far.T @ far
        assert torch.allclose(found.of("within", cell), within, atol=1e-7)


def test_directions_of_moments_are_those_of_the_finder() -> None:
    subject, questions = example_questions(36)
    train = [q for q in questions if q.split == "train"]
    cells = SWEEP.cells(subject, questions)
    found = moments(subject, train, {q.id: q.label for q in train}, cells)
    mine = found.directions("stored", "computed")
    (claim,) = DirectionFinder(sweep=SWEEP).find_all(subject, [], questions, [])
    theirs = claim.directions  # type: ignore[attr-defined] # a DirectionClaim
    assert mine.sites == theirs.sites
    for name in ("vectors", "middle", "spread", "norm"):
        mine_, theirs_ = torch.tensor(getattr(mine, name)), torch.tensor(getattr(theirs, name))
        assert torch.allclose(mine_, theirs_, atol=1e-5), name


def test_an_interrupted_run_goes_on_and_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, questions = example_questions(36)
    labels, cells = _labels(36), SWEEP.cells(subject, questions)
    monkeypatch.setattr(running, "CHUNK", 8)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    moments(subject, questions, labels, cells, path=whole)
    real, saves = running._save, []

    def stopped(path: Path, state: Moments, done: int) -> None:
        real(path, state, done)
        saves.append(done)
        if len(saves) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(running, "_save", stopped)
    with pytest.raises(KeyboardInterrupt):
        moments(subject, questions, labels, cells, path=cut)
    with pytest.raises(DataError, match="16 of 36 questions"):
        Moments.load(cut)
    moments(subject, questions, labels, cells, path=cut)
    assert saves == [8, 16, 24, 32, 36]
    assert cut.read_bytes() == whole.read_bytes()
    with pytest.raises(DataError, match="something else"):
        moments(subject, questions, labels, cells[1:], path=cut)


def test_errors_say_what_is_missing() -> None:
    subject, questions = example_questions(6)
    cells = SWEEP.cells(subject, questions)
    with pytest.raises(InputError, match="'q00' has no label"):
        moments(subject, questions, {}, cells)
    found = moments(subject, questions, _labels(6), cells)
    with pytest.raises(InputError, match="labelled 'storde'"):
        found.directions("storde", "computed")
