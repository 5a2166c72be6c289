import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.errors import ConfigError
from seedbed.core.files import read_objects
from seedbed.core.transcripts import Transcript
from seedbed.models.adapters import Lora
from seedbed.models.folders import WEIGHTS, load_weights, trainable_state
from seedbed.models.subject import Subject
from seedbed.training.config import Optimizer, Training
from seedbed.training.kto import Kto, KtoObjective
from seedbed.training.kto_trl import train_with_trl
from seedbed.training.loop import train
from seedbed.training.samples import turn_documents
from seedbed.training.selection import Selection, select

EpisodeMaker = Callable[..., list[Transcript]]
AgentMaker = Callable[[], Subject]
TRAINING = Training(epochs=1.5, batch=8, optimizer=Optimizer(lr=3e-3))
KTO = Kto(beta=0.5, desirable=2.0)


def _weights(subject: Subject) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trainable_state(subject.model).items()}


def _start(agent: AgentMaker) -> Subject:
    return replace(agent(), seed=2**62 + 5, loss="answer")


@pytest.mark.parametrize("lora", [None, Lora(r=2)])
@pytest.mark.parametrize("moved", [False, True])
def test_it_agrees_with_our_own_loop(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path, lora: Lora | None, moved: bool
) -> None:
    chosen = select(episodes(people=9, turns=2), Selection(), 0).chosen
    documents = turn_documents(agent().tokenizer, chosen, 0)
    labels = [bool(d.marks["label"]) for d in documents]
    training = TRAINING.model_copy(update={"lora": lora})
    reference = None
    if moved:
        reference = agent().model
        with torch.no_grad():
            for p in reference.parameters():
                p.mul_(0.8)
    theirs = train_with_trl(_start(agent), reference, documents, labels, KTO, training,
                            tmp_path / "trl")  # fmt: skip
    objective = KtoObjective(KTO, labels, [1.0] * len(labels), theirs.context, reference)
    own = train(_start(agent), documents, training, tmp_path / "own", objective=objective)
    ours, other = _weights(own), _weights(theirs)
    begun = _weights(_start(agent)) if lora is None else {}
    far = max((float((p - begun[n]).abs().max()) for n, p in ours.items()), default=0.0) if (
        begun) else 1.0  # fmt: skip
    assert far > 3e-3
    # Sums of log-probabilities come in another order; Adam makes at most this of it.
    for name, p in ours.items():
        torch.testing.assert_close(other[name], p, rtol=0, atol=2e-5)
    rows = [[row for _, row in read_objects(tmp_path / n / "history.jsonl")]
            for n in ("own", "trl")]  # fmt: skip
    assert len(rows[0]) == len(rows[1]) == 7
    for a, b in zip(*rows, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == pytest.approx(b, abs=1e-4)
    assert [c.step for c in theirs.checkpoints] == [7]
    fresh = theirs.checkpoints[0]
    load_weights(own.model, fresh.folder)
    assert all(torch.equal(p, other[n]) for n, p in _weights(own).items())


def test_nothing_of_the_subject_or_the_process_changes_besides(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path
) -> None:
    documents = turn_documents(agent().tokenizer, select(episodes(), Selection(), 0).chosen, 0)
    labels = [bool(d.marks["label"]) for d in documents]
    subject, reference = _start(agent), agent().model
    kept = {n: p.clone() for n, p in reference.named_parameters()}
    config, forward = subject.model.config.to_dict(), subject.model.forward
    begun = _weights(subject)
    draws: list[Callable[[], Any]] = [
        random.random, np.random.random, lambda: float(torch.rand(1))
    ]  # fmt: skip

    def drawn() -> list[Any]:
        random.seed(4)
        np.random.seed(4)
        torch.manual_seed(4)
        return [draw() for draw in draws]

    wanted = drawn()
    random.seed(4)
    np.random.seed(4)
    torch.manual_seed(4)
    train_with_trl(subject, reference, documents, labels, KTO, TRAINING, tmp_path)
    assert [draw() for draw in draws] == wanted
    assert subject.model.config.to_dict() == config
    assert subject.model.forward == forward
    assert all(p.requires_grad for p in subject.model.parameters())
    assert all(torch.equal(p, kept[n]) for n, p in reference.named_parameters())
    assert any(not torch.equal(p, begun[n]) for n, p in _weights(subject).items())
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"history.jsonl", "summary.json", f"checkpoints/0000002/{WEIGHTS}"}


@pytest.mark.parametrize("what", ["masked", "several", "layers", "precision"])
def test_what_it_cannot_do_is_refused(
    agent: AgentMaker, episodes: EpisodeMaker, tmp_path: Path, what: str
) -> None:
    documents = turn_documents(agent().tokenizer, select(episodes(), Selection(), 0).chosen, 0)
    training = TRAINING
    if what == "masked":
        documents[0] = documents[0].model_copy(update={"weight": 0.0})
    elif what == "several":
        documents[0] = documents[0].model_copy(update={"targets": ((0, 1), (2, 3))})
    elif what == "layers":
        training = training.model_copy(update={"only_layers": (0,)})
    else:
        training = training.model_copy(update={"precision": "bfloat16"})
    with pytest.raises(ConfigError, match="use engine 'own'"):
        train_with_trl(_start(agent), None, documents, [True] * 8, KTO, training, tmp_path)
