"""The EK-FAC curvature of linear layers, fitted in two looks at the documents.

George et al. 2018 (arXiv 1806.03884, section 3.1) as used for influence by Grosse et al. 2023
(arXiv 2308.03296, section 2.2): the eigenbasis of A ⊗ S, with second moments of document
gradients in that basis in place of products of eigenvalues.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from seedbed.core.rows import Document
from seedbed.core.seeds import generator
from seedbed.finders.diagonal import Diagonal, inverse
from seedbed.finders.factors import capturing
from seedbed.finders.labels import drawing
from seedbed.finders.sheets import Reader, Sheet, rows_of
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch

Labels = Literal["sampled", "empirical"]


@dataclass
class Block:
    """Curvature of one weight: bases (None: as they are) and eigenvalues [out, in].

    `values` are means over documents of squared gradients of the summed token loss.
    """

    left: Tensor | None
    right: Tensor | None
    values: Tensor

    def inverse(self, damping: float, relative: bool) -> Tensor:
        """1 / (Λ + λ) [out, in], λ = damping (× mean Λ if relative); 0 where all is 0."""
        return inverse(self.values, damping, relative)

    def turned_back(self, gradients: Tensor) -> Tensor:
        """Gradients [n, out, in] of the eigenbasis in the weight's own."""
        x = gradients if self.left is None else self.left @ gradients
        return x if self.right is None else x @ self.right.mT

    def add_squares(self, left: Tensor, right: Tensor) -> None:
        """Add the squared gradients of rows whose sides are given in the eigenbasis."""
        if left.shape[1] == 1:
            self.values += left[:, 0].square().mT @ right[:, 0].square()
            return
        for _, formed in Sheet((left,), right, (False,)).formed(0):
            self.values += formed.square_().sum(0)


def turned(sheet: Sheet, blocks: Sequence[Block]) -> Iterator[tuple[Block, Tensor, Tensor]]:
    """(block, left side, right side) of each weight of a layer, in its eigenbasis."""
    rights: dict[int, Tensor] = {}
    for i, block in enumerate(blocks):
        left, right = sheet.lefts[i], sheet.side(i)
        if block.right is not None:
            # Weights that read the same input share its basis.
            key = id(block.right)
            rights[key] = right = rights[key] if key in rights else right @ block.right
        yield block, left if block.left is None else left @ block.left, right


# Rows of a batch by their place among the documents, and their sheets by layer.
Kept = tuple[list[int], list[tuple[str, Sheet]]]


@dataclass
class Curvature:
    """A block for each weight, in order, of each layer; `skipped` names what has none.

    `rest` is of what is no linear layer, if that was asked for. `kept` holds the factors of
    every document, if they fit and were asked for.
    """

    blocks: dict[str, list[Block]]
    skipped: list[str]
    documents: int
    tokens: int
    rest: Diagonal | None = None
    kept: list[Kept] | None = None


class _Moments:
    """Second moments of the sides of one layer's tokens while they are summed."""

    def __init__(self, sheet: Sheet, widest: int) -> None:
        self.bias = sheet.bias
        sides = [sheet.right, *sheet.lefts]
        self.sums = [
            x.new_zeros(x.shape[-1], x.shape[-1], dtype=torch.float64)
            if x.shape[-1] <= widest
            else None
            for x in sides
        ]

    def add(self, sheet: Sheet) -> None:
        for total, x in zip(self.sums, [sheet.right, *sheet.lefts], strict=True):
            if total is not None:
                flat = x.flatten(0, 1)
                total.add_(flat.mT @ flat)

    def blocks(self, sheet: Sheet) -> list[Block]:
        """Blocks whose eigenvalues are still zero; `sheet` gives sizes only."""
        inputs = self.sums[0]
        found = []
        sides: dict[int, Tensor | None] = {}
        for i, total in enumerate(self.sums[1:]):
            width = sheet.side(i).shape[-1]
            if width not in sides:
                sides[width] = None if inputs is None else _basis(inputs[:width, :width])
            left = sheet.lefts[i]
            values = left.new_zeros(left.shape[-1], width)
            found.append(Block(None if total is None else _basis(total), sides[width], values))
        return found


def _basis(moment: Tensor) -> Tensor:
    """Eigenvectors in columns, found in float64; normalisers would not change them."""
    vectors: Tensor = torch.linalg.eigh(moment)[1]
    return vectors.float()


