"""Probes of input parts: what of the input can be read where the answer is given?

Nearly everything can, whether it decides or not: a row that is meant to be weak, beside those
that intervene (Belinkov 2022, section 4).
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from seedbed.core.cells import LAST
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import derive, generator
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.asking import ask
from seedbed.finders.base import Finder
from seedbed.finders.part_values import NUMBER
from seedbed.finders.parts import block_of, parts_of, text_at
from seedbed.finders.probes import FOLDS, predicted, states_at
from seedbed.models.blocks import Site
from seedbed.models.subject import Subject

LEAST = 8
"""Questions below which a part is not probed."""


class PartProbes(Finder):
    """How much better than shuffled labels a ridge probe of the last position names the part.

    Of more than `bins` different numbers their quantiles are named. `layer` counts from 0 and
    is read as the block hands it on; by default the last.
    """

    kind: str = "part-probes"
    sites = SiteKind.INPUT
    layer: int | None = Field(default=None, ge=0, description="null: the last block")
    bins: int = Field(default=4, ge=2, description="quantiles of a part with many numbers")
    shuffles: int = Field(default=4, ge=1, description="shuffled labellings that are averaged")

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, parts]: accuracy over questions left out less that of shuffled
        labels, the same for every question that has the part, else 0.

        Fits 1 + `shuffles` probes a part in each of `FOLDS` folds. Raises InputError for a
        question without places, and for a block that the model lacks.
        """
        parts = parts_of(questions)
        layer = block_of(subject, self.layer, 1.0)
        # In one order whatever the caller's, so that sums round alike.
        rows = sorted(questions, key=lambda q: q.id)
        asked = [ask(subject, q) for q in rows]
        spots = [(i, LAST) for i in range(len(rows))]
        states = states_at(subject, asked, spots, [Site("resid_post", layer)])[0]
        fold = np.array([derive(subject.seed, self.kind, q.id) % FOLDS for q in rows])
        above, skipped = {}, []
        for part in parts:
            here = [i for i, q in enumerate(rows) if part in q.places]
            labels = _labels([text_at(rows[i], part) for i in here], self.bins)
            if len(here) < LEAST or len(set(labels.tolist())) < 2:
                skipped.append(part)
                above[part] = 0.0
                continue
            rng = generator(subject.seed, self.kind, "shuffled")
            x, folds = states[here], fold[here]
            right = float((predicted(x, labels, folds) == labels).mean())
            mixed = [rng.permutation(labels) for _ in range(self.shuffles)]
            by_luck = [float((predicted(x, m, folds) == m).mean()) for m in mixed]
            above[part] = right - float(np.mean(by_luck))
        scores = [[above[p] if p in q.places else 0.0 for p in parts] for q in questions]
        notes = {"read": f"after block {layer}, at the last position"}
        if skipped:
            notes["untried"] = (
                f"too few questions or a single value at {', '.join(skipped)}, which score 0"
            )
        ids = tuple(q.id for q in questions)
        return Claim(ids, parts, np.array(scores), SiteKind.INPUT, notes)


def _labels(texts: Sequence[str], bins: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """A class for each text: one a text, or quantiles of more than `bins` numbers."""
    different = sorted(set(texts))
    if len(different) > bins and all(NUMBER.fullmatch(t) for t in different):
        numbers = np.array([float(t) for t in texts])
        cuts = np.quantile(numbers, np.arange(1, bins) / bins)
        return np.searchsorted(cuts, numbers, side="right").astype(np.int64)
    return np.array([different.index(t) for t in texts], dtype=np.int64)
