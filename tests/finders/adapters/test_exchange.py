"""What leaves through files is what a subject is: another process finds the same products."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.core.errors import InputError, MissingPeer
from seedbed.finders.adapters import exchange
from seedbed.finders.adapters.exchange import RUNNERS, ask, collect, export, run
from seedbed.finders.adapters.peer import draws_of
from seedbed.finders.adapters.peers import PEERS
from seedbed.finders.contract import example
from seedbed.finders.gradients import gradient_products, questions_of
from seedbed.models.adapters import Lora, wrap

COMMAND = [sys.executable, str(Path(__file__).with_name("slow_runner.py")), str(RUNNERS)]


def test_another_process_finds_the_same_products(tmp_path: Path) -> None:
    subject, documents, questions = example()
    # Equal documents stay two, at their own places.
    documents = [*documents, documents[0].model_copy(update={"id": "again"})]
    for name, parameter in subject.model.named_parameters():
        parameter.requires_grad_("layers.1" in name or "embed" in name)
    rows, asked = subject.encode(documents), questions_of(subject, questions, answer=True)
    export(subject, rows, asked, {}, tmp_path, draws_of(subject, documents, rows), repeat=2)
    run(COMMAND, tmp_path, "slow")
    answer = collect(tmp_path, "slow", (3, 13))
    wanted = gradient_products(subject, rows, asked, norms=False).dot
    np.testing.assert_allclose(answer.scores, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answer.scores[:, 12], answer.scores[:, 0], rtol=1e-4)
    assert len(answer.seconds) == 2
    assert min(answer.seconds) > 0
    assert answer.version == torch.__version__
    assert answer.notes == {"folder": tmp_path.name}


def test_labels_are_drawn_as_the_finder_ekfac_draws_them(tmp_path: Path) -> None:
    """Inversion: the first token whose cumulated probability exceeds the number."""
    sys.path.insert(0, str(RUNNERS))
    try:
        import given
    finally:
        sys.path.remove(str(RUNNERS))
    logits = torch.log(torch.tensor([0.2, 0.5, 0.3])).expand(1, 4, 3)
    labels = torch.tensor([[-100, 2, -100, 2]])
    draws = torch.tensor([[0.0, 0.19, 0.9, 0.71]])
    assert given.drawn(logits, labels, draws).tolist() == [[-100, 0, -100, 2]]


def test_a_run_that_fails_quotes_its_last_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('on its way'); raise ValueError('no such luck')"]
    with pytest.raises(InputError) as caught:
        run(command, tmp_path, "slow")
    log = tmp_path / "log.txt"
    assert str(caught.value) == f"slow: ValueError: no such luck (log: {log})"
    assert "Traceback" in log.read_text()
    assert "on its way" in log.read_text()


def test_unfit_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wrote no scores"):
        collect(tmp_path, "slow", (1, 2))
    np.save(tmp_path / "scores.npy", np.zeros((2, 1)))
    with pytest.raises(InputError, match=r"shape \(2, 1\), expected \(1, 2\)"):
        collect(tmp_path, "slow", (1, 2))
    np.save(tmp_path / "scores.npy", np.array([[1, np.inf]]))
    with pytest.raises(InputError, match="1 of its 2 scores are not finite"):
        collect(tmp_path, "slow", (1, 2))


def test_asking_a_peer_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    subject, documents, questions = example()
    asked = questions_of(subject, questions, answer=True)
    with pytest.raises(MissingPeer, match="run `seedbed adapters install bergson`"):
        ask(PEERS["bergson"], subject, subject.encode(documents), asked, {})


def test_an_exchange_leaves_nothing_but_the_log_of_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(exchange, "unavailable", lambda peer: "")
    subject, documents, questions = example()
    subject = replace(subject, scratch=tmp_path / "own")
    rows, asked = subject.encode(documents), questions_of(subject, questions, answer=True)

    def fails(command: list[str], folder: Path, name: str) -> None:
        raise InputError(f"see {folder}")

    def works(command: list[str], folder: Path, name: str) -> None:
        assert (folder / "subject" / "config.json").is_file()
        np.save(folder / "scores.npy", np.ones((3, 12)))
        report = '{"seconds": [1.0], "peak_mib": 2.0, "version": "9", "notes": {}}'
        (folder / "report.json").write_text(report)

    monkeypatch.setattr(exchange, "run", fails)
    with pytest.raises(InputError):
        ask(PEERS["bergson"], subject, rows, asked, {})
    assert len(list((tmp_path / "own").glob("bergson-*"))) == 1
    monkeypatch.setattr(exchange, "run", works)
    answer = ask(PEERS["bergson"], subject, rows, asked, {})
    assert (answer.scores.sum(), answer.seconds, answer.peak_mib) == (36, (1.0,), 2.0)
    assert not list((tmp_path / "own").iterdir())


def test_subjects_with_an_adapter_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    monkeypatch.setattr(exchange, "unavailable", lambda peer: "")
    subject, documents, questions = example()
    asked = questions_of(subject, questions, answer=True)
    subject = wrap(replace(subject, scratch=tmp_path), Lora(r=2))
    with pytest.raises(InputError, match="carries an adapter, and this package scores full"):
        ask(PEERS["bergson"], subject, subject.encode(documents), asked, {})
    assert not list(tmp_path.iterdir())
