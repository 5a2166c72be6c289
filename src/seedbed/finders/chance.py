"""Chance: a random score for every question and site, as an independent control row."""

import hashlib
from collections.abc import Sequence

import numpy as np

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import Finder
from seedbed.models.subject import Subject


class Chance(Finder):
    """Random scores, fixed by the subject's seed and the ids of question and document."""

    kind: str = "chance"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, documents], uniform on [0, 1)."""
        asked, sites = [q.id for q in questions], [d.id for d in documents]
        return random_claim(subject.seed, asked, sites)


def random_claim(
    seed: int,
    questions: Sequence[str],
    sites: Sequence[str],
    site_kind: SiteKind = SiteKind.DOCUMENT,
) -> Claim:
    """Scores [questions, sites], uniform on [0, 1), fixed by the seed and the two ids."""
    scores = np.zeros((len(questions), len(sites)))
    for i, question in enumerate(questions):
        start = hashlib.sha256(f"{seed}/chance/{question}/".encode())
        for j, site in enumerate(sites):
            # A hash of the ids, not a place in a stream: order must not change the draw.
            draw = start.copy()
            draw.update(site.encode())
            scores[i, j] = int.from_bytes(draw.digest()[:8], "big") / 2**64
    return Claim(tuple(questions), tuple(sites), scores, site_kind)
