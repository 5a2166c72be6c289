"""The proximal Bregman response: what leaving documents out would do, by real minimisation.

Bae et al. 2022 (arXiv 2209.05364, eq. 6): the quantity that influence functions of neural
networks approximate, so it tells an error of the curvature from an error of the idea.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seedbed.core.errors import InputError
from seedbed.core.rows import Document
from seedbed.core.seeds import stream
from seedbed.finders.flat import Flat
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Response:
    """`effects` [questions, removals]: the change of each question's loss, nats.

    `settled` [removals] is the objective's gradient at the end as a share of that at the
    start: near 0 where the minimum was reached.
    """

    effects: Array
    settled: Array


def pbrf_effects(
    subject: Subject,
    documents: Sequence[Document],
    removals: Sequence[Sequence[int]],
    questions: Sequence[TokenSequence],
    damping: float = 1e-3,
    steps: int = 200,
    lr: float = 1e-3,
    batch: int = 64,
    share: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Response:
    """The response of every question to each removal, a set of document numbers.

    From the subject's weights θₛ, Adam minimises over θ, with N documents,
    1/N Σ_i Σ_t KL(p_θₛ ‖ p_θ) − share/N Σ_removed loss(θ) + damping/2 ‖θ − θₛ‖², where KL
    runs over predicted tokens and losses are sums over them. Each step looks at all removed
    documents and at `batch` others by a stream of the subject's seed (0: at all, as the
    result's `settled` always does); `lr` falls to 0 by a cosine. To first order the response
    is share/N · g_qᵀ (G + damping)⁻¹ Σ_removed g with the Gauss-Newton matrix G, so `damping`
    is absolute. Raises InputError for a document number that does not exist.
    """
    for number in {n for removal in removals for n in removal}:
        if not 0 <= number < len(documents):
            raise InputError(
                f"pbrf: there is no document {number}; they are 0 to {len(documents) - 1}"
            )
    problem = _Problem(subject, documents, damping, share, dtype)
    asked = [q.needed() for q in questions]
    with torch.no_grad():
        before = problem.flat.row_losses(problem.fixed, asked)
    columns, settled = [], []
    for number, removal in enumerate(removals):
        removed = sorted(removal)
        theta = problem.minimise(removed, steps, lr, batch, number)
        with torch.no_grad():
            after = problem.flat.row_losses(problem.flat.parts(theta), asked)
        columns.append((after - before).double().cpu().numpy())
        first, last = (
            float(problem.gradient(at, removed).norm()) for at in (problem.flat.start, theta)
        )
        settled.append(last / first if first else 0.0)
    return Response(np.stack(columns, 1), np.array(settled))


class _Problem:
    """The proximal Bregman objective of a subject and its documents."""

    def __init__(
        self,
        subject: Subject,
        documents: Sequence[Document],
        damping: float,
        share: float,
        dtype: torch.dtype,
    ) -> None:
        self.flat = Flat(subject.model, dtype)
        self.fixed = self.flat.parts(self.flat.start)
        self.sequences = [s.needed() for s in subject.encode(documents)]
        self.damping, self.share = damping, share
        self.seed, self.rows = subject.seed, subject.batch

    def minimise(
        self, removed: list[int], steps: int, lr: float, batch: int, number: int
    ) -> Tensor:
        """θ after `steps` of Adam."""
        theta = self.flat.start.clone()
        optimizer = torch.optim.Adam([theta], lr=lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        rng = stream(self.seed, "pbrf", number)
        for _ in range(steps):
            some = None
            if 0 < batch < len(self.sequences):
                some = rng.sample(range(len(self.sequences)), batch)
            theta.grad = self.gradient(theta, removed, some)
            optimizer.step()
            schedule.step()
        return theta

    def gradient(self, theta: Tensor, removed: list[int], some: list[int] | None = None) -> Tensor:
        """Of the objective at `theta`, [numbers]; KL over the documents `some`, or all."""
        kept = list(range(len(self.sequences))) if some is None else some
        total = self.damping * (theta - self.flat.start)
        for chunk in self._chunks(kept):
            total += self._slope(theta, chunk, distance=True) / len(kept)
        for chunk in self._chunks(removed):
            total -= self.share / len(self.sequences) * self._slope(theta, chunk, distance=False)
        return total

    def _chunks(self, index: list[int]) -> Iterator[list[TokenSequence]]:
        for i in range(0, len(index), self.rows):
            yield [self.sequences[k] for k in index[i : i + self.rows]]

    def _slope(self, theta: Tensor, sequences: list[TokenSequence], *, distance: bool) -> Tensor:
        leaf = theta.detach().clone().requires_grad_()
        parts = self.flat.parts(leaf)
        if not distance:
            loss = self.flat.row_losses(parts, sequences).sum()
            return torch.autograd.grad(loss, leaf)[0]
        with torch.no_grad():
            fixed = self.flat.logits(self.fixed, sequences)[0].log_softmax(-1)
        moved = self.flat.logits(parts, sequences)[0].log_softmax(-1)
        kl = nn.functional.kl_div(moved, fixed, reduction="sum", log_target=True)
        return torch.autograd.grad(kl, leaf)[0]
