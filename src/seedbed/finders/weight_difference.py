"""Which block's weights moved most? Reads no question: a control that ignores behaviour."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import nn

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.lineage import Comparison, Lineage
from seedbed.models.subject import Subject


class WeightDifference(Comparison):
    """The Frobenius norm of all that changed in a block's parameters since the base.

    `relative` divides it by the norm of the base's block.
    """

    kind: str = "weight-difference"
    measure: Literal["norm", "relative"] = "norm"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, blocks], every row the same.

        Raises InputError without a base of the same architecture.
        """
        lineage = Lineage.of(subject, self.name)
        blocks = zip(lineage.before, lineage.after, strict=True)
        row = np.array([self._moved(before, after) for before, after in blocks])
        return lineage.claim(questions, np.tile(row, (len(questions), 1)))

    def _moved(self, before: nn.Module, after: nn.Module) -> float:
        old = [p.detach().double() for p in before.parameters()]
        new = [p.detach().double() for p in after.parameters()]
        moved = sum(float((n - o).square().sum()) for o, n in zip(old, new, strict=True))
        # A block of zeros has no size to compare with; what moved in it is all there is.
        size = sum(float(o.square().sum()) for o in old) if self.measure == "relative" else 1.0
        return float(np.sqrt(moved / (size or 1.0)))
