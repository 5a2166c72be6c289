"""A model as a function of one vector: everything it trains, laid end to end."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seedbed.models.logits import logits_at
from seedbed.models.tokens import Batch, TokenSequence, pad


class Functional:
    """A model that runs on weights given from outside."""

    def __init__(self, model: Any, weights: dict[str, Tensor]) -> None:
        self.model, self.weights = model, weights

    def get_output_embeddings(self) -> Any:
        """The output head, which runs within `__call__`."""
        return self.model.get_output_embeddings()

    def __call__(self, **inputs: Any) -> Any:
        """What the model gives for `inputs`."""
        return torch.func.functional_call(self.model, self.weights, (), inputs)


class Flat:
    """A copy of `model` in evaluation mode whose trained numbers come from outside.

    `start` are the numbers it has now, [numbers], `shapes` those of its trained parameters;
    `dtype` is that of weights and sums.
    """

    def __init__(self, model: Any, dtype: torch.dtype = torch.float32) -> None:
        self.model = copy.deepcopy(model).to(dtype).eval()
        self.model.config.use_cache = False
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.shapes = {n: p.shape for n, p in trained.items()}
        self.start = torch.cat([p.detach().flatten() for p in trained.values()])
        for parameter in trained.values():
            parameter.requires_grad_(False)

    def parts(self, flat: Tensor) -> dict[str, Tensor]:
        """[.., numbers] as [.., shape] for each parameter: views."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        pieces = torch.split(flat, sizes, dim=-1)
        lead = flat.shape[:-1]
        named = zip(self.shapes.items(), pieces, strict=True)
        return {name: piece.view(*lead, *shape) for (name, shape), piece in named}

    def logits(
        self, weights: dict[str, Tensor], sequences: Sequence[TokenSequence]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(logits [n, vocabulary], ids [n], row of each [n]) of all predicted tokens."""
        batch = pad(sequences).to(self.start.device)
        where = batch.predicted[:, 1:]
        inputs = Batch(batch.ids[:, :-1], batch.mask[:, :-1], where)
        logits = logits_at(Functional(self.model, weights), inputs, where)
        return logits, batch.ids[:, 1:][where], where.nonzero()[:, 0]

    def row_losses(self, weights: dict[str, Tensor], sequences: Sequence[TokenSequence]) -> Tensor:
        """Σ −log p over the predicted tokens of each sequence, [sequences]."""
        logits, targets, rows = self.logits(weights, sequences)
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        return losses.new_zeros(len(sequences)).index_add(0, rows, losses)