class _Fit:
    """The two looks: moments of sides, then squared gradients in their bases."""

    def __init__(self, room: int, widest: int, rest: Diagonal | None) -> None:
        self.rest = rest
        self.room, self.widest = room, widest
        self.moments: dict[str, _Moments] = {}
        self.shapes: dict[str, Sheet] = {}
        self.kept: list[Kept] = []
        self.blocks: dict[str, list[Block]] = {}

    def first(self, reader: Reader, index: list[int], batch: Batch) -> None:
        size = reader.capture.floats * batch.ids.numel()
        # Only leading batches are kept, so that their number says which are.
        keep = size <= self.room
        self.room = self.room - size if keep else 0
        sheets: list[tuple[str, Sheet]] = []

        def take(name: str, sheet: Sheet) -> None:
            if name not in self.moments:
                self.moments[name] = _Moments(sheet, self.widest)
                self.shapes[name] = sheet.cut(0)
            self.moments[name].add(sheet)
            if keep:
                sheets.append((name, sheet))

        table = None if self.rest is None else self.rest.add_table
        vectors = reader.read(batch, take, table)
        if self.rest is not None:
            self.rest.add_vectors(vectors, reader.sizes)
        if keep:
            self.kept.append((index, sheets))

    def turn(self) -> None:
        for name in list(self.moments):
            # Given up one by one: moments are the largest thing that is held.
            self.blocks[name] = self.moments.pop(name).blocks(self.shapes[name])

    def second(self, name: str, sheet: Sheet) -> None:
        for block, left, right in turned(sheet, self.blocks[name]):
            block.add_squares(left, right)


def fit_curvature(
    subject: Subject,
    documents: Sequence[Document],
    labels: Labels = "sampled",
    memory: float = 1024,
    widest: int = 4096,
    rest: bool = False,
    reuse: bool = False,
) -> Curvature:
    """Fit EK-FAC on `documents`; factors of what fits in `memory` MiB are read only once.

    Per weight: A = Σ a aᵀ over input tokens (a with a last 1 where there is a bias), S = Σ δ δᵀ
    over the same tokens, their eigenvectors in float64, and Λ = mean over documents of the
    squared gradient in that basis, where a document's gradient is that of its summed token
    loss (kronfluence's Λ with a summed loss). A side wider than `widest` keeps its own basis.
    With `rest`, embeddings, norms and lone biases get a diagonal one (see `Diagonal`); a tied
    embedding and head count as two weights. "sampled" labels are fixed by the subject's seed
    and the document's id. With `reuse`, the factors of true labels stay in the result if all
    of them fit. Raises InputError if no layer can be read.
    """
    sequences = [s.needed() for s in subject.encode(documents)]
    fit = _Fit(int(memory * 2**20 / 8), widest, Diagonal() if rest else None)
    with capturing(subject.model) as capture, torch.no_grad(), ExitStack() as stack:
        drawn = stack.enter_context(drawing(subject.model)) if labels == "sampled" else None
        reader = Reader(capture)
        uniform = [
            generator(subject.seed, "kfac", "labels", d.id).random(sum(s.predicted)).tolist()
            for d, s in zip(documents, sequences, strict=True)
        ]
        size = rows_of(sequences, subject, fit.room, capture.floats)

        def batches(start: int = 0) -> Iterator[tuple[list[int], Batch]]:
            for i, (index, batch) in enumerate(subject.batches(sequences, size)):
                if i >= start:
                    known = [uniform[k] for k in index]
                    yield index, drawn.batch(batch, known) if drawn else batch

        for index, batch in batches():
            fit.first(reader, index, batch)
        fit.turn()
        done = len(fit.kept)
        whole = sum(len(index) for index, _ in fit.kept) == len(sequences)
        kept = fit.kept if reuse and whole and drawn is None and fit.rest is None else None
        for place in reversed(range(done)):
            for name, sheet in fit.kept[place][1]:
                fit.second(name, sheet)
            if kept is None:
                del fit.kept[place]
        for _, batch in batches(done):
            reader.read(batch, fit.second)
    for blocks in fit.blocks.values():
        for block in blocks:
            block.values /= len(documents)
    tokens = sum(len(s.ids) - 1 for s in sequences)
    if fit.rest is None:
        return Curvature(fit.blocks, reader.skipped, len(documents), tokens, kept=kept)
    fit.rest.divide(len(documents))
    return Curvature(fit.blocks, reader.capture.left_out, len(documents), tokens, fit.rest)
