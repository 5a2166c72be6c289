from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from seedbed.core.rows import Document, Question
from seedbed.core.sites import Claim
from seedbed.finders.asking import Asked, ask
from seedbed.finders.embedded import baseline
from seedbed.finders.input_gradients import (
    InputGradients,
    integrated,
    log_odds,
    slopes,
)
from seedbed.models.subject import Subject
from seedbed.scoring.ranking import per_question

Taught = tuple[Subject, list[Question]]
Untaught = Callable[[int], tuple[Subject, list[Document], list[Question]]]
EVERY = ("norm", "product", "integrated")


def odds_of(subject: Subject, asked: Asked, embeddings: torch.Tensor) -> float:
    """The log-odds at given embeddings [tokens, width], one forward pass by itself."""
    with torch.no_grad():
        logits = subject.model(inputs_embeds=embeddings[None]).logits[:, -1]
    return float(log_odds(logits, [asked])[0])


def exact(subject: Subject) -> Subject:
    return replace(subject, model=subject.model.double())


def test_slopes_are_finite_differences(untaught: Untaught) -> None:
    subject, _, questions = untaught(0)
    subject = exact(subject)
    asked = [ask(subject, q) for q in questions[:4]]
    table = subject.model.get_input_embeddings()
    generator = torch.Generator().manual_seed(0)
    for one, slope in zip(asked, slopes(subject, asked), strict=True):
        own = table(torch.tensor(one.ids)).detach()
        assert torch.equal(own, slope.embedding)
        assert slope.odds == pytest.approx(odds_of(subject, one, own), abs=1e-9)
        for _ in range(3):
            way = torch.randn(own.shape, generator=generator, dtype=own.dtype)
            # No smaller: norms and rotations of these blocks are in float32 whatever the weights.
            step = 1e-3 * way
            change = odds_of(subject, one, own + step) - odds_of(subject, one, own - step)
            slow = pytest.approx(change / 2e-3, rel=2e-3, abs=5e-3)
            assert float((slope.gradient * way).sum()) == slow


def test_log_odds_are_those_of_the_choices_alone() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5, 9.0]])
    asked = Asked("q", (0,), (0, 1, 2), 1, {})
    p = logits[0, :3].double().softmax(0)[1]
    assert float(log_odds(logits, [asked])[0]) == pytest.approx(float((p / (1 - p)).log()))


def test_integrated_gradients_are_complete(taught: Taught) -> None:
    subject, questions = taught
    subject = replace(subject)
    asked = [ask(subject, q) for q in questions[:10]]
    middle = baseline(subject)
    table = subject.model.get_input_embeddings()
    assert middle == pytest.approx(table.weight.detach().double().mean(0))
    whole = [slope.odds for slope in slopes(subject, asked)]
    nothing = [slope.odds for slope in slopes(subject, asked, 0.0)]
    alone = odds_of(subject, asked[0], middle.float().repeat(len(asked[0].ids), 1))
    assert nothing[0] == pytest.approx(alone, abs=1e-4)
    gaps = []
    for steps in (2, 64):
        sums = [float(t.sum()) for t in integrated(subject, asked, steps)]
        gaps.append(np.abs(np.array(sums) - np.array(whole) + np.array(nothing)).max())
    assert gaps[1] < 0.02 * np.abs(np.array(whole) - nothing).min()
    assert gaps[1] < gaps[0]


def test_parts_add_up_their_tokens(taught: Taught) -> None:
    subject, questions = taught
    wider = [q.model_copy(update={"places": {**q.places, "both": (2, 5)}}) for q in questions[:5]]
    asked = [ask(subject, q) for q in wider]
    finder = InputGradients.model_validate({"measure": EVERY})
    norm, product, whole = finder.find_all(subject, [], wider, [])
    tokens = integrated(subject, asked, finder.steps)
    for i, slope in enumerate(slopes(subject, asked)):
        at = list(asked[i].places["both"])
        column = norm.sites.index("both")
        assert norm.scores[i, column] == pytest.approx(float(slope.gradient[at].norm()))
        dot = float((slope.embedding * slope.gradient)[at].sum())
        assert product.scores[i, column] == pytest.approx(abs(dot))
        assert whole.scores[i, column] == pytest.approx(abs(float(tokens[i][at].sum())))


def test_the_part_that_decides_stands_first_among_those_that_vary(taught: Taught) -> None:
    subject, questions = taught
    varying = [
        q.model_copy(update={"places": {p: s for p, s in q.places.items() if p != "form"}})
        for q in questions
    ]
    finder = InputGradients(measure=("norm", "integrated"))
    for claim in finder.find_all(subject, [], varying, []):
        assert precision(claim) > 0.9


def test_slopes_also_point_at_what_never_varies(taught: Taught) -> None:
    """A known weakness: nothing else can stand there, yet an imagined change would matter."""
    subject, questions = taught
    claim = InputGradients().find(subject, [], questions, [])
    mean = dict(zip(claim.sites, claim.scores.mean(axis=0).tolist(), strict=True))
    assert mean["form"] > mean["word"]
    assert mean["form"] > mean["second"]


def precision(claim: Claim) -> float:
    """Mean average precision where the first digit alone decides."""
    positive = np.tile([s == "first" for s in claim.sites], (len(claim.scores), 1))
    known = np.ones_like(positive)
    return float(per_question("average_precision", claim.scores, positive, known).mean())


def test_the_model_is_left_without_gradients_or_hooks(taught: Taught) -> None:
    subject, questions = taught
    InputGradients(measure="integrated", steps=2).find(subject, [], questions[:3], [])
    assert all(p.grad is None for p in subject.model.parameters())
    assert not subject.model.get_input_embeddings()._forward_hooks


@pytest.mark.parametrize("kind", ["gpt2", "gemma", "qwen", "lora", "tied"])
def test_other_architectures(kind: str, subject_of: Callable[[str], Subject]) -> None:
    """Learned positions, scaled and tied embeddings, adapters: a step along the slope climbs."""
    subject = subject_of(kind)
    q = Question(id="q", prompt="today ( 3 ) likes", choices=(" red", " blue"), answer=" red",
                 places={"digit": (8, 9)})  # fmt: skip
    asked = [ask(subject, q)]
    ends = [s.odds for s in (slopes(subject, asked, 1.0)[0], slopes(subject, asked, 0.0)[0])]
    total = float(integrated(subject, asked, 32)[0].sum())
    assert total == pytest.approx(ends[0] - ends[1], abs=2e-3 * (1 + abs(ends[0] - ends[1])))
