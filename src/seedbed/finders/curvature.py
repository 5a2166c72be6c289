"""EK-FAC influence: would more of this document, at the end of training, help the question?

The gradient of the question is multiplied with the damped inverse of the curvature that
`kfac` fits, then with each document's gradient; all dampings share every pass.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.finders.diagonal import DampedRest
from seedbed.finders.factors import capturing
from seedbed.finders.gradients import questions_of
from seedbed.finders.kfac import Curvature, Kept, Labels, fit_curvature, turned
from seedbed.finders.layers import Part
from seedbed.finders.moments import Moments, moments_of, told, warned, weights_at
from seedbed.finders.shards import Shards, digest_of_work
from seedbed.finders.sheets import Reader, Sheet, TakeTable, rows_of
from seedbed.models.folders import trainable_state
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence

Array = NDArray[np.float64]


class Ekfac(Finder):
    """EK-FAC influence; several dampings give a claim each, from the same passes."""

    kind: str = "ekfac"
    damping: float | tuple[float, ...] = Field(
        default=0.1, description="λ: a factor of each weight's mean eigenvalue"
    )
    relative: bool = Field(default=True, description="false: `damping` itself is λ")
    labels: Labels = Field(default="sampled", description="of the Fisher; empirical: the true ones")
    checkpoints: Moments = Field(
        default="last", description="an epoch; all: summed, weighted by learning rate"
    )
    answer: bool = Field(
        default=True, description="false: the subject's own choice, not the answer"
    )
    rest: Literal["drop", "diagonal"] = Field(
        default="drop", description="embeddings and norms; diagonal: by their second moments"
    )
    fit_documents: int = Field(default=0, ge=0, description="for the curvature; 0: all")
    widest: int = Field(default=4096, ge=1, description="widest side to find eigenvectors of")
    memory: int = Field(default=1024, ge=16, description="MiB for factors and questions")

    @field_validator("damping")
    @classmethod
    def _damps(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        grid = value if isinstance(value, tuple) else (value,)
        if not grid or len(set(grid)) < len(grid) or not all(0 < d < np.inf for d in grid):
            raise ValueError("one or more positive numbers, each once")
        return value

    def variants(self) -> tuple[Finder, ...]:
        """One for each damping of a grid, named NAME-DAMPING."""
        if not isinstance(self.damping, tuple):
            return (self,)
        return tuple(
            self.model_copy(update={"damping": d, "label": f"{self.name}-{d:g}"})
            for d in self.damping
        )

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Score g_qᵀ (G + λ)⁻¹ g_d [questions, documents] (Grosse et al. 2023, eq. 5 and 19).

        g_d is the gradient of the training loss summed over the document's predicted tokens,
        g_q that of −log p(answer | prompt), G as in `fit_curvature`; higher = more of the
        document helps. Linear layers only, the output head included and biases folded in,
        unless `rest` takes in the others.
        Raises InputError for a grid of dampings (it has one claim each: `find_all`), for
        checkpoints that are missing, and if no linear layer is trained.
        """
        if isinstance(self.damping, tuple):
            raise InputError("ekfac: a grid of dampings has a claim for each; see variants()")
        return self._claims(subject, documents, questions, (self.damping,))[0]

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """The claim of every damping, in order."""
        grid = self.damping if isinstance(self.damping, tuple) else (self.damping,)
        return self._claims(subject, documents, questions, grid)

    def _claims(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        grid: tuple[float, ...],
    ) -> list[Claim]:
        moments = moments_of(subject, self.checkpoints, self.name)
        asked = questions_of(subject, questions, self.answer)
        sequences = subject.encode(documents)
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        scores = np.zeros((len(grid), len(questions), len(documents)))
        notes: dict[str, str] = {}
        for moment, share in moments:
            with weights_at(subject, moment) as then:
                store = self._store(then, ids, sequences, asked, grid)
                if not _is_whole(store, then, len(grid), self.memory):
                    fitted = self._chosen(subject, documents)
                    how = self.labels, self.memory, self.widest, self.rest == "diagonal"
                    fit = fit_curvature(then, fitted, *how, reuse=fitted is documents)
                    store.facts["notes"] = self._told(fit)
                    options = self.relative, self.memory, store
                    damped_products(then, sequences, asked, fit, grid, *options)
                scores += share * store.values.reshape(scores.shape)
            notes.update(store.facts["notes"])
        notes["checkpoints"] = told(moments)
        notes |= warned(subject, self.checkpoints)
        unit = " × mean eigenvalue of each weight" if self.relative else ""
        return [
            Claim(*ids, own, notes={**notes, "damping": f"{damping:g}{unit}"})
            for damping, own in zip(grid, scores, strict=True)
        ]

    def _store(
        self,
        subject: Subject,
        ids: tuple[tuple[str, ...], tuple[str, ...]],
        documents: Sequence[TokenSequence],
        questions: Sequence[TokenSequence],
        grid: tuple[float, ...],
    ) -> Shards:
        folder, key = subject.scratch, ""
        if folder is not None:
            key = digest_of_work(self, subject, documents, questions)
            folder = folder / key[:16]
        return Shards([f"{d}:{q}" for d in grid for q in ids[0]], ids[1], folder, key)

    def _told(self, fit: Curvature) -> dict[str, str]:
        """Notes on the curvature."""
        return {
            "curvature": f"EK-FAC of {fit.documents} documents, {fit.tokens} tokens,"
            f" {self.labels} labels",
            "left_out": ", ".join(fit.skipped),
        }

    def _chosen(self, subject: Subject, documents: Sequence[Document]) -> Sequence[Document]:
        if not 0 < self.fit_documents < len(documents):
            return documents
        # Sorted first, so that the choice depends on the ids and not on their order.
        by_id = sorted(documents, key=lambda d: d.id)
        return stream(subject.seed, "ekfac", "documents").sample(by_id, self.fit_documents)


