"""Per-token factors of linear layers alone, without padding, biases as one more input.

What curvature and projections need: embeddings and norms have no two dense sides.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seedbed.finders.factors import Capture
from seedbed.finders.layers import Part
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, TokenSequence

# Numbers in a temporary of formed gradients, and tokens that keep a processor busy.
TILE = 2**21
TOKENS = 1024


@dataclass(frozen=True)
class Sheet:
    """Factors of one layer without row numbers: gradients of weight i are Σ_t lefts[i] ⊗ right.

    `lefts` are [rows, tokens, out_i]; `right` is [rows, tokens, in], with a last feature of
    ones where `bias` says that a weight of the layer has a bias.
    """

    lefts: tuple[Tensor, ...]
    right: Tensor
    bias: tuple[bool, ...]

    def side(self, i: int) -> Tensor:
        """The right side of weight i, [rows, tokens, in (+ 1 with a bias)]."""
        return self.right if self.bias[i] or not any(self.bias) else self.right[..., :-1]

    def cut(self, rows: int) -> "Sheet":
        """The first `rows` rows; none of them keep the sizes alone."""
        lefts = tuple(left[:rows].clone() for left in self.lefts)
        return Sheet(lefts, self.right[:rows].clone(), self.bias)

    def formed(self, i: int) -> Iterator[tuple[slice, Tensor]]:
        """(rows, their gradients [rows, out, in]) of weight i, a chunk at a time."""
        left, right = self.lefts[i], self.side(i)
        chunk = max(1, TILE // (left.shape[-1] * right.shape[-1]))
        for k in range(0, len(left), chunk):
            rows = slice(k, min(k + chunk, len(left)))
            yield rows, torch.bmm(left[rows].mT, right[rows])


TakeSheet = Callable[[str, Sheet], None]
# (layer name, [rows, width] of the embedding, its factors)
TakeTable = Callable[[str, tuple[int, ...], Part], None]


class Reader:
    """Reads sheets of batches; `skipped` are the trainable parameters that no sheet covers."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self._seen: set[str] = set()
        self.sizes: tuple[int, ...] = ()

    @property
    def skipped(self) -> list[str]:
        """Names of embeddings, norms and whatever else is no linear layer."""
        return [n for n in self.capture.trainable if n not in self._seen]

    def read(self, batch: Batch, take: TakeSheet, table: TakeTable | None = None) -> Tensor:
        """Hand every linear layer's sheet to `take`; activations of no token are zero.

        Embeddings go to `table` if given. Returns the gradients [rows, n] of norms and of
        biases that are in no sheet; `sizes` says how many numbers each parameter has there.
        """
        # The last token of a row is never an input, whatever the batch is padded to.
        live = batch.mask[:, 1:].bool() if batch.mask.shape[1] > 1 else batch.mask.bool()

        def see(name: str, parts: tuple[Part, ...]) -> None:
            for part in parts:
                if not part.sparse:
                    take(name, self._sheet(name, part, live))
                elif table is not None:
                    table(name, self.capture.layers[name][0].shape, part)

        return self._lone(self.capture.read(batch, see))

    def _lone(self, vectors: Tensor) -> Tensor:
        weights = self.capture.layers[""]
        pieces = torch.split(vectors, [math.prod(w.shape) for w in weights], 1)
        named = zip(weights, pieces, strict=True)
        kept = [piece for weight, piece in named if weight.name not in self._seen]
        self.sizes = tuple(piece.shape[1] for piece in kept)
        return torch.cat(kept, 1) if kept else vectors[:, :0]

    def _sheet(self, name: str, part: Part, live: Tensor) -> Sheet:
        right = part.right
        weights = [w.name for w in self.capture.layers[name]]
        biases = [w.removesuffix("weight") + "bias" for w in weights]
        bias = tuple(b in self.capture.trainable for b in biases)
        self._seen |= {*weights, *(b for b, there in zip(biases, bias, strict=True) if there)}
        if right.shape[1] % live.shape[1] == 0:
            right = right * live.repeat(1, right.shape[1] // live.shape[1])[..., None]
        if any(bias):
            right = torch.cat([right, right.ne(0).any(-1, keepdim=True).to(right)], -1)
        return Sheet(part.lefts, right, bias)


def rows_of(sequences: Sequence[TokenSequence], subject: Subject, room: int, floats: int) -> int:
    """Rows a batch: enough tokens to keep the processor busy, within `room` numbers."""
    longest = max(len(s.ids) for s in sequences)
    return max(1, min(max(subject.batch, TOKENS // longest), room // (floats * longest)))
