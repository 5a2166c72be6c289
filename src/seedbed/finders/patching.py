"""Activation patching: which cell, taken from the other run of a pair, moves the answer most?

Exact interchange interventions (Vig et al. 2020, arXiv 2004.12265; Meng et al. 2022, section 2),
one cell of the residual stream at a time.
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.asking import uneven
from seedbed.finders.base import Finder
from seedbed.finders.outcomes import Outcome
from seedbed.finders.pairs import Direction, effects, pairs_for, places_in, sides_of
from seedbed.models.blocks import blocks_of
from seedbed.models.subject import Subject


class Patching(Finder):
    """`noising` puts the corrupt run's cell into the clean run, `denoising` the clean run's
    into the corrupt one.
    """

    kind: str = "patching"
    sites = SiteKind.CELL
    direction: Direction = "noising"
    outcome: Outcome = "logit-difference"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, cells]: how far each cell alone moves the outcome, without sign.

        Cells are the residual stream at every place; a place that a question lacks scores 0.
        Raises InputError for a question without a pair.
        """
        sides = sides_of(subject, pairs_for(questions, pairs))
        cells = blocks_of(subject.model).cells(places_in(sides))
        found = effects(subject, sides, cells, [self.outcome], self.direction)[self.outcome]
        given = found.given
        ran = int((~given.noop).sum())
        notes = {
            "patches": f"{ran} of {len(given.noop)} patches were run, the others cannot matter;"
            f" tier {given.tier}, one checked against a plain forward: {given.checked:.1e}",
        }
        if ran == 0:
            notes["warning"] = "nothing was patched, so every effect is 0"
        if note := uneven([(s.clean, s.corrupt) for s in sides]):
            notes["alignment"] = note
        scores = np.abs(np.nan_to_num(found.moved, nan=0.0))
        names = tuple(c.name for c in cells)
        return Claim(tuple(q.id for q in questions), names, scores, SiteKind.CELL, notes)
