"""Probes as a finder of cells: where can the answer be read?

What can be read need not be used: this stands beside patching as the method that does not
intervene (Belinkov 2022, section 4).
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.cells import Cell, places_of
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import derive
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.asking import Asked, ask
from seedbed.finders.base import Finder
from seedbed.finders.probes import FOLDS, predicted, states_at
from seedbed.models.blocks import blocks_of, site_of
from seedbed.models.subject import Subject

LEAST = 8
"""Examples below which a cell is not probed."""


class AnswerProbes(Finder):
    """Accuracy of a ridge probe of the answer at each cell, cross-validated over questions.

    Examples are the questions and the corrupt sides of their pairs, which stay in one fold.
    """

    kind: str = "probes"
    sites = SiteKind.CELL

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, cells]: a cell's accuracy, the same for every question that has its
        place; 0 where a place is lacking or has fewer than `LEAST` examples.
        """
        wanted = {q.id for q in questions}
        examples = {q.id: (q.id, q) for q in questions}
        examples |= {p.corrupt.id: (p.clean.id, p.corrupt) for p in pairs if p.clean.id in wanted}
        # In one order whatever the caller's, so that sums round alike.
        rows = [examples[key] for key in sorted(examples)]
        asked = [ask(subject, q) for _, q in rows]
        fold = np.array([derive(subject.seed, "probes", group) % FOLDS for group, _ in rows])
        # By text, since questions may order their choices differently.
        labels = np.unique([q.answer for _, q in rows], return_inverse=True)[1]
        places = places_of(questions)
        cells = blocks_of(subject.model).cells(places)
        accuracy = _accuracies(subject, asked, labels, fold, cells, places)
        here = {a.id: set(a.places) for a in asked}
        scores = np.array(
            [[accuracy[c] if c.place in here[q.id] else 0.0 for c in cells] for q in questions]
        )
        names = tuple(c.name for c in cells)
        return Claim(tuple(q.id for q in questions), names, scores, SiteKind.CELL)


def _accuracies(
    subject: Subject,
    asked: Sequence[Asked],
    labels: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    fold: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    cells: Sequence[Cell],
    places: Sequence[str],
) -> dict[Cell, float]:
    sites = list(dict.fromkeys(site_of(c) for c in cells))
    spots = [(i, place) for place in places for i, a in enumerate(asked) if place in a.places]
    states = states_at(subject, asked, spots, sites)
    accuracy = {}
    for cell in cells:
        here = [n for n, (_, place) in enumerate(spots) if place == cell.place]
        if len(here) < LEAST:
            accuracy[cell] = 0.0
            continue
        known = [spots[n][0] for n in here]
        x = states[sites.index(site_of(cell)), here]
        right = predicted(x, labels[known], fold[known]) == labels[known]
        accuracy[cell] = float(right.mean())
    return accuracy
