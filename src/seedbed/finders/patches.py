"""Exact activation patching of any causal model: what the logits become, patch by patch.

One function for all: it drops what cannot matter, runs the rest the fastest way that the model
allows, and checks one patch against a plain hooked forward pass.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import Module

from seedbed.core.errors import InputError
from seedbed.core.seeds import stream
from seedbed.finders.patching_base import agrees
from seedbed.finders.patching_full import Wanted, alone, donor_values, full, states, unique
from seedbed.finders.patching_plan import Job, Patch, Run, Trimmed, jobs_of, trimmed
from seedbed.finders.patching_prefix import prefix, refusal
from seedbed.finders.patching_sweep import sweep
from seedbed.models.blocks import Blocks, blocks_of, plain
from seedbed.models.hooks import evaluating
from seedbed.models.rotary import Rotary, rotary_of
from seedbed.models.subject import Subject

__all__ = ["Patch", "Patched", "Run", "can_matter", "patched_logits"]

Tier = Literal["sweep", "prefix", "full"]
# How far two ways may differ, relative to the largest logit: in float32, and in fewer bits.
SLACK, COARSE = 1e-4, 0.1
# Fewer tokens than this may not show what a model does otherwise.
TRIED = 16
# Models that were tried on the sweep: with how many tokens, and whether it followed them.
_FOLLOWS: WeakKeyDictionary[Module, tuple[int, bool]] = WeakKeyDictionary()


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
    if not runs:
        raise InputError("there are no runs to patch")
    model, other = _model(subject), _model(donor_model)
    blocks, short = _short(model, runs)
    jobs = jobs_of(short, patches, runs, blocks, same_model=other is None, prune=prune)
    wanted = _wanted(tokens, len(runs), _vocabulary(model))
    work = _Work(model, blocks, short, jobs, wanted, budget_tokens)
    with evaluating(model):
        if other is not None:
            work, donors = _from(work, other)
        base, donor, of_jobs, checked, way = _run(work, tier, seed)
        if other is not None:
            donor = donors
    logits = base[[p.run for p in patches]].clone() if patches else base[:0]
    noop = torch.ones(len(patches), dtype=torch.bool)
    numbers = [job.patch for job in jobs]
    noop[numbers] = False
    logits[numbers] = of_jobs
    empty = torch.tensor([not p.positions for p in patches], dtype=torch.bool)
    return Patched(base, donor, logits, noop, empty, checked, way, time.perf_counter() - started)


def can_matter(subject: Any, runs: Sequence[Run], patches: Sequence[Patch]) -> list[bool]:
    """Whether each patch would be run at all: what it touches can change what is read."""
    blocks, short = _short(_model(subject), runs)
    alive = {job.patch for job in jobs_of(short, patches, runs, blocks, same_model=True)}
    return [i in alive for i in range(len(patches))]


@dataclass(frozen=True)
class _Work:
    """What is to be run, on which model."""

    model: Any
    blocks: Blocks
    runs: Sequence[Trimmed]
    jobs: Sequence[Job]
    wanted: Wanted
    budget: int


# Logits of recipients [runs, n], of donors [runs, n] (NaN without one) and of jobs [jobs, n].
_Logits = tuple[Tensor, Tensor, Tensor]


def _run(work: _Work, tier: str, seed: int) -> tuple[Tensor, Tensor, Tensor, float, Tier]:
    """The logits of the fastest way that fits and stands the check, with the check's figure."""
    ways: dict[Tier, Callable[[_Work], _Logits | str]] = {
        "sweep": _by_sweep, "prefix": _by_prefix, "full": _by_full,
    }  # fmt: skip
    slack = _slack(work.model)
    for name, way in ways.items():
        if tier not in {"auto", name}:
            continue
        found = way(work)
        if isinstance(found, str):
            if tier == name:
                raise InputError(f"tier {name!r} does not fit {type(work.model).__name__}: {found}")
            continue
        checked = _checked(work, found, seed)
        if checked <= slack * (1 + float(found[0].abs().max())):
            return *found, checked, name
        if name in {tier, "full"}:
            raise InputError(
                f"tier {name!r}: a patch differs by {checked:.2g} in a logit from a plain hooked"
                f" forward pass of {type(work.model).__name__}"
            )
    raise InputError(f"tier: {tier!r} is none of auto, {', '.join(ways)}")


