"""Where do the residual streams of a subject and its base part? Both read the same prompts.

Drift moves every residual a little, so the first difference and even the largest may be
elsewhere than the block that was changed: a baseline for the block swaps.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, Floats
from seedbed.finders.lineage import Comparison, Lineage
from seedbed.models.blocks import blocks_of
from seedbed.models.hooks import read
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, TokenSequence, encode_choices


class ResidualDifference(Comparison):
    """The norm of the difference at each block's output, root mean square over prompt positions.

    `rise`: what block l adds to it. `relative-rise`: the same for the difference over the norm
    of the base's residual. `first`: earlier blocks with any difference at all stand higher.
    """

    kind: str = "residual-difference"
    measure: Literal["rise", "relative-rise", "first"] = "rise"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, blocks]; raises InputError without a base of the same architecture."""
        lineage = Lineage.of(subject, self.name)
        apart, size = boundary_norms(lineage, questions)
        if self.measure == "first":
            layers = len(lineage.sites)
            return lineage.claim(questions, (apart[:, 1:] > 0) * np.arange(layers, 0.0, -1.0))
        if self.measure == "relative-rise":
            apart = apart / np.where(size > 0, size, 1.0)
        return lineage.claim(questions, np.diff(apart, axis=1))


@torch.inference_mode()
def boundary_norms(lineage: Lineage, questions: Sequence[Question]) -> tuple[Floats, Floats]:
    """([questions, blocks + 1] of the difference, and of the base's residual).

    Column l is what block l takes in, the last what the last block hands on; each is the root
    mean square over the prompt's positions of a vector's Euclidean norm.
    """
    subject = lineage.tuned
    asked = [(q.prompt, q.choices[0] if q.choices else q.answer) for q in questions]
    coded = encode_choices(subject.tokenizer, asked, subject.context)
    sequences = [TokenSequence(prompt, (False,) * len(prompt)) for prompt, _ in coded]
    apart = np.zeros((len(questions), len(lineage.before) + 1))
    size = np.zeros_like(apart)
    for index, batch in subject.batches(sequences):
        old = _residuals(lineage.base.model, batch)
        new = _residuals(lineage.tuned.model, batch)
        for boundary, (o, n) in enumerate(zip(old, new, strict=True)):
            apart[index, boundary] = _size(n - o, batch.mask)
            size[index, boundary] = _size(o, batch.mask)
    return apart, size


def _size(vectors: Tensor, mask: Tensor) -> Floats:
    squares = vectors.double().square().sum(dim=-1) * mask
    norms: Floats = (squares.sum(dim=1) / mask.sum(dim=1)).sqrt().cpu().numpy()
    return norms


def _residuals(model: Any, batch: Batch) -> list[Tensor]:
    """What each block takes in and what the last one hands on, [rows, length, width] each."""
    sites = blocks_of(model).residual()
    found = read(model, batch, sites, use_cache=False)
    return [found[site] for site in sites]