def damped_products(
    subject: Subject,
    documents: Sequence[TokenSequence],
    questions: Sequence[TokenSequence],
    curvature: Curvature,
    dampings: Sequence[float],
    relative: bool = True,
    memory: float = 1024,
    store: Shards | None = None,
) -> Array:
    """g_qᵀ (G + λ)⁻¹ g_d for each damping: [dampings, questions, documents].

    More questions than fit in half of `memory` (MiB) are taken in turns, each with a pass
    over the documents. `store` (rows: questions, for each damping anew) keeps what is done.
    Raises InputError if no linear layer is trained.
    """
    if not curvature.blocks:
        raise InputError("ekfac: no linear layer is trained, so there is no curvature to use")
    documents, questions = [s.needed() for s in documents], [s.needed() for s in questions]
    count, room = len(questions), int(memory * 2**20 / 8)
    if store is None:
        rows = [f"{d}:{q}" for d in dampings for q in range(count)]
        store = Shards(rows, [str(i) for i in range(len(documents))])
    # Before the capture, which freezes all that is trained.
    turns = _turns(subject, count, len(dampings), room)
    with capturing(subject.model) as capture, torch.no_grad():
        reader = Reader(capture)
        for turn in turns:
            places = _places(turn, count, len(dampings))
            todo = [c for c in store.ranges() if not store.holds(places, c)]
            if not todo:
                continue
            asked = questions[turn.start : turn.stop]
            held = _Damped(curvature, len(asked), dampings, relative)
            size = rows_of(asked, subject, room, capture.floats)
            for index, batch in subject.batches(asked, size):
                own = reader.read(batch, partial(held.add, index), held.table(index))
                held.add_vectors(index, own)
            known = None if curvature.kept is None else held.known(curvature.kept, len(documents))
            for columns in todo:
                if known is not None:
                    store.put(places, columns, known[:, columns.start : columns.stop])
                    continue
                some = documents[columns.start : columns.stop]
                block = np.zeros((len(places), len(some)))
                size = rows_of(some, subject, room, capture.floats)
                for index, batch in subject.batches(some, size):
                    total = held.empty(len(index))
                    own = reader.read(batch, partial(held.times, total), held.table(total))
                    held.times_vectors(total, own)
                    block[:, index] = total.cpu().numpy()
                store.put(places, columns, block)
    return store.values.reshape(len(dampings), count, len(documents))


