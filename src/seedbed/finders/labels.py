"""Labels drawn from a model's own predictions, in place of the true tokens of a batch.

The Fisher information is an expectation over such labels; with the true ones it would be the
"empirical Fisher", another matrix (Kunstner et al. 2019, arXiv 1905.12558).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from seedbed.models.tokens import Batch


class Drawn:
    """Gives batches whose targets become drawn labels while the model runs on the true ids.

    Use within `drawing`; one batch at a time: the labels are there after its forward pass.
    """

    def __init__(self) -> None:
        self._ids = self._labels = torch.zeros(0)
        self._where = self._uniform = torch.zeros(0)

    def batch(self, batch: Batch, uniform: Sequence[Sequence[float]]) -> Batch:
        """`batch`, to be labelled by `uniform`: for each row a number in [0, 1) a prediction."""
        self._ids, self._labels = batch.ids, batch.ids.clone()
        self._where = batch.predicted[:, 1:]
        flat = [u for row in uniform for u in row]
        self._uniform = torch.tensor(flat, dtype=torch.float64, device=batch.ids.device)
        return Batch(self._labels, batch.mask, batch.predicted)

    def put_inputs(self, module: Any, args: Any, values: dict[str, Any]) -> Any:
        """A pre-hook of the model: what it reads are the true ids, cut as the caller cut them."""
        length = values["input_ids"].shape[1]
        return args, {**values, "input_ids": self._ids[:, :length]}

    def draw(self, module: Any, args: Any, output: Any) -> None:
        """A hook of the model: labels by inversion, so that equal numbers give equal labels."""
        with torch.no_grad():
            logits: Tensor = output.logits.detach()
            if logits.shape[:2] != (1, len(self._uniform)):
                logits = logits[self._where]
            below = logits.reshape(len(self._uniform), -1).double().softmax(-1).cumsum(-1)
            drawn = torch.searchsorted(below, self._uniform[:, None] * below[:, -1:])
            labels = drawn[:, 0].clamp(max=below.shape[1] - 1)
            # A view: the labels lie one place after the positions that predict them.
            self._labels[:, 1:][self._where] = labels


@contextmanager
def drawing(model: Any) -> Iterator[Drawn]:
    """A `Drawn` at work on `model`."""
    drawn = Drawn()
    handles = [
        model.register_forward_pre_hook(drawn.put_inputs, with_kwargs=True),
        model.register_forward_hook(drawn.draw),
    ]
    try:
        yield drawn
    finally:
        for handle in handles:
            handle.remove()
