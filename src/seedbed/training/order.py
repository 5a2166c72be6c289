"""The order of documents: an endless stream of indices, a pure function of seed and epoch.

Masked documents keep their place, so masking one moves no other.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document
from seedbed.core.seeds import stream
from seedbed.training.config import Order


class DocumentOrder:
    """Indices of the documents of any step, without keeping state."""

    def __init__(self, order: Order, documents: Sequence[Document], batch: int, seed: int) -> None:
        self.order, self.batch, self.seed, self.count = order, batch, seed, len(documents)
        self._epochs: dict[int, list[int]] = {}
        grouped = order.kind in ("interleave", "separate", "alternate")
        self._groups = [_key(d, order.group) for d in documents] if grouped else []
        self._families = (
            [_key(d, order.family) for d in documents] if order.kind == "interleave" else []
        )

    def indices(self, step: int) -> list[int]:
        """Documents of optimiser step `step` (from 0); batches run on across epochs."""
        places = range(step * self.batch, (step + 1) * self.batch)
        return [self._epoch(p // self.count)[p % self.count] for p in places]

    def _epoch(self, epoch: int) -> list[int]:
        if epoch not in self._epochs:
            # Batches only move forwards, so two epochs are all that a batch can touch.
            kept = {e: v for e, v in self._epochs.items() if e == epoch - 1}
            self._epochs = {**kept, epoch: self._arrange(epoch)}
        return self._epochs[epoch]

    def _arrange(self, epoch: int) -> list[int]:
        index = list(range(self.count))
        if self.order.kind == "given":
            return index
        rng = stream(self.seed, "order", epoch)
        rng.shuffle(index)
        if self.order.kind == "shuffle":
            return index
        groups = _split(index, self._groups)
        if self.order.kind == "separate":
            return list(chain.from_iterable(groups))
        if self.order.kind == "alternate":
            chunks = [[g[i : i + self.batch] for i in range(0, len(g), self.batch)] for g in groups]
            rounds = zip_longest(*chunks, fillvalue=[])
            return list(chain.from_iterable(chunk for turn in rounds for chunk in turn))
        families = _split(index, self._families)
        rng.shuffle(families)
        arranged: list[int] = []
        for family in families:
            parts = _split(family, self._groups)
            arranged += [i for turn in zip_longest(*parts) for i in turn if i is not None]
        return arranged


def _key(document: Document, name: str) -> Any:
    if name not in document.meta:
        raise ConfigError(f"training.order: document {document.id!r} has no meta value {name!r}")
    return document.meta[name]


def _split(index: list[int], keys: Sequence[Any]) -> list[list[int]]:
    parts: dict[Any, list[int]] = {}
    for i in index:
        parts.setdefault(keys[i], []).append(i)
    return [parts[key] for key in sorted(parts, key=lambda k: (str(type(k)), k))]
