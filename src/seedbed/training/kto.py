"""KTO (Ethayarajh et al. 2024, arXiv 2402.01306) as an objective of the one training loop.

The reference's log-probabilities are computed once, before the first step, for every pair of
prompt and completion that a step will need.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from seedbed.core.config import Config
from seedbed.core.errors import InputError
from seedbed.models.logits import predicted_logits
from seedbed.models.tokens import TokenSequence, pad
from seedbed.training.loop import Take

Pair = tuple[int, int]


class Kto(Config):
    """The loss and who computes it.

    `beta` is how strongly log-ratios count. Losses of desirable samples are weighed by
    `desirable`, of undesirable ones by `undesirable`; `balanced` makes up for unequal numbers:
    desirable samples / undesirable ones, so that `desirable` alone says which side counts more
    (at 1 the lower bound of the paper's equation 8). The `reference` is fixed at the one that is
    handed over, or moves: the agent as the iteration found it. A sample is one `turn` of the
    agent, or an `episode` with all its turns. `engine`: this project's loop, or TRL's trainer.
    """

    beta: float = Field(default=0.1, gt=0)
    desirable: float = Field(default=1.0, ge=0)
    undesirable: float | Literal["balanced"] = "balanced"
    reference: Literal["fixed", "moving"] = "fixed"
    per: Literal["turn", "episode"] = "turn"
    engine: Literal["own", "trl"] = "own"

    def weights(self, desirable: int, undesirable: int) -> tuple[float, float]:
        """The weights of both sides for so many samples of each."""
        if self.undesirable != "balanced":
            return self.desirable, self.undesirable
        return self.desirable, desirable / undesirable if undesirable else 0.0


def kto_losses(
    ratios: Tensor, desirable: Tensor, kl: Tensor, beta: float, weights: tuple[float, float]
) -> Tensor:
    """Loss [n] of each sample from its log-ratio [n], whether it is desirable [n], and `kl`.

    λ_D (1 − σ(β (r − z))) or λ_U (1 − σ(β (z − r))), the paper's section 4.2 with its constant
    term kept, as TRL does; r = log π(y|x) − log π_ref(y|x), nats.
    """
    away = torch.where(desirable, ratios - kl, kl - ratios)
    weight = torch.where(desirable, weights[0], weights[1])
    return weight * (1 - torch.sigmoid(beta * away))


def rotated(indices: Sequence[int]) -> list[Pair]:
    """(prompt, completion) of the mismatched pairs of a batch, which estimate its KL.

    Each prompt gets the completion of the sample before it, the first that of the last, as in
    TRL (the paper, section 4.2, shifts likewise).
    """
    return [(i, indices[place - 1]) for place, i in enumerate(indices)]


def paired(sequences: Sequence[TokenSequence], pair: Pair, context: int) -> TokenSequence:
    """The prompt of one sample with the completion of another, cut at `context` tokens."""
    prompt, completion = (sequences[i] for i in pair)
    head, tail = completion_start(prompt), completion_start(completion)
    ids = prompt.ids[:head] + completion.ids[tail:]
    predicted = prompt.predicted[:head] + completion.predicted[tail:]
    return TokenSequence(ids[:context], predicted[:context])


def completion_start(sequence: TokenSequence) -> int:
    """Place of the first token that the loss asks for."""
    return sequence.predicted.index(True)


def log_ps(model: Any, sequences: Sequence[TokenSequence], device: torch.device) -> Tensor:
    """Sum of log p [n], nats, of the predicted tokens of each sequence."""
    logits, targets, rows = predicted_logits(model, pad(sequences).to(device))
    each = cross_entropy(logits, targets, reduction="none")
    return torch.zeros(len(sequences), device=each.device).index_add(0, rows, -each)


class KtoObjective:
    """KTO over documents whose `labels` [documents] say which are desirable.

    `loss_weights` [documents] multiply each sample's loss (0 masks it); `reference` None is the
    model before its first step.
    """

    def __init__(
        self,
        kto: Kto,
        labels: Sequence[bool],
        loss_weights: Sequence[float],
        context: int,
        reference: Any | None = None,
        rows: int = 64,
    ) -> None:
        self.kto, self.labels, self.reference, self.rows = kto, labels, reference, rows
        self.loss_weights, self.context = loss_weights, context
        undesirable = len(labels) - sum(labels)
        self.weights = kto.weights(len(labels) - undesirable, undesirable)

    def __call__(
        self,
        accelerator: Any,
        model: Any,
        sequences: Sequence[TokenSequence],
        batches: Sequence[Sequence[int]],
    ) -> Take:
        """The steps of one training; raises InputError for a sample without completion."""
        if not all(any(s.predicted) for s in sequences):
            raise InputError("KTO: a sample has no completion; each needs a target")
        pairs = {p: None for b in batches for p in (*((i, i) for i in b), *rotated(b))}
        known = {p: paired(sequences, p, self.context) for p in pairs}
        reference = self._reference(accelerator, model, known)

        def take(running: Any, indices: Sequence[int]) -> dict[str, float]:
            return self._step(accelerator, running, indices, known, reference)

        return take

    def _reference(
        self, accelerator: Any, model: Any, known: dict[Pair, TokenSequence]
    ) -> dict[Pair, float]:
        """The reference's log p of every pair, without dropout."""
        source = model if self.reference is None else self.reference
        source.to(accelerator.device).eval()
        order = sorted(known, key=lambda p: (len(known[p].ids), p))
        found: dict[Pair, float] = {}
        for start in range(0, len(order), self.rows):
            part = order[start : start + self.rows]
            with torch.no_grad(), accelerator.autocast():
                values = log_ps(source, [known[p] for p in part], accelerator.device)
            found |= dict(zip(part, values.tolist(), strict=True))
        return found

    def _step(
        self,
        accelerator: Any,
        model: Any,
        indices: Sequence[int],
        known: dict[Pair, TokenSequence],
        reference: dict[Pair, float],
    ) -> dict[str, float]:
        # A log-ratio with dropout on one side only would be noise.
        model.eval()
        share = slice(accelerator.process_index, None, accelerator.num_processes)
        device = accelerator.device
        mixed, own = rotated(indices)[share], [(i, i) for i in indices[share]]
        with torch.no_grad(), accelerator.autocast():
            policy = log_ps(model, [known[p] for p in mixed], device)
        gap = policy - torch.tensor([reference[p] for p in mixed], device=device)
        kl = accelerator.reduce(gap.sum(), reduction="sum") / len(indices)
        kl = kl.clamp(min=0)
        with accelerator.autocast():
            said = log_ps(model, [known[p] for p in own], device)
        ratios = said - torch.tensor([reference[p] for p in own], device=device)
        desirable = torch.tensor([self.labels[i] for i, _ in own], device=device)
        weight = torch.tensor([self.loss_weights[i] for i, _ in own], device=device)
        losses = weight * kto_losses(ratios, desirable, kl, self.kto.beta, self.weights)
        total = losses.sum() / len(indices)
        # Averaging over processes would divide by their number; this undoes it.
        accelerator.backward(total * accelerator.num_processes)
        return self._told(accelerator, total.detach(), kl, ratios.detach(), desirable)

    def _told(
        self, accelerator: Any, total: Tensor, kl: Tensor, ratios: Tensor, desirable: Tensor
    ) -> dict[str, float]:
        """Loss, KL (nats) and the mean rewards β r of either side that the batch has."""
        rewards = self.kto.beta * ratios
        sums = torch.stack([
            total, rewards[desirable].sum(), desirable.sum().float(),
            rewards[~desirable].sum(), (~desirable).sum().float(),
        ])  # fmt: skip
        loss, good, goods, bad, bads = accelerator.reduce(sums, reduction="sum").tolist()
        told = {"loss": loss, "kl": float(kl)}
        if goods:
            told["desirable"] = good / goods
        if bads:
            told["undesirable"] = bad / bads
        return told
