"""Input gradients: how steeply the log-odds of the answer follow each part's embeddings.

A slope says what an infinitely small change would do, and words are no small changes: these
stand beside ablation as the cheap rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.asking import Asked
from seedbed.finders.embedded import baseline, logits_from, passes
from seedbed.finders.measures import ByMeasure
from seedbed.finders.parts import asked_by_parts, parts_of
from seedbed.models.hooks import evaluating
from seedbed.models.subject import Subject

GradientMeasure = Literal["norm", "product", "integrated"]


class InputGradients(ByMeasure):
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
        asked = asked_by_parts(subject, questions)
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
    middle = baseline(subject)
    found: dict[int, Slope] = {}
    with evaluating(subject.model):
        for index, batch, own in passes(subject, asked):
            given = (middle + share * (own.double() - middle)).to(own.dtype).requires_grad_()
            with torch.enable_grad():
                odds = log_odds(logits_from(subject, batch, given), [asked[i] for i in index])
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


def integrated(subject: Subject, asked: Sequence[Asked], steps: int) -> list[Tensor]:
    """Integrated gradients of every token, float64 [tokens], of each question.

    Those of a question sum to its log-odds less those of the baseline, up to the error of the
    quadrature (completeness: Sundararajan et al. 2017, proposition 1).
    """
    points, weights = np.polynomial.legendre.leggauss(steps)
    middle = baseline(subject).cpu()
    found = [torch.zeros(len(a.ids), dtype=torch.float64) for a in asked]
    for point, weight in zip(points.tolist(), weights.tolist(), strict=True):
        # From [−1, 1], where the quadrature is defined, to [0, 1].
        for total, slope in zip(found, slopes(subject, asked, (1 + point) / 2), strict=True):
            total.add_(weight / 2 * ((slope.embedding - middle) * slope.gradient).sum(1))
    return found