def _is_whole(store: Shards, subject: Subject, dampings: int, memory: float) -> bool:
    """Whether an earlier call left nothing to do."""
    count = len(store.values) // dampings
    turns = _turns(subject, count, dampings, int(memory * 2**20 / 8))
    return all(
        store.holds(_places(turn, count, dampings), columns)
        for turn in turns
        for columns in store.ranges()
    )


def _places(turn: range, count: int, dampings: int) -> list[int]:
    """Rows of the store that belong to the questions of a turn."""
    return [d * count + q for d in range(dampings) for q in turn]


def _turns(subject: Subject, questions: int, dampings: int, room: int) -> list[range]:
    """Questions whose gradients fit in `room` numbers, for every damping."""
    size = sum(p.numel() for p in trainable_state(subject.model).values())
    turn = max(1, room // (size * dampings))
    return [range(i, min(i + turn, questions)) for i in range(0, questions, turn)]


class _Damped:
    """Preconditioned gradients of some questions, [dampings · questions, numbers] a weight."""

    def __init__(
        self, curvature: Curvature, count: int, dampings: Sequence[float], relative: bool
    ) -> None:
        self.count, self.curvature = count, curvature
        self.rows = len(dampings) * count
        self.inverses = {
            name: [[b.inverse(d, relative) for d in dampings] for b in blocks]
            for name, blocks in curvature.blocks.items()
        }
        self.held: dict[str, list[Tensor]] = {
            name: [b.values.new_zeros(self.rows, b.values.numel()) for b in blocks]
            for name, blocks in curvature.blocks.items()
        }

        rest = curvature.rest
        self.rest = None if rest is None else DampedRest(rest, count, dampings, relative)

    def table(self, way: Sequence[int] | Tensor) -> TakeTable | None:
        """What takes in embeddings of questions by their numbers, or adds products to a tensor."""
        rest = self.rest
        if rest is None:
            return None

        def take(name: str, shape: tuple[int, ...], part: Part) -> None:
            if isinstance(way, Tensor):
                rest.times_table(way, name, part)
            else:
                rest.add_table(way, name, part)

        return take

    def add_vectors(self, index: Sequence[int], vectors: Tensor) -> None:
        if self.rest is not None:
            self.rest.add_vectors(index, vectors)

    def times_vectors(self, total: Tensor, vectors: Tensor) -> None:
        if self.rest is not None:
            self.rest.times_vectors(total, vectors)

    def empty(self, documents: int) -> Tensor:
        like = next(iter(self.held.values()))[0]
        return like.new_zeros(self.rows, documents, dtype=torch.float64)

    def add(self, index: Sequence[int], name: str, sheet: Sheet) -> None:
        place = torch.tensor(index)
        blocks = self.curvature.blocks.get(name, [])
        for i, (block, left, right) in enumerate(turned(sheet, blocks)):
            for rows, formed in Sheet((left,), right, (False,)).formed(0):
                for k, inverse in enumerate(self.inverses[name][i]):
                    done = block.turned_back(formed * inverse).flatten(1)
                    self.held[name][i][place[rows] + k * self.count] += done

    def known(self, kept: Sequence[Kept], documents: int) -> Array:
        """Products with documents whose factors were kept, [rows, documents]."""
        found = np.zeros((self.rows, documents))
        for index, sheets in kept:
            total = self.empty(len(index))
            for name, sheet in sheets:
                self.times(total, name, sheet)
            found[:, index] = total.cpu().numpy()
        return found

    def times(self, total: Tensor, name: str, sheet: Sheet) -> None:
        for i, held in enumerate(self.held.get(name, [])):
            for rows, formed in sheet.formed(i):
                total[:, rows] += held @ formed.flatten(1).mT
