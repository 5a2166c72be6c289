"""Exact activation patching of any causal model: what the logits become, patch by patch.

One function for all: it drops what cannot matter, runs the rest the fastest way that the model
allows, and checks one patch against a plain hooked forward pass.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.seeds import stream
from seedbed.finders.patching_full import Wanted, donor_values, full, states, unique
from seedbed.finders.patching_plan import Job, Patch, Run, Trimmed, jobs_of, trimmed
from seedbed.models.blocks import Blocks, blocks_of, plain
from seedbed.models.hooks import evaluating
from seedbed.models.rotary import Rotary, rotary_of
from seedbed.finders.patching_sweep import sweep

__all__ = ["Patch", "Patched", "Run", "patched_logits"]

Tier = Literal["sweep", "prefix", "full"]


@dataclass(frozen=True)
class Patched:
    """Logits of recipients, donors and patches, float32 on the CPU.

    `base` and `donor` are [runs, tokens] (NaN without a donor), `logits` [patches, tokens].
    `noop` [patches] marks patches that were not run since nothing that is read can change:
    their logits are `base`, exactly; `empty` those among them that name no position at all.
    `checked` is the largest difference of a logit of one patch, drawn by the seed, from a
    plain hooked forward pass (0 where nothing was run); `tier` the way all others ran.
    """

    base: Tensor
    donor: Tensor
    logits: Tensor
    noop: Tensor
    empty: Tensor
    checked: float
    tier: Tier
    seconds: float


@torch.no_grad()
def patched_logits(
    subject: Any,
    runs: Sequence[Run],
    patches: Sequence[Patch],
    tokens: Sequence[Sequence[int]] | Sequence[int] | None = None,
    *,
    donor_model: Any = None,
    budget_tokens: int = 4096,
    tier: Literal["auto", "sweep", "prefix", "full"] = "auto",
    prune: bool = True,
    seed: int = 0,
) -> Patched:
    """Logits at each run's read position after each patch alone (interchange interventions).

    `subject` is a Subject or a Hugging Face model, plain or wrapped by PEFT; it is left as it
    was. `tokens` are the ids whose logits are wanted, one list for all runs or one a run (of
    one length); None: the whole vocabulary. Donors run on `donor_model` if it is given, and
    on the same model otherwise. `budget_tokens` bounds the tokens in a pass, and so the
    memory. With `prune` off every patch that stands before what is read is run. Raises
    InputError for an unfit run, patch or token, and for a `tier` that the model cannot take.
    """
    started = time.perf_counter()
    model, other = _model(subject), _model(donor_model)
    blocks = blocks_of(model)
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    short = [trimmed(run, i, vocabulary) for i, run in enumerate(runs)]
    wanted = _wanted(tokens, len(runs), vocabulary)
    jobs = jobs_of(short, patches, runs, blocks, same_model=other is None, prune=prune)
    with evaluating(model):
        found = _run(model, other, blocks, short, jobs, wanted, budget_tokens, tier, seed)
    base, donor, of_jobs, checked, way = found
    logits = base[[p.run for p in patches]].clone() if patches else base[:0]
    noop = torch.ones(len(patches), dtype=torch.bool)
    numbers = [job.patch for job in jobs]
    noop[numbers] = False
    logits[numbers] = of_jobs
    empty = torch.tensor([not p.positions for p in patches], dtype=torch.bool)
    return Patched(base, donor, logits, noop, empty, checked, way, time.perf_counter() - started)


def _run(
    model: Any, other: Any, blocks: Blocks, runs: Sequence[Trimmed], jobs: Sequence[Job],
    wanted: Wanted, budget: int, tier: str, seed: int,
) -> tuple[Tensor, Tensor, Tensor, float, Tier]:  # fmt: skip
    if tier in {"auto", "sweep"}:
        longest = max(max(len(r.ids), len(r.donor)) for r in runs)
        rotary = rotary_of(model, longest)
        if isinstance(rotary, Rotary):
            base, donor, of_jobs = sweep(rotary, runs, jobs, wanted, budget)
            checked = 0.0
            if jobs:
                drawn = stream(seed, "patching", "check").randrange(len(jobs))
                values, _ = donor_values(model, blocks, runs, [jobs[drawn]], budget)
                alone = full(model, blocks, runs, [jobs[drawn]], values, wanted, budget)
                checked = float((alone[0] - of_jobs[drawn]).abs().max())
            return base, donor, of_jobs, checked, "sweep"
        if tier == "sweep": raise InputError(rotary)
    giver, giver_blocks = (model, blocks) if other is None else (other, blocks_of(other))
    with evaluating(giver):
        values, donors = donor_values(giver, giver_blocks, runs, jobs, budget)
    _check_widths(blocks, jobs, values, model)
    everything = range(len(runs))
    sequences, index = unique([r.ids for r in runs])
    _, of_sequences = states(model, blocks, sequences, {}, [len(s) - 1 for s in sequences], budget)
    base = wanted.of(of_sequences[[index[r.ids] for r in runs]], everything)
    donor = torch.full_like(base, torch.nan)
    for run, logits in donors.items():
        donor[run] = wanted.of(logits[None], [run])[0]
    if not jobs:
        return base, donor, base[:0], 0.0, "full"
    of_jobs = full(model, blocks, runs, jobs, values, wanted, budget)
    drawn = stream(seed, "patching", "check").randrange(len(jobs))
    alone = full(model, blocks, runs, [jobs[drawn]], [values[drawn]], wanted, budget)
    return base, donor, of_jobs, float((alone[0] - of_jobs[drawn]).abs().max()), "full"


def _model(subject: Any) -> Any:
    found = getattr(subject, "model", None) if hasattr(subject, "tokenizer") else subject
    return None if found is None else plain(found)


def _wanted(
    tokens: Sequence[Sequence[int]] | Sequence[int] | None, runs: int, vocabulary: int
) -> Wanted:
    if tokens is None:
        return Wanted(None)
    listed = [list(t) for t in tokens if isinstance(t, Sequence)]
    if not listed:
        listed = [list(cast(Sequence[int], tokens))] * runs
    if len(listed) != runs:
        raise InputError(f"tokens: {len(listed)} lists for {runs} runs")
    if len({len(row) for row in listed}) > 1:
        raise InputError("tokens: the lists of all runs must be equally long")
    if bad := [t for row in listed for t in row if not 0 <= t < vocabulary]:
        raise InputError(f"tokens: {bad[0]} is outside the vocabulary of {vocabulary}")
    return Wanted(torch.tensor(listed, dtype=torch.long))


def _check_widths(
    blocks: Blocks, jobs: Sequence[Job], values: Sequence[Tensor], model: Any
) -> None:
    width = int(model.get_input_embeddings().weight.shape[1])
    for job, value in zip(jobs, values, strict=True):
        blocks.spot(job.site)
        if job.site.stream != "head" and value.shape[-1] != width:
            raise InputError(
                f"patch {job.patch}: values of width {value.shape[-1]}; the model's is {width}"
            )
