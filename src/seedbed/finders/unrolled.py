"""Exact derivatives of trained question losses by the weight of each training document.

Reverse mode through every optimiser step (as MAGIC does: Ilyas & Engstrom 2025, arXiv
2504.16430, section 3), all questions in one pass. A diagnostic: `smoothness` says how far the
derivative can be believed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BeforeValidator, Field, SerializeAsAny
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim, Floats
from seedbed.finders.base import Finder
from seedbed.finders.gradients import questions_of
from seedbed.finders.replay import EPSILON, Replay, State
from seedbed.models.folders import trainable_state
from seedbed.models.subject import SUBJECTS, Subject, SubjectConfig
from seedbed.models.tokens import TokenSequence
from seedbed.models.vocabulary import added_ids
from seedbed.training.config import Training

# Numbers of the adjoint handled at once, to stay in the processor's cache.
TILE = 2**17
# Rounding may part a replay from its training; another training is much farther away.
FAR = 0.05


def _built(value: Any) -> Any:
    return value if value is None else SUBJECTS.build(value)


class Unrolled(Finder):
    """Minus the derivative of each question's loss by each document's weight in training."""

    kind: str = "unrolled"
    training: Training | None = Field(default=None, description="how the subject was trained")
    subject: SerializeAsAny[Annotated[SubjectConfig, BeforeValidator(_built)]] | None = Field(
        default=None, description="what the training started from"
    )
    answer: bool = Field(
        default=True, description="false: the subject's own choice, not the answer"
    )
    memory: int = Field(default=1024, ge=16, description="MiB for states and adjoints")
    smoothness: int = Field(
        default=0, ge=0, description="trainings for each figure of smoothness; 0: none"
    )

    def placed(self, subject: SubjectConfig, training: Training | None) -> Finder:
        """With the study's own training and subject where none are given."""
        given = {"training": self.training or training, "subject": self.subject or subject}
        return self.model_copy(update=given)

    def unavailable(self) -> str:
        """Without the training and what it started from there is nothing to follow."""
        missing = self.training is None or self.subject is None
        return "unrolled: needs 'training' and 'subject' of the trained subject" if missing else ""

    def unsuited(self, subject: SubjectConfig, training: Training | None) -> str:
        """Orders by group look at what a finder never sees."""
        if training is None:
            return "unrolled: follows a training, and this subject is taken as it is"
        kind = training.order.kind
        plain = kind in ("shuffle", "given")
        return "" if plain else f"unrolled: cannot follow training.order {kind!r}"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Score −∂ loss / ∂ weight [questions, documents] at weight 1; higher = helps.

        The training is run again from its start. Raises InputError if `training` or `subject`
        are not given, if they do not lead to the weights of this subject, and where training
        is no function of weights (see `Replay`).
        """
        if self.training is None or self.subject is None:
            raise InputError(self.unavailable())
        start = _start(self.subject, subject)
        asked = questions_of(subject, questions, self.answer)
        replay = Replay(start, documents, self.training)
        states = _States(replay, torch.ones(len(documents)), replay.room(self.memory))
        distance = _distance(replay, states.last, subject)
        if distance > FAR:
            raise InputError(
                f"unrolled: the given training does not end at this subject's weights"
                f" (they differ by {distance:.2g} of their change); was it trained so, with none of"
                " these documents held out?"
            )
        effects = _effects(replay, states, asked, self.memory)
        notes = {"training": f"{replay.steps} steps, ends within {distance:.1g} of the subject"}
        if self.smoothness:
            figures = smoothness(
                start, documents, self.training, asked, effects, groups=self.smoothness
            )
            told = ", ".join(f"{size:g}: {figure:.2f}" for size, figure in figures.items())
            notes["smoothness"] = f"correlation with real changes of weights by size: {told}"
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        return Claim(*ids, -effects, notes=notes)


def _start(config: SubjectConfig, trained: Subject) -> Subject:
    """What `config` makes for the vocabulary of a trained subject, from its seed."""
    words = sorted(trained.tokenizer.get_vocab())
    added = trained.tokenizer.convert_ids_to_tokens(list(added_ids(trained.model)))
    start = config.build(words, added, trained.seed)
    if start.tokenizer.get_vocab() != trained.tokenizer.get_vocab():
        raise InputError("unrolled: 'subject' makes another vocabulary than this subject has")
    return start


def _distance(replay: Replay, flat: Tensor, trained: Subject) -> float:
    """How far a replay's end lies from a subject's weights, as a share of the way it went."""
    state = trainable_state(trained.model)
    if {n: t.shape for n, t in state.items()} != replay.shapes:
        raise InputError("unrolled: 'subject' and 'training' train other weights than this one's")
    actual = torch.cat([t.flatten() for t in state.values()])
    return float((flat - actual).norm() / (flat - replay.start).norm().clamp(min=1e-12))


def unrolled_effects(
    subject: Subject,
    documents: Sequence[Document],
    training: Training,
    questions: Sequence[TokenSequence],
    memory: float = 1024,
    dtype: torch.dtype = torch.float32,
) -> Floats:
    """∂ question loss after training / ∂ document weight, [questions, documents], nats.

    `subject` is the one that training starts from; the derivative is taken where every
    document has its own `weight`. States of all steps are kept if they fit in half of
    `memory` (MiB), else those of every √steps-th, and the steps between are run again.
    Questions whose adjoints do not fit in the rest are taken in turns. Raises InputError for
    training with dropout or in another precision than float32.
    """
    replay = Replay(subject, documents, training, dtype)
    weights = torch.tensor([d.weight for d in documents], dtype=dtype)
    return _effects(replay, _States(replay, weights, replay.room(memory)), questions, memory)


def _effects(
    replay: Replay, states: "_States", questions: Sequence[TokenSequence], memory: float
) -> Floats:
    # Three adjoints, the Hessian products, and the graph's temporaries beside them.
    turn = max(1, replay.room(memory) * 3 // 5)
    found = [
        _reverse(replay, states, questions[i : i + turn]) for i in range(0, len(questions), turn)
    ]
    return torch.cat(found).double().cpu().numpy()


class _States:
    """States before every step, last to first, from those that are kept."""

    def __init__(self, replay: Replay, weights: Tensor, most: int) -> None:
        self.replay, self.weights = replay, weights
        steps = replay.steps
        self.stride = steps if steps < most else math.isqrt(steps - 1) + 1
        self.kept: list[State] = []
        state = replay.first()
        self.segment: tuple[int, list[State]] = (0, [])
        for step in range(steps):
            if step % self.stride == 0:
                self.kept.append(state)
                self.segment = (step, [])
            self.segment[1].append(state)
            state = self._next(state, step)
        self.last = state.weights

    def backwards(self) -> Iterator[tuple[int, State]]:
        """(step, the state before it), last step first."""
        for start in reversed(range(0, self.replay.steps, self.stride)):
            if self.segment[0] != start:
                states = [self.kept[start // self.stride]]
                for step in range(start, min(start + self.stride, self.replay.steps) - 1):
                    states.append(self._next(states[-1], step))
                self.segment = (start, states)
            for i in reversed(range(len(self.segment[1]))):
                yield start + i, self.segment[1][i]

    def _next(self, state: State, step: int) -> State:
        return self.replay.advance(state, step, self.replay.shares(self.weights, step))


def _reverse(replay: Replay, states: _States, questions: Sequence[TokenSequence]) -> Tensor:
    """The derivatives [questions, documents]."""
    weights = states.weights
    total = torch.zeros(len(questions), len(weights), dtype=replay.dtype, device=replay.device)
    # Fused attention has no second derivative; the plain formula has.
    with sdpa_kernel(SDPBackend.MATH):
        leaves = states.last.detach().clone().requires_grad_()
        losses = replay.row_losses(replay.parts(leaves), questions)
        eye = torch.eye(len(questions), dtype=losses.dtype, device=losses.device)
        (above,) = torch.autograd.grad(losses, leaves, eye, is_grads_batched=True)
        adjoint = _Adjoint(above, torch.zeros_like(above), torch.zeros_like(above))
        for step, state in states.backwards():
            shares = replay.shares(weights, step).requires_grad_()
            parts = {n: p.detach().requires_grad_() for n, p in replay.parts(state.weights).items()}
            loss = replay.loss(parts, step, shares)
            raw = torch.autograd.grad(loss, list(parts.values()), create_graph=True)
            gradient = torch.cat([g.detach().flatten() for g in raw])
            towards = replay.parts(adjoint.before_update(replay, step, state, gradient))
            wanted = [*parts.values(), shares]
            found = torch.autograd.grad(
                raw, wanted, list(towards.values()), is_grads_batched=True, allow_unused=True
            )
            wholes = replay.parts(adjoint.weights).values()
            for whole, product in zip(wholes, found[:-1], strict=True):
                if product is not None:
                    whole.add_(product)
            read = torch.tensor(replay.order.indices(step), device=replay.device)
            total.index_add_(1, read, found[-1])
    return total


@dataclass
class _Adjoint:
    """Derivatives of every question's loss by the state, each [questions, numbers]."""

    weights: Tensor
    first: Tensor
    second: Tensor

    def before_update(self, replay: Replay, step: int, state: State, gradient: Tensor) -> Tensor:
        """Go back over one AdamW update; returns the derivatives by the gradient, unclipped."""
        one, two = replay.training.optimizer.betas
        rate, bias_one, bias_two = replay.rates(step)
        factor = replay.clip(gradient)
        clipped = gradient * factor
        after = replay.adamw(state, step, clipped)
        root = (after.second / bias_two).sqrt_()
        size = root + EPSILON
        by_first = -rate / bias_one / size
        by_second = rate / bias_one * after.first / size.square() / (2 * bias_two * root)
        # Numbers that never had a gradient stand still, however steep the root is at 0.
        by_second = torch.where(root > 0, by_second, 0)
        decayed = 1 - rate * replay.decay
        square = 2 * (1 - two) * clipped
        towards = torch.empty_like(self.weights)
        width = max(1, TILE // len(towards))
        for i in range(0, towards.shape[1], width):
            at = slice(i, i + width)
            above, first, second = self.weights[:, at], self.first[:, at], self.second[:, at]
            first.addcmul_(above, by_first[at])
            second.addcmul_(above, by_second[at])
            torch.mul(first, 1 - one, out=towards[:, at])
            towards[:, at].addcmul_(second, square[at])
            first.mul_(one)
            second.mul_(two)
            above.mul_(decayed[at])
        if factor < 1:
            norm = float(gradient.norm())
            slope = -factor / (norm + 1e-6) / norm
            along = towards @ gradient
            towards.mul_(factor).addr_(along, gradient, alpha=slope)
        return towards


def smoothness(
    subject: Subject,
    documents: Sequence[Document],
    training: Training,
    questions: Sequence[TokenSequence],
    effects: Floats,
    sizes: Sequence[float] = (1e-3, 1e-2, 1e-1, 0.5, 1.0),
    groups: int = 12,
    share: float = 0.1,
    dtype: torch.dtype = torch.float32,
) -> dict[float, float]:
    """For each size: correlation of predicted with actual changes of question losses.

    A change takes `size` off the weights of a random `share` of documents (1.0 removes them);
    there are `groups` such draws, and a training for each draw and size. The figure is the
    mean over questions of Pearson's correlation over draws: near 1 where the derivative can
    be believed, NaN if no question's loss moves.
    """
    replay = Replay(subject, documents, training, dtype)
    own = torch.tensor([d.weight for d in documents], dtype=dtype)
    rng = stream(subject.seed, "unrolled", "smoothness")
    count = max(1, round(share * len(documents)))
    drawn = [rng.sample(range(len(documents)), count) for _ in range(groups)]
    base = replay.question_losses(replay.run(own), questions)
    found: dict[float, float] = {}
    for size in sizes:
        change = torch.zeros(groups, len(documents), dtype=dtype)
        for row, group in zip(change, drawn, strict=True):
            row[group] = -size * own[group]
        moved = [replay.question_losses(replay.run(own + row), questions) - base for row in change]
        actual = torch.stack(moved, 1).double().cpu().numpy()
        found[size] = _agreement(effects @ change.double().numpy().T, actual)
    return found


def _agreement(predicted: Floats, actual: Floats) -> float:
    """Mean over rows of Pearson's correlation, rows that do not move left out."""
    a = predicted - predicted.mean(1, keepdims=True)
    b = actual - actual.mean(1, keepdims=True)
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return float(((a * b).sum(1)[size > 0] / size[size > 0]).mean()) if size.any() else math.nan
