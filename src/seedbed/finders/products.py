"""Inner products of every question's gradient with every document's, one pass over documents.

Exact, with every trainable layer; made from per-token factors (see `factors`, `gram`), so a
document's whole gradient never exists.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.finders.factors import Capture, Precision, Weight, capturing
from seedbed.finders.formed import Transform, inner, transformed_squares
from seedbed.finders.layers import Part
from seedbed.finders.questions import Questions, changed_by
from seedbed.finders.routes import Way, told
from seedbed.finders.shards import Shards
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, TokenSequence

Array = NDArray[np.float64]
TOKENS = 1024


@dataclass(frozen=True)
class Products:
    """Inner products of gradients, float64: `dot` [questions, documents] and squared norms."""

    dot: Array
    questions: Array
    documents: Array
    notes: dict[str, str]

    def cosine(self) -> Array:
        """[questions, documents]; 0 where a gradient is zero."""
        size = np.sqrt(np.outer(self.questions, self.documents))
        result: Array = np.divide(self.dot, size, out=np.zeros_like(self.dot), where=size > 0)
        return result


def gradient_products(
    subject: Subject,
    documents: Sequence[TokenSequence],
    questions: Sequence[TokenSequence],
    norms: bool,
    memory: float = 1024,
    transform: Transform | None = None,
    *,
    store: Shards | None = None,
    projection: int = 0,
    precision: Precision = "float32",
) -> Products:
    """Products of every question's gradient with every document's, and norms if asked for.

    `memory` (MiB) bounds the factors of a batch and those of the questions; more questions
    than fit are taken in turns, each with a pass over the documents. Raises InputError if the
    model has no trainable parameter that can be read.

    `transform(name, gradients)` replaces question gradients g by P g, layer by layer, so that
    the products are ⟨P g_q, g_d⟩. It is called once a turn for every name of `layers_of` with
    one float32 tensor [Q, out, in] for each weight of the layer, in the order given there
    (dense for embeddings; [out, in] also where the model holds [in, out]), and for "", with
    one tensor [Q, n] of all biases and norms side by side. It must be linear, treat each row
    alone, and return tensors of the same shapes; it may change its arguments in place only if
    no norms are asked for. With norms, ⟨g, P g⟩ takes the place of the squared norms, for which
    `transform` is called on gradients [rows, ..] of documents too, once for every few of them.

    `store` keeps what is done, block by block (see `store_for`): a call that was cut short goes
    on from there. With `projection` = k the layers where it is cheaper are multiplied as
    sketches of k × k numbers a weight. "bfloat16" runs the model in that precision.
    """
    if projection and transform is not None:
        raise ValueError("gradient_products: a transform needs whole gradients, not projections")
    if store is None:
        names = [[str(i) for i in range(len(some))] for some in (questions, documents)]
        store = store_for(names[0], names[1], norms)
    documents = [s.needed() for s in documents]
    with capturing(subject.model, precision) as capture, torch.no_grad():
        work = _Work(subject, documents, questions, norms, int(memory * 2**20 / 8), transform,
                     projection, capture, store)  # fmt: skip
        work.run()
    count = len(questions)
    squares = [store.facts["squares"][str(i)] for i in range(len(questions))]
    square_d = np.array(store.values[-1]) if norms else np.zeros(len(documents))
    notes = {"products": store.facts["products"], "left_out": store.facts["left_out"]}
    notes = {k: v for k, v in notes.items() if v}
    return Products(store.values[:count], np.array(squares), square_d, notes)


def store_for(
    questions: Sequence[str], documents: Sequence[str], norms: bool,
    folder: Path | None = None, key: str = "",
) -> Shards:  # fmt: skip
    """Where `gradient_products` keeps its numbers; in memory alone if `folder` is None.

    Rows are questions, then the documents' squared norms if `norms`.
    """
    return Shards([*questions, *["squared norm"] * norms], documents, folder, key)


def layers_of(subject: Subject, sequence: TokenSequence) -> dict[str, tuple[Weight, ...]]:
    """The layer names that `take` and `transform` are called with, and each one's weights.

    From one dry pass over `sequence`. "" stands for biases and norms, side by side in the
    order given. A tied embedding and head is one layer of one weight, under the embedding's
    name; layers that read the same input (query, key and value) are one layer of several.
    """
    with capturing(subject.model) as capture, torch.no_grad():
        for _, batch in subject.batches([sequence]):
            capture.read(batch, lambda name, parts: None)
        return capture.layers


@dataclass
class _Asked:
    """Questions of one turn, ready for documents; `vectors` are their biases and norms."""

    held: Questions
    vectors: Tensor


@dataclass
class _Work:
    subject: Subject
    documents: Sequence[TokenSequence]
    questions: Sequence[TokenSequence]
    norms: bool
    room: int
    change: Transform | None
    projection: int
    capture: Capture
    store: Shards

    def run(self) -> None:
        """Make every block of the store that is not there."""
        count, capture = len(self.questions), self.capture
        size = sum(p.numel() for p in capture.trainable.values())
        most = max(1, self.room // size) if self.change else count
        for turn in _turns([capture.numbers(q) for q in self.questions], self.room, most):
            # Norms of documents are the same in every turn.
            first = self.norms and turn[0] == 0
            rows = [*turn, *[len(self.store.values) - 1] * first]
            todo = [r for r in self.store.ranges() if not self.store.holds(rows, r)]
            asked = self._ask(turn) if todo else None
            for columns in todo:
                assert asked is not None
                self.store.put(rows, columns, self._answer(asked, columns, first))

    def _ask(self, turn: list[int]) -> _Asked:
        asked = [self.questions[i] for i in turn]
        held, norms = Questions(len(turn)), self.norms and self.change is None
        vectors = torch.zeros(0)
        for index, batch in self._batches(asked):
            own = self.capture.read(batch, partial(held.add, index, norms))
            vectors = vectors if len(vectors) else own.new_zeros(len(turn), own.shape[1])
            vectors[index] = own
        shapes = {n: [w.shape for w in layer] for n, layer in self.capture.layers.items()}
        ways: Mapping[str, Way]
        changed = vectors
        if self.change is None:
            mean = sum(len(s.ids) for s in self.documents) / max(1, len(self.documents))
            seed = self.subject.seed
            ways = held.choose(mean, self.room, shapes, self.projection, seed)
        else:
            held.transform(self.change, shapes, self.norms)
            ways = dict.fromkeys(held.layers, "formed")
            if vectors.shape[1]:
                (changed,) = changed_by(self.change, "", [vectors])
        square = torch.zeros(len(turn))
        if self.norms:
            square = held.squares() + inner([vectors], [changed])
        facts = self.store.facts
        facts.setdefault("squares", {}).update(
            {str(i): x for i, x in zip(turn, square.tolist(), strict=True)}
        )
        facts["products"], facts["left_out"] = told(ways), _left_out(self.capture)
        return _Asked(held, changed)

    def _answer(self, asked: _Asked, columns: range, norms: bool) -> Array:
        """The block [questions (and norms), columns]."""
        some = [self.documents[i] for i in columns]
        count = asked.held.count
        block = np.zeros((count + norms, len(some)))
        for index, batch in self._batches(some):
            device = batch.ids.device
            total = torch.zeros(count, len(index), dtype=torch.float64, device=device)
            square = torch.zeros(len(index), dtype=torch.float64, device=device)

            def take(name: str, parts: tuple[Part, ...], total: Tensor = total,
                     square: Tensor = square) -> None:  # fmt: skip
                asked.held.times(total, name, parts)
                if norms:
                    square += self._squares(asked.held, name, parts)

            own = self.capture.read(batch, take)
            if norms:
                changed = own
                if self.change is not None and own.shape[1]:
                    (changed,) = changed_by(self.change, "", [own])
                block[-1, index] = (square + inner([own], [changed])).cpu().numpy()
            block[:count, index] = (total + asked.vectors @ own.mT).cpu().numpy()
        self.store.facts["left_out"] = _left_out(self.capture)
        return block

    def _squares(self, held: Questions, name: str, parts: tuple[Part, ...]) -> Tensor:
        if self.change is None:
            return held.layers[name].squares(parts)
        shapes = [w.shape for w in self.capture.layers[name]]
        return transformed_squares(name, parts, shapes, self.change)

    def _batches(self, sequences: Sequence[TokenSequence]) -> Iterator[tuple[list[int], Batch]]:
        """Similar lengths together, with enough tokens to keep the processor busy."""
        longest = max(len(s.ids) for s in sequences)
        wanted = max(self.subject.batch * longest, TOKENS)
        return self.subject.batches_of(sequences, min(wanted, self.room // self.capture.floats))


def _turns(sizes: Sequence[int], room: int, most: int) -> list[list[int]]:
    """Things of these sizes that fit into `room` together, and no more than `most` of them."""
    turns: list[list[int]] = [[]]
    left = room
    for i, size in enumerate(sizes):
        if turns[-1] and (size > left or len(turns[-1]) == most):
            turns.append([])
            left = room
        turns[-1].append(i)
        left -= size
    return turns


def _left_out(capture: Capture) -> str:
    missing = capture.left_out
    if len(missing) == len(capture.trainable):
        raise InputError(f"gradients: no layer can be read, such as {missing[0]}")
    return ", ".join(missing)
