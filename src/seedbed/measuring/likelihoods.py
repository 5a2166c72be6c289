"""Log-likelihoods of continuations token for token, with an intervention in place.

Every distinct beginning runs as a row of its own and nothing is shared between rows, so that
an intervention of strength zero gives the very numbers of none.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.models.hooks import Edit, edited
from seedbed.models.logits import log_probs, logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch

Ids = tuple[int, ...]
Side = Literal["right", "left"]
# Told how many passes are done, and of how many.
Progress = Callable[[int, int], None]
# From the number of prompt tokens in each row of a batch to what is done in that batch.
Intervention = Callable[[Sequence[int]], Sequence[Edit]]


@dataclass(frozen=True)
class Likelihood:
    """Log p of a continuation in nats, summed over its tokens.

    `greedy`: each of its tokens is the likeliest one there. `cut` is how many tokens of the
    context were left out, from its beginning, because the model takes no more.
    """

    total: float
    greedy: bool
    cut: int


@dataclass(frozen=True)
class _Run:
    """What the model is run on: a context and all tokens of a continuation but the last."""

    ids: Ids
    prompt: int


@torch.inference_mode()
def likelihoods(
    subject: Subject,
    pairs: Sequence[tuple[Ids, Ids]],
    intervention: Intervention | None = None,
    padding: Side = "right",
    progress: Progress = lambda done, total: None,
) -> list[Likelihood]:
    """Log p(continuation | context) of each (context, continuation), `subject.batch` rows a pass.

    A pair longer than the model's context loses the beginning of its context, as in lm-eval.
    Raises InputError for an empty context or continuation, a continuation that alone is longer
    than the model's context, and what the intervention does not find.
    """
    runs, cuts = zip(*(_run(subject, *pair) for pair in pairs), strict=True) if pairs else ((), ())
    members: dict[_Run, list[int]] = {}
    for i, run in enumerate(runs):
        members.setdefault(run, []).append(i)
    found: dict[int, Likelihood] = {}
    subject.model.eval()
    ordered = sorted(members, key=lambda run: (-len(run.ids), run.ids, run.prompt))
    for start in range(0, len(ordered), subject.batch):
        chunk = ordered[start : start + subject.batch]
        edits = intervention([run.prompt for run in chunk]) if intervention else ()
        with edited(subject.model, edits) if intervention else nullcontext():
            logits, owner = _logits(subject, chunk, padding)
        ends = torch.searchsorted(owner, torch.arange(1, len(chunk) + 1, device=owner.device))
        begins = [0, *ends.tolist()]
        asked = [(i, begins[row], pairs[i][1]) for row, run in enumerate(chunk)
                 for i in members[run]]  # fmt: skip
        for (i, _, _), (total, greedy) in zip(asked, _totals(logits, asked), strict=True):
            found[i] = Likelihood(total, greedy, cuts[i])
        progress(start + len(chunk), len(ordered))
    return [found[i] for i in range(len(pairs))]


def _run(subject: Subject, context: Ids, continuation: Ids) -> tuple[_Run, int]:
    """(what is run for a pair, tokens of its context that are left out)."""
    if not context or not continuation:
        raise InputError("a likelihood needs a token before the continuation and one within it")
    if len(continuation) > subject.context:
        raise InputError(f"a continuation of {len(continuation)} tokens is longer than the model's"
                         f" context of {subject.context}")  # fmt: skip
    whole = context + continuation
    cut = max(0, len(whole) - subject.context - 1)
    ids = whole[cut:-1]
    return _Run(ids, len(ids) - len(continuation) + 1), cut


def _logits(subject: Subject, chunk: Sequence[_Run], padding: Side) -> tuple[Tensor, Tensor]:
    """(logits [n, vocabulary] where the continuations are predicted, the row of each [n])."""
    width = max(len(run.ids) for run in chunk)
    batch = laid_out([run.ids for run in chunk], padding).to(subject.device)
    where = torch.zeros_like(batch.predicted)
    for row, run in enumerate(chunk):
        start = width - len(run.ids) if padding == "left" else 0
        where[row, start + run.prompt - 1 : start + len(run.ids)] = True
    inputs: dict[str, Any] = {"use_cache": False}
    if padding == "left" and _takes_positions(subject.model):
        # A plain forward pass counts positions from the padding on.
        inputs["position_ids"] = (batch.mask.cumsum(1) - 1).clamp(min=0)
    logits = logits_at(subject.model, batch, where, **inputs)
    return logits, where.nonzero()[:, 0]


def laid_out(sequences: Sequence[Ids], padding: Side) -> Batch:
    """Ids and mask [rows, longest], padded on one side; nothing is marked as predicted."""
    width = max(len(ids) for ids in sequences)
    ids = torch.zeros((len(sequences), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        start = width - len(sequence) if padding == "left" else 0
        ids[row, start : start + len(sequence)] = torch.tensor(sequence)
        mask[row, start : start + len(sequence)] = 1
    return Batch(ids, mask, torch.zeros_like(ids, dtype=torch.bool))


def _takes_positions(model: Any) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "position_ids" in inspect.signature(inner.forward).parameters


def _totals(logits: Tensor, asked: Sequence[tuple[int, int, Ids]]) -> Iterator[tuple[float, bool]]:
    """(log p, whether greedy) of each (pair, first row of its logits, continuation)."""
    entries = sorted((first + k, i, token) for i, (_, first, continuation) in enumerate(asked)
                     for k, token in enumerate(continuation))  # fmt: skip
    rows, owners, targets = (
        torch.tensor(part, device=logits.device) for part in zip(*entries, strict=True)
    )
    picked = log_probs(logits, rows, targets).double()
    totals = torch.zeros(len(asked), dtype=torch.float64, device=logits.device)
    totals.index_add_(0, owners, picked)
    missed = torch.zeros_like(totals)
    missed.index_add_(0, owners, (logits.argmax(dim=-1)[rows] != targets).double())
    yield from zip(totals.tolist(), (missed == 0).tolist(), strict=True)