def _by_sweep(work: _Work) -> _Logits | str:
    longest = max(max(len(r.ids), len(r.donor)) for r in work.runs)
    rotary = rotary_of(work.model, longest)
    if isinstance(rotary, str):
        return rotary
    if not _follows(rotary, longest):
        return "its blocks compute something else than Llama's"
    return sweep(rotary, work.runs, work.jobs, work.wanted, work.budget)


def _follows(rotary: Rotary, longest: int) -> bool:
    """Whether the model's states are those of its blocks taken apart, tried on as many tokens.

    The tokens are drawn: where all are alike, attention looks the same whatever it does with
    positions.
    """
    tokens, known = _FOLLOWS.get(rotary.model, (0, True))
    length = max(longest, min(TRIED, rotary.context))
    if known and length > tokens:
        rng, vocabulary = stream(0, "patching", "trial"), _vocabulary(rotary.model)
        ids = tuple(rng.randrange(vocabulary) for _ in range(length))
        known = agrees(rotary, ids, _slack(rotary.model))
        _FOLLOWS[rotary.model] = length, known
    return known


def _by_prefix(work: _Work) -> _Logits | str:
    if why := refusal(work.model):
        return why
    values, donor = _donors(work)
    base, of_jobs = prefix(
        work.model, work.blocks, work.runs, work.jobs, values, work.wanted, work.budget
    )
    return base, donor, of_jobs


def _by_full(work: _Work) -> _Logits:
    values, donor = _donors(work)
    sequences, index = unique([r.ids for r in work.runs])
    reads = [len(s) - 1 for s in sequences]
    logits = states(work.model, work.blocks, sequences, {}, reads, work.budget)[1]
    base = work.wanted.of(logits[[index[r.ids] for r in work.runs]], range(len(work.runs)))
    return base, donor, full(
        work.model, work.blocks, work.runs, work.jobs, values, work.wanted, work.budget
    )  # fmt: skip


def _donors(work: _Work) -> tuple[list[Tensor], Tensor]:
    """(values [pairs, width] of each job, logits [runs, n] of the donors)."""
    values, logits = donor_values(work.model, work.blocks, work.runs, work.jobs, work.budget)
    width = work.wanted.width(work.model)
    found = torch.full((len(work.runs), width), torch.nan)
    for run, row in logits.items():
        found[run] = work.wanted.of(row[None], [run])[0]
    return values, found


def _from(work: _Work, other: Any) -> tuple[_Work, Tensor]:
    """The work with the values that donors have on another model, and their logits there."""
    theirs = replace(work, model=other, blocks=blocks_of(other))
    for what, here, there in (
        ("blocks", len(work.blocks), len(theirs.blocks)),
        ("numbers a token", work.blocks.width, theirs.blocks.width),
    ):
        if here != there:
            raise InputError(f"donor_model has {there} {what}, the model {here}")
    with evaluating(other):
        values, logits = _donors(theirs)
    jobs = [replace(job, values=v) for job, v in zip(work.jobs, values, strict=True)]
    return replace(work, jobs=jobs, runs=[replace(r, donor=()) for r in work.runs]), logits


def _checked(work: _Work, found: _Logits, seed: int) -> float:
    """Largest difference of a logit of one job, and of its run, from a plain hooked pass."""
    if not work.jobs:
        return 0.0
    drawn = stream(seed, "patching", "check").randrange(len(work.jobs))
    job = work.jobs[drawn]
    base, patched = alone(work.model, work.blocks, work.runs[job.run], job)
    of_run = found[0] if job.values is not None else found[1]
    rows = work.wanted.of(torch.stack([base, patched]), [job.run] * 2)
    ours = torch.stack([of_run[job.run], found[2][drawn]])
    return float((rows - ours).abs().max())


def _slack(model: Any) -> float:
    return SLACK if torch.finfo(model.dtype).bits >= 32 else COARSE


def _model(subject: Any) -> Any:
    found = subject.model if isinstance(subject, Subject) else subject
    return None if found is None else plain(found)


def _short(model: Any, runs: Sequence[Run]) -> tuple[Blocks, list[Trimmed]]:
    size = _vocabulary(model)
    return blocks_of(model), [trimmed(run, i, size) for i, run in enumerate(runs)]


def _vocabulary(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])


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
