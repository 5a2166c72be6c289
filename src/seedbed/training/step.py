"""One optimiser step's gradient: a forward pass over the batch, the method's terms, backward.

The loss is divided by the global batch's predicted tokens, masked ones included, so masking a
document rescales no other.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from seedbed.core.errors import InputError
from seedbed.models.logits import predicted_logits
from seedbed.models.tokens import TokenSequence, pad
from seedbed.training.proxies import Proxies, project


class Step:
    """Forward and backward passes over documents whose tokens are `sequences`.

    `groups` names what each document's loss is told by.
    """

    def __init__(
        self,
        accelerator: Any,
        sequences: Sequence[TokenSequence],
        groups: Sequence[str],
        proxies: Proxies,
        parameters: Sequence[nn.Parameter],
    ) -> None:
        self.accelerator, self.sequences, self.groups = accelerator, sequences, groups
        self.proxies, self.parameters = proxies, parameters

    def __call__(self, model: Any, indices: Sequence[int]) -> dict[str, float]:
        """Set the gradients of one global batch; its mean loss, overall and by group.

        The method's own figure, if the batch has any, stands beside it: `kl` and `unwanted` in
        nats a token, `cosine` of the two gradients.
        """
        accelerator, proxies = self.accelerator, self.proxies
        tokens = sum(sum(self.sequences[i].predicted) for i in indices)
        share = indices[accelerator.process_index :: accelerator.num_processes]
        # Masked documents are left out of the work, not of the count; each process needs a row.
        mine = [i for i in share if proxies.weights[i]] or share[:1]
        if len(indices) < accelerator.num_processes:
            raise InputError(
                f"training.batch: {len(indices)} documents cannot be shared by "
                f"{accelerator.num_processes} processes"
            )
        beside = proxies.shared(share)
        batch = pad([self.sequences[i] for i in mine] + [proxies.beside[i] for i in beside])
        batch = batch.to(accelerator.device)
        with accelerator.autocast():
            logits, targets, rows = predicted_logits(model, batch)
        every = cross_entropy(logits, targets, reduction="none")
        end = int((rows < len(mine)).sum())
        losses, rows, others = every[:end], rows[:end], rows[end:] - len(mine)
        weight = torch.tensor([proxies.weights[i] for i in mine], device=losses.device)
        weighted = losses * weight[rows]
        said = {}
        if proxies.projects and any(i in proxies.own for i in indices):
            own = torch.tensor([i in proxies.own for i in mine], device=losses.device)[rows]
            task, held = (self._scaled(weighted[part].sum(), tokens) for part in (~own, own))
            said["cosine"] = project(
                accelerator, self.parameters, task, held, proxies.method.weight
            )
        else:
            total, told = weighted.sum(), torch.zeros(2, dtype=torch.float64)
            if beside:
                term, told = proxies.term(beside, logits[end:], every[end:], others)
                total = total + term
            accelerator.backward(self._scaled(total, tokens))
            if proxies.column:
                told = accelerator.reduce(told.to(accelerator.device), reduction="sum")
                nats, count = told.tolist()
                said |= {proxies.column: nats / count} if count else {}
        return {**self._means(indices, mine, losses.detach(), weight, rows), **said}

    def _scaled(self, total: Tensor, tokens: int) -> Tensor:
        # Averaging over processes would divide by their number; this undoes it.
        processes: int = self.accelerator.num_processes
        return total / tokens * processes

    def _means(
        self,
        indices: Sequence[int],
        mine: Sequence[int],
        losses: Tensor,
        weight: Tensor,
        rows: Tensor,
    ) -> dict[str, float]:
        """Weighted mean losses of the global batch, overall and by group."""
        names = sorted({self.groups[i] for i in indices})
        totals = torch.zeros(2, len(names) + 1, dtype=torch.float64)
        seen = losses.double().cpu()
        place = torch.tensor([names.index(self.groups[i]) for i in mine])[rows.cpu()]
        weighed = weight.double().cpu()[rows.cpu()]
        totals[0, :-1].index_add_(0, place, seen * weighed)
        totals[1, :-1].index_add_(0, place, weighed)
        totals[:, -1] = totals[:, :-1].sum(dim=1)
        totals = self.accelerator.reduce(totals.to(self.accelerator.device), reduction="sum").cpu()
        means = (totals[0] / totals[1].clamp(min=1e-12)).tolist()
        named = {f"loss:{n}": m for n, m in zip(names, means, strict=False) if n}
        return {"loss": means[-1], **(named if len(named) > 1 else {})}
