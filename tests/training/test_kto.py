import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.core.rows import Document
from seedbed.core.transcripts import Transcript
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence
from seedbed.training.config import Optimizer, Training
from seedbed.training.kto import Kto, KtoObjective, kto_losses, paired, rotated
from seedbed.training.loop import train
from seedbed.training.samples import turn_documents
from seedbed.training.selection import Selection, select
from seedbed.training.trackers import accelerator_for

EpisodeMaker = Callable[..., list[Transcript]]
AgentMaker = Callable[[], Subject]
TRAINING = Training(epochs=2, batch=6, optimizer=Optimizer(lr=3e-3, warmup=0))


@pytest.fixture
def samples(agent: AgentMaker, episodes: EpisodeMaker) -> list[Document]:
    chosen = select(episodes(people=6, turns=2), Selection(), 0).chosen
    return turn_documents(agent().tokenizer, chosen, 0)


def _labels(samples: Sequence[Document]) -> list[bool]:
    return [bool(d.marks["label"]) for d in samples]


def _other(agent: AgentMaker, factor: float = 0.8) -> Any:
    """A reference that differs from the agent."""
    model = agent().model
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(factor)
    return model


def _log_p(model: Any, head: Sequence[int], tail: Sequence[int]) -> torch.Tensor:
    """log p of `tail` after `head`, token by token, one sequence at a time."""
    logits = model(input_ids=torch.tensor([[*head, *tail]])).logits[0].double()
    total = torch.zeros((), dtype=torch.float64)
    for place, token in enumerate(tail, start=len(head)):
        total = total + logits[place - 1].log_softmax(-1)[token]
    return total


def _by_the_paper(
    model: Any, reference: Any, pairs: Sequence[tuple[list[int], list[int], bool]], kto: Kto
) -> torch.Tensor:
    """KTO's loss of a batch, after section 4.2 of the paper: E[λ_y − v(x, y)]."""
    weights = {True: kto.desirable, False: kto.undesirable}
    estimate = 0.0
    for i, (head, _, _) in enumerate(pairs):
        other = pairs[i - 1][1]
        with torch.no_grad():
            estimate += float(_log_p(model, head, other) - _log_p(reference, head, other))
    z = max(0.0, estimate / len(pairs))
    total = torch.zeros((), dtype=torch.float64)
    for head, tail, desirable in pairs:
        ratio = _log_p(model, head, tail) - _log_p(reference, head, tail).detach()
        sign, weight = (1 if desirable else -1), weights[desirable]
        assert isinstance(weight, float)
        value = weight / (1 + torch.exp(-kto.beta * sign * (ratio - z)))
        total = total + weight - value
    return total / len(pairs)


def _split(sequence: TokenSequence) -> tuple[list[int], list[int]]:
    start = sequence.predicted.index(True)
    return list(sequence.ids[:start]), list(sequence.ids[start:])


@pytest.mark.parametrize("factor", [0.8, 1.3])
@pytest.mark.parametrize("kto", [Kto(beta=0.1, undesirable=1.0),
                                 Kto(beta=0.7, desirable=4.0, undesirable=0.5)])  # fmt: skip
def test_loss_and_gradient_are_those_of_the_paper(
    agent: AgentMaker, samples: list[Document], tmp_path: Path, kto: Kto, factor: float
) -> None:
    subject, reference = agent(), _other(agent, factor)
    labels = _labels(samples)
    sequences = [s.needed() for s in Subject(subject.model, subject.tokenizer, loss="answer",
                                             ).encode(samples)]  # fmt: skip
    indices = [3, 0, 8, 5, 7]
    objective = KtoObjective(kto, labels, [1.0] * len(labels), 128, reference)
    accelerator = accelerator_for(TRAINING, tmp_path)
    take = objective(accelerator, subject.model, sequences, [indices])
    told = take(subject.model, indices)
    found = {n: p.grad for n, p in subject.model.named_parameters()}
    again = agent()
    pairs = [(*_split(sequences[i]), labels[i]) for i in indices]
    loss = _by_the_paper(again.model, reference, pairs, kto)
    loss.backward()
    assert told["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    # A flatter reference gives the estimate its bound, a sharper one a value of its own.
    assert (told["kl"] > 0) == (factor > 1)
    for name, p in again.model.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=1e-4, atol=1e-6)


def test_the_loss_by_hand() -> None:
    ratios = torch.tensor([0.5, -1.0])
    losses = kto_losses(ratios, torch.tensor([True, False]), torch.tensor(0.2), 0.5, (2.0, 3.0))
    wanted = [2 * (1 - 1 / (1 + math.exp(-0.15))), 3 * (1 - 1 / (1 + math.exp(-0.6)))]
    assert losses.tolist() == pytest.approx(wanted)


