"""A training run as a function of its documents' weights: the same steps, without side effects.

All trained numbers lie in one vector, so that AdamW and its derivative are a few lines.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seedbed.core.errors import InputError
from seedbed.core.rows import Document
from seedbed.finders.flat import Flat
from seedbed.models.adapters import wrap
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence
from seedbed.training.config import Training
from seedbed.training.loop import learning_rate
from seedbed.training.methods import Method
from seedbed.training.order import DocumentOrder
from seedbed.training.trackers import fast_bfloat16

EPSILON = 1e-8


@dataclass(frozen=True)
class State:
    """Before a step: trained numbers and AdamW's two moments, each [numbers]."""

    weights: Tensor
    first: Tensor
    second: Tensor


class Replay(Flat):
    """The run of `training` on `documents` that starts from `subject`, which stays as it is.

    `dtype` is that of weights and sums. Raises InputError where training is no such function:
    with dropout, in another precision than float32, or with a method for proxies.
    """

    def __init__(
        self,
        subject: Subject,
        documents: Sequence[Document],
        training: Training,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        model = copy.deepcopy(subject.model)
        subject = Subject(model, subject.tokenizer, subject.seed, training.loss, subject.batch)
        if training.lora is not None:
            subject = wrap(subject, training.lora)
        _refuse_noise(model, training)
        super().__init__(model, dtype)
        self.training, self.dtype = training, dtype
        # As in training, tokens after the last predicted one count nowhere.
        self.sequences = [s.needed() for s in subject.encode(documents)]
        self.order = DocumentOrder(training.order, documents, training.batch, subject.seed)
        self.steps = training.total_steps(len(documents))
        decay = training.optimizer.weight_decay
        # Norm weights and biases (one axis) are not decayed.
        self.decay = torch.cat(
            [
                torch.full(
                    (shape.numel(),), decay * (len(shape) >= 2), dtype=dtype, device=self.device
                )
                for shape in self.shapes.values()
            ]
        )

    @property
    def device(self) -> torch.device:
        """Where the trained numbers are."""
        return self.start.device

    def room(self, memory: float) -> int:
        """How many states fit in half of `memory` (MiB)."""
        size = 3 * len(self.start) * self.start.element_size()
        return int(memory * 2**20 / 2 / size)

    def first(self) -> State:
        """The state before the first step."""
        zeros = torch.zeros_like(self.start)
        return State(self.start, zeros, zeros.clone())

    def loss(self, weights: dict[str, Tensor], step: int, shares: Tensor) -> Tensor:
        """The training loss of a step; `shares` are the weights of its documents, [batch]."""
        some = [self.sequences[i] for i in self.order.indices(step)]
        tokens = sum(sum(s.predicted) for s in some)
        return (self.row_losses(weights, some) * shares).sum() / tokens

    def gradient(self, state: State, step: int, shares: Tensor) -> Tensor:
        """The gradient of a step's loss before clipping, [numbers]."""
        with torch.enable_grad():
            leaves = state.weights.detach().clone().requires_grad_()
            loss = self.loss(self.parts(leaves), step, shares)
            return torch.autograd.grad(loss, leaves)[0]

    def advance(self, state: State, step: int, shares: Tensor) -> State:
        """The state after `step` (AdamW, Loshchilov & Hutter 2019, algorithm 2)."""
        gradient = self.gradient(state, step, shares)
        gradient = gradient * self.clip(gradient)
        return self.adamw(state, step, gradient)

    def clip(self, gradient: Tensor) -> float:
        """The factor of a gradient that keeps its norm below the limit."""
        limit = self.training.optimizer.clip
        return min(1.0, limit / (float(gradient.norm()) + 1e-6)) if limit else 1.0

    def rates(self, step: int) -> tuple[float, float, float]:
        """(learning rate, 1 - β1ᵗ, 1 - β2ᵗ) of a step."""
        one, two = self.training.optimizer.betas
        rate = learning_rate(self.training.optimizer, step, self.steps)
        return rate, 1 - one ** (step + 1), 1 - two ** (step + 1)

    def adamw(self, state: State, step: int, gradient: Tensor) -> State:
        """One update from a clipped gradient."""
        one, two = self.training.optimizer.betas
        rate, bias_one, bias_two = self.rates(step)
        first = torch.lerp(state.first, gradient, 1 - one)
        second = (state.second * two).addcmul_(gradient, gradient, value=1 - two)
        size = (second.sqrt() / math.sqrt(bias_two)).add_(EPSILON)
        weights = (state.weights * (1 - rate * self.decay)).addcdiv_(
            first, size, value=-rate / bias_one
        )
        return State(weights, first, second)

    def shares(self, weights: Tensor, step: int) -> Tensor:
        """Of the weights [documents], those of a step's batch."""
        return weights[torch.tensor(self.order.indices(step))].to(self.device, self.dtype)

    def run(self, weights: Tensor) -> Tensor:
        """The trained numbers at the end, with these weights of documents [documents]."""
        state = self.first()
        for step in range(self.steps):
            state = self.advance(state, step, self.shares(weights, step))
        return state.weights

    def question_losses(self, flat: Tensor, questions: Sequence[TokenSequence]) -> Tensor:
        """Loss of each question with trained numbers `flat`, [questions]."""
        with torch.no_grad():
            return self.row_losses(self.parts(flat), questions)


def _refuse_noise(model: Any, training: Training) -> None:
    drops = [m.p for m in model.modules() if isinstance(m, nn.Dropout)]
    text = model.config.get_text_config()
    drops += [float(getattr(text, "attention_dropout", 0) or 0)]
    if any(drops):
        raise InputError(f"unrolled: dropout {max(drops):g} makes training no function of weights")
    low = training.precision == "auto" and fast_bfloat16()
    if training.precision == "bfloat16" or low:
        raise InputError("unrolled: only training in float32 can be followed step by step")
    if training.method != Method():
        raise InputError(
            f"unrolled: training.method {training.method.kind} cannot be followed, only mixed"
        )
