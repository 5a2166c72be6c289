"""TRAK: influence by a linear model of each subject's output in projected gradients.

Park et al. 2023 (arXiv 2303.14186, section 3): a ridge regression of the outputs on features
of the training documents, averaged over subjects that were trained alike.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator

from seedbed.core.errors import InputError
from seedbed.core.files import digest_of_files
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.finders.factors import capturing
from seedbed.finders.gradients import questions_of
from seedbed.finders.moments import Moments, moments_of, told, warned, weights_at
from seedbed.finders.odds import weighing
from seedbed.finders.projection import Projector
from seedbed.finders.sheets import rows_of
from seedbed.models.folders import load_subject
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

Array = NDArray[np.floating[Any]]
MOST = 2048


class Trak(Finder):
    """TRAK with Kronecker-structured random projections, over one or more subjects."""

    kind: str = "trak"
    projection: int = Field(
        default=0, ge=0, description="numbers a gradient; 0: a quarter of the documents"
    )
    damping: float = Field(
        default=0.01, gt=0, description="λ: a factor of the mean eigenvalue of ΦᵀΦ"
    )
    subjects: tuple[Path, ...] = Field(
        default=(), description="folders of more subjects that were trained alike"
    )
    checkpoints: Moments = Field(
        default="last", description="an epoch; all: each is one more subject"
    )
    answer: bool = Field(
        default=True, description="false: the subject's own choice, not the answer"
    )
    memory: int = Field(default=1024, ge=16, description="MiB for factors")
    sha256: str = Field(default="", validate_default=True, description="filled in")

    @field_validator("sha256")
    @classmethod
    def _of_the_subjects(cls, value: str, info: ValidationInfo) -> str:
        folders: tuple[Path, ...] = info.data.get("subjects", ())
        found = digest_of_files([p for f in folders for p in sorted(f.glob("*")) if p.is_file()])
        if value and value != found:
            raise ValueError("the subjects are not the ones that this configuration was made with")
        return found

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Score [questions, documents] (Park et al. 2023, eq. 17); higher = helps.

        The output function f of a document, and of a question's answer, is the sum over its
        predicted tokens of log(p / (1 − p)); φ = Pᵀ∇f; Q is 1 − (mean p of the document's
        predicted tokens). The score is the mean over subjects of φ_qᵀ (ΦᵀΦ + λ)⁻¹ φ_d, times
        the mean of Q; every subject has a projection of its own. Raises InputError for a
        projection wider than the number of documents, and for missing checkpoints.
        """
        size = self.projection or max(1, min(MOST, len(documents) // 4))
        if size > len(documents):
            raise InputError(
                f"trak: a projection to {size} numbers means nothing for {len(documents)}"
                f" documents; use {max(1, len(documents) // 4)}"
            )
        members: list[Member] = []
        notes: dict[str, str] = {}
        for number, one in enumerate([subject, *(load_subject(f) for f in self.subjects)]):
            moments = moments_of(one, self.checkpoints, self.name)
            sequences = one.encode(documents)
            asked = questions_of(one, questions, self.answer)
            for k, (moment, _) in enumerate(moments):
                with weights_at(one, moment) as then:
                    member, notes = read_member(
                        then, sequences, asked, size, (subject.seed, number, k), self.memory
                    )
                    members.append(member)
        alone = len(moments) == 1
        notes["checkpoints"] = told(moments) if alone else f"all {len(moments)}, alike"
        notes |= warned(subject, self.checkpoints)
        notes["subjects"] = f"{len(members)}, each with a projection of its own"
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        return Claim(*ids, trak_scores(members, self.damping), notes=notes)


@dataclass(frozen=True)
class Member:
    """What TRAK needs of one subject: features [questions or documents, k], and Q [documents]."""

    questions: Array
    documents: Array
    doubts: Array


def trak_scores(members: Sequence[Member], damping: float) -> Array:
    """Eq. 17 of Park et al. 2023 without its soft threshold, [questions, documents].

    λ is `damping` times the mean eigenvalue of ΦᵀΦ, by member.
    """
    products = []
    for member in members:
        features = member.documents
        kernel = features.T @ features
        size = np.trace(kernel) / len(kernel)
        # Without any gradient all products are 0, whatever is put in the place of λ.
        kernel[np.diag_indices_from(kernel)] += damping * size or 1.0
        products.append(member.questions @ np.linalg.solve(kernel, features.T))
    doubts = np.mean([member.doubts for member in members], axis=0)
    scores: Array = np.mean(products, axis=0) * doubts
    return scores


def read_member(
    subject: Subject,
    documents: Sequence[TokenSequence],
    questions: Sequence[TokenSequence],
    size: int,
    draw: tuple[int, int, int],
    memory: float = 1024,
) -> tuple[Member, dict[str, str]]:
    """Features of questions and documents from one subject, and notes.

    `draw` is (seed, number of the subject, number of the checkpoint), by which the projection
    is drawn.
    """
    seed, number, moment = draw
    with ExitStack() as stack:
        capture = stack.enter_context(capturing(subject.model))
        odds = stack.enter_context(weighing(subject.model))
        stack.enter_context(torch.no_grad())
        projector = Projector(capture, size, seed, "trak", number, moment)
        room = int(memory * 2**20 / 8)
        found = []
        for group in (questions, documents):
            sequences = [s.needed() for s in group]
            features = np.zeros((len(sequences), projector.size))
            doubts = np.zeros(len(sequences))
            rows = rows_of(sequences, subject, room, capture.floats)
            for index, batch in subject.batches(sequences, rows):
                odds.expect(batch)
                features[index] = projector.read(batch).cpu().numpy()
                counts = batch.predicted.sum(1).cpu().numpy()
                owner = np.repeat(np.arange(len(index)), counts)
                sums = np.bincount(owner, odds.probabilities.cpu().numpy(), len(index))
                doubts[index] = 1 - sums / np.maximum(counts, 1)
            found.append((features, doubts))
        left_out = ", ".join(capture.left_out)
    (asked, _), (features, doubts) = found
    shape = f"{projector.left} × {projector.right} a weight, all weights summed"
    notes = {"projection": f"{projector.size} numbers, {shape}"}
    return Member(asked, features, doubts), notes | ({"left_out": left_out} if left_out else {})
