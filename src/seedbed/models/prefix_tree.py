"""What a model predicts after texts that it has read already: a tree of tokens.

A small agent among many users reads the same few texts over and over. The tree is emptied when
a weight changes, and stays empty while a hook is in place.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.models.decoding import Ids
from seedbed.models.subject import Subject

LARGEST = 2048  # words of the largest vocabulary whose predictions are worth keeping
FIRST = 256  # nodes that room is made for at first


class PrefixTree:
    """Predictions by text, for one subject; at most about `size` bytes are kept.

    `logits` [nodes, vocabulary], `exact` [nodes] (computed alone), `children` [nodes, vocabulary]
    (−1: not read yet), `texts` what ids decode to.
    """

    def __init__(self, subject: Subject, size: int = 2**26) -> None:
        self.subject, self.size = subject, size
        self._state: Any = None
        self.clear(1)

    def clear(self, width: int) -> None:
        """Forget everything; predictions have `width` columns."""
        self.roots: dict[Ids, int] = {}
        self.texts: dict[Ids, str] = {}
        self.count = 0
        self.logits = np.empty((FIRST, width), dtype=np.float32)
        self.children = np.full((FIRST, width), -1, dtype=np.int32)
        self.exact = np.zeros(FIRST, dtype=bool)

    def ready(self) -> bool:
        """Whether it can be used now; it is emptied first if the model changed or it is full."""
        model = self.subject.model
        head = model.get_output_embeddings()
        width = LARGEST + 1 if head is None else len(head.weight)
        if width > LARGEST or any(
            m._forward_hooks or m._forward_pre_hooks for m in model.modules()
        ):
            return False
        weights = [*model.parameters(), *model.buffers()]
        if any(w.is_inference() for w in weights):
            return False
        state = (width, [(w.data_ptr(), w._version) for w in weights])
        if state != self._state or self.count * width * 8 > self.size:
            self._state = state
            self.clear(width)
        return True

    def add(
        self, parents: NDArray[np.int64], tokens: NDArray[np.int64], logits: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """New nodes: what follows `tokens[i]` after node `parents[i]`; their numbers."""
        new = np.arange(self.count, self.count + len(logits))
        self._grow(self.count + len(logits))
        self.count += len(logits)
        self.logits[new] = logits
        self.exact[new] = False
        self.children[new] = -1
        inner = parents >= 0
        self.children[parents[inner], tokens[inner]] = new[inner]
        return new

    def _grow(self, needed: int) -> None:
        have = len(self.exact)
        if needed <= have:
            return
        rows = max(needed, 2 * have)
        width = self.logits.shape[1]
        for name, blank in (("logits", 0.0), ("children", -1)):
            old = getattr(self, name)
            new = np.full((rows, width), blank, dtype=old.dtype)
            new[:have] = old
            setattr(self, name, new)
        self.exact = np.concatenate([self.exact, np.zeros(rows - have, dtype=bool)])