def test_at_the_reference_every_sample_loses_half_its_weight(
    agent: AgentMaker, samples: list[Document], tmp_path: Path
) -> None:
    objective = KtoObjective(Kto(undesirable=1.0), _labels(samples), [1.0] * len(samples), 128)
    train(agent(), samples, TRAINING, tmp_path, objective=objective)
    first = (tmp_path / "history.jsonl").read_text().splitlines()[0]
    assert '"loss": 0.5' in first
    assert '"kl": 0.0' in first


def test_the_reference_is_the_model_before_its_first_step(
    agent: AgentMaker, samples: list[Document], tmp_path: Path
) -> None:
    losses = []
    for name, reference in (("none", None), ("copy", agent().model)):
        objective = KtoObjective(Kto(), _labels(samples), [1.0] * len(samples), 128, reference)
        trained = train(agent(), samples, TRAINING, tmp_path / name, objective=objective)
        losses.append({n: p.detach() for n, p in trained.model.named_parameters()})
    assert all(torch.equal(p, losses[1][n]) for n, p in losses[0].items())


def test_desirable_samples_become_likelier_and_undesirable_ones_less(
    agent: AgentMaker, samples: list[Document], tmp_path: Path
) -> None:
    objective = KtoObjective(Kto(beta=0.5), _labels(samples), [1.0] * len(samples), 128)
    longer = TRAINING.model_copy(update={"epochs": 20.0})
    train(agent(), samples, longer, tmp_path, objective=objective)
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert rows[-1]["desirable"] > 0.2
    assert rows[-1]["undesirable"] < -0.2
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]


def test_a_masked_sample_moves_nothing_but_the_kl(
    agent: AgentMaker, samples: list[Document], tmp_path: Path
) -> None:
    labels = _labels(samples)
    subject = Subject(agent().model, agent().tokenizer, loss="answer")
    sequences = [s.needed() for s in subject.encode(samples)]
    accelerator = accelerator_for(TRAINING, tmp_path)
    grads = []
    for second in (True, False):
        # Masked, its label makes no difference.
        marked = [labels[0], second, labels[2]]
        objective = KtoObjective(Kto(undesirable=1.0), marked, [1.0, 0.0, 1.0], 128,
                                 _other(agent))  # fmt: skip
        subject.model.zero_grad()
        take = objective(accelerator, subject.model, sequences[:3], [[0, 1, 2]])
        take(subject.model, [0, 1, 2])
        grads.append([p.grad.clone() for p in subject.model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_how_references_are_batched_changes_nothing(
    agent: AgentMaker, samples: list[Document], tmp_path: Path
) -> None:
    weights = []
    for rows in (1, 7, 64):
        objective = KtoObjective(Kto(), _labels(samples), [1.0] * len(samples), 128,
                                 _other(agent), rows)  # fmt: skip
        trained = train(agent(), samples, TRAINING, tmp_path / str(rows), objective=objective)
        weights.append(dict(trained.model.named_parameters()))
    for other in weights[1:]:
        for name, p in weights[0].items():
            torch.testing.assert_close(p, other[name], rtol=0, atol=1e-5)


def test_every_prompt_gets_the_completion_before_it() -> None:
    assert rotated([4, 7, 2]) == [(4, 2), (7, 4), (2, 7)]
    one = TokenSequence((1, 2, 3, 4), (False, False, True, True))
    two = TokenSequence((5, 6, 7), (False, True, True))
    assert paired([one, two], (0, 1), 10) == TokenSequence((1, 2, 6, 7), (False, False, True, True))
    assert paired([one, two], (1, 0), 2) == TokenSequence((5, 3), (False, True))
    assert paired([one, two], (0, 0), 10) == one


def test_balanced_weights() -> None:
    assert Kto(desirable=4).weights(30, 10) == (4, 3)
    assert Kto(desirable=4, undesirable=1).weights(30, 10) == (4, 1)
    assert Kto().weights(30, 0) == (1, 0)


def test_a_sample_without_completion_is_refused(agent: AgentMaker, tmp_path: Path) -> None:
    objective = KtoObjective(Kto(), [True], [1.0], 128)
    empty = TokenSequence((1,), (False,))
    with pytest.raises(InputError, match="no completion"):
        objective(accelerator_for(TRAINING, tmp_path), agent().model, [empty], [[0]])
