"""Masking of input parts: the mean embedding in place of a part's tokens.

One forward pass a part, the cheapest intervention; but no prompt ever looked like that, so
what it does may say more about the mask than about the part.
"""

from collections.abc import Sequence

import torch
from pydantic import Field

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.asking import Asked
from seedbed.finders.embedded import baseline, logits_from, passes
from seedbed.finders.measures import ByMeasure
from seedbed.finders.part_effects import Floats, PartMeasure, among, claims_of
from seedbed.finders.parts import asked_by_parts, parts_of
from seedbed.models.hooks import evaluating
from seedbed.models.subject import Subject


class PartMasking(ByMeasure):
    """How the answer changes when the vocabulary's mean embedding stands at a part's tokens."""

    kind: str = "part-masking"
    sites = SiteKind.INPUT
    measure: PartMeasure | tuple[PartMeasure, ...] = Field(
        default="drop", description="flip, drop, any; several: a row for each, from one pass"
    )

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """Scores [questions, parts] of each measure, 0 where a question lacks a part.

        Runs questions × (1 + parts) prompts. Raises InputError for a question without places or
        choices, and for choices that no single token tells apart.
        """
        parts = parts_of(questions)
        asked = asked_by_parts(subject, questions)
        places = [(i, part) for i, q in enumerate(questions) for part in q.places]
        hidden = [(asked[i], asked[i].places[part]) for i, part in places]
        rows = masked(subject, [*((a, ()) for a in asked), *hidden])
        before, after = rows[: len(asked)], rows[len(asked) :]
        effects = {place: [row] for place, row in zip(places, after, strict=True)}
        notes = {"scored": f"{len(rows)} prompts, one masked for each question and part"}
        return claims_of(self.measures, questions, parts, before, effects, notes)


@torch.no_grad()
def masked(subject: Subject, wanted: Sequence[tuple[Asked, Sequence[int]]]) -> list[Floats]:
    """Log-probabilities among the choices, nats, of each question with its positions masked."""
    middle = baseline(subject)
    found: dict[int, Floats] = {}
    with evaluating(subject.model):
        for index, batch, own in passes(subject, [a for a, _ in wanted]):
            given = own.clone()
            for row, i in enumerate(index):
                given[row, list(wanted[i][1])] = middle.to(given.dtype)
            logits = logits_from(subject, batch, given).float().cpu()
            for row, i in enumerate(index):
                found[i] = among(logits[row, list(wanted[i][0].choices)].tolist())
    return [found[i] for i in range(len(wanted))]
