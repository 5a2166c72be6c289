"""Input gradients: how steeply the log-odds of the answer follow each part's embeddings.

A slope says what an infinitely small change would do, and words are no small changes: these
stand beside ablation as the cheap rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.asking import Asked, ask
from seedbed.finders.measures import Measured
from seedbed.finders.parts import parts_of
from seedbed.models.hooks import evaluating
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

GradientMeasure = Literal["norm", "product", "integrated"]


class InputGradients(Measured):
    """Gradients of the answer's log-odds among the choices, by part of the input.

    `norm`: length of the gradient at the part's tokens. `product`: |gradient · embedding|.
    `integrated`: |Σ (embedding − baseline) · gradient averaged on the way from the baseline|,
    where the baseline has the mean embedding of the vocabulary at every token.
    """

    kind: str = "input-gradients"
    sites = SiteKind.INPUT
    measure: GradientMeasure | tuple[GradientMeasure, ...] = Field(
        default="norm", description="norm, product, integrated; several: a row for each"
    )
    steps: int = Field(default=16, ge=1, description="points from baseline to input (integrated)")

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """Scores [questions, parts] of each measure, 0 where a question lacks a part.

        `norm` and `product` (Simonyan et al. 2014, section 3; Shrikumar et al. 2017, section
        3.2) share a forward and backward pass; `integrated` (Sundararajan et al. 2017, section
        3) takes `steps`, at the points of Gauss-Legendre quadrature. Raises InputError for a
        question without places, and for choices that no single token tells apart.
        """
        parts = parts_of(questions)
        asked = [ask(subject, q) for q in questions]
        ids = tuple(q.id for q in questions)
        here = slopes(subject, asked) if set(self.measures) - {"integrated"} else []
        claims = []
        for measure in self.measures:
            notes = {"passes": "one forward and backward pass a question"}
            if measure == "integrated":
                values = integrated(subject, asked, self.steps)
                notes = {"passes": f"{self.steps} forward and backward passes a question"}
            elif measure == "product":
                values = [(s.embedding * s.gradient).sum(1) for s in here]
            else:
                values = [s.gradient.norm(dim=1) for s in here]
            scores = np.zeros((len(questions), len(parts)))
            for i, question in enumerate(questions):
                for part in question.places:
                    tokens = values[i][list(asked[i].places[part])]
                    total = tokens.norm() if measure == "norm" else tokens.sum().abs()
                    scores[i, parts.index(part)] = float(total)
            claims.append(Claim(ids, parts, scores, SiteKind.INPUT, notes))
        return claims


@dataclass(frozen=True)
class Slope:
    """A question's own embeddings and the gradient of its log-odds, float64 [tokens, width].

    `odds` are the log-odds, nats, where the gradient was taken.
    """

    embedding: Tensor
    gradient: Tensor
    odds: float


def slopes(subject: Subject, asked: Sequence[Asked], share: float = 1.0) -> list[Slope]:
    """Gradients at baseline + share · (embedding − baseline); 1: at the questions themselves."""
    model = subject.model
    table = model.get_input_embeddings()
    middle = baseline(subject).to(subject.device)
    sequences = [TokenSequence(a.ids, (False,) * len(a.ids)) for a in asked]
    found: dict[int, Slope] = {}
    with evaluating(model):
        for index, batch in subject.batches(sequences):
            own = table(batch.ids).detach()
            given = (middle + share * (own.double() - middle)).to(own.dtype).requires_grad_()
            last = torch.zeros_like(batch.predicted)
            for row, i in enumerate(index):
                last[row, len(asked[i].ids) - 1] = True
            with torch.enable_grad(), _embedded(table, given):
                logits = logits_at(model, batch, last, use_cache=False)
                odds = log_odds(logits, [asked[i] for i in index])
                (gradient,) = torch.autograd.grad(odds.sum(), given)
            for row, i in enumerate(index):
                count = len(asked[i].ids)
                here, there = (x[row, :count].double().cpu() for x in (own, gradient))
                found[i] = Slope(here, there, float(odds[row].detach()))
    return [found[i] for i in range(len(asked))]


def log_odds(logits: Tensor, asked: Sequence[Asked]) -> Tensor:
    """Log p / (1 − p) of each answer among the choices' next tokens: [n, vocabulary] → [n]."""
    found = []
    for row, one in zip(logits.double(), asked, strict=True):
        picked = row[list(one.choices)]
        others = [c for c in range(len(one.choices)) if c != one.answer]
        found.append(picked[one.answer] - picked[others].logsumexp(0))
    return torch.stack(found)


@torch.no_grad()
def baseline(subject: Subject) -> Tensor:
    """The mean embedding of the vocabulary, float64 [width]."""
    table = subject.model.get_input_embeddings()
    # Through the module itself, which may scale what its weights hold.
    every = torch.arange(table.weight.shape[0], device=subject.device)
    middle: Tensor = table(every).double().mean(0).cpu()
    return middle


def integrated(subject: Subject, asked: Sequence[Asked], steps: int) -> list[Tensor]:
    """Integrated gradients of every token, float64 [tokens], of each question.

    Those of a question sum to its log-odds less those of the baseline, up to the error of the
    quadrature (completeness: Sundararajan et al. 2017, proposition 1).
    """
    points, weights = np.polynomial.legendre.leggauss(steps)
    middle = baseline(subject)
    found = [torch.zeros(len(a.ids), dtype=torch.float64) for a in asked]
    for point, weight in zip(points.tolist(), weights.tolist(), strict=True):
        # From [−1, 1], where the quadrature is defined, to [0, 1].
        for total, slope in zip(found, slopes(subject, asked, (1 + point) / 2), strict=True):
            total.add_(weight / 2 * ((slope.embedding - middle) * slope.gradient).sum(1))
    return found


@contextmanager
def _embedded(table: Any, given: Tensor) -> Iterator[None]:
    """The input embedding hands on `given` [rows, length, width], whatever it is asked for."""
    handle = table.register_forward_hook(lambda *_: given)
    try:
        yield
    finally:
        handle.remove()
