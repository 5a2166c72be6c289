"""Patching any model with a key-value cache: the prefix is run once, blocks below are skipped.

Operations: rows that start at the same position p of T tokens and are patched at nearby blocks
run together from the lowest of these blocks on, T − p tokens each.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seedbed.finders.patching_full import Wanted, patched, unique
from seedbed.finders.patching_plan import Ids, Job, Trimmed, chunks
from seedbed.models.blocks import Blocks, Site, blocks_of
from seedbed.models.hooks import Change, hooked, resumed, returns_tuples
from seedbed.models.logits import logits_at
from seedbed.models.tokens import Batch

# A pass takes rows of as many blocks as this, and more while it has fewer tokens than this.
SPAN, FEW = 4, 128


@dataclass(frozen=True)
class Bases:
    """Unpatched runs of sequences of one length T: `stream[l]` [sequences, T, width] enters
    block l, `cache[l]` are its keys and values [sequences, heads, T, size].
    """

    ids: Tensor
    stream: list[Tensor]
    cache: list[tuple[Tensor, Tensor]]
    logits: Tensor
    tuples: bool


def refusal(model: Any) -> str:
    """Why the model's cache cannot stand in for a prefix; "" if nothing speaks against it."""
    takes = inspect.signature(model.forward).parameters
    config = model.config.get_text_config()
    kinds: set[str] = set(getattr(config, "layer_types", None) or ["full_attention"])
    shared: int = getattr(config, "num_kv_shared_layers", 0)
    if blocks_of(model).recurrent:
        return "its blocks run several times in a forward pass"
    if not type(model).__module__.startswith("transformers."):
        return "its code is not part of transformers"
    if "past_key_values" not in takes or getattr(model, "_is_stateful", False):
        return "it has no key-value cache"
    if shared or kinds - {"full_attention", "sliding_attention"}:
        return "not every block has keys and values of its own"
    return ""


def prefix(
    model: Any, blocks: Blocks, runs: Sequence[Trimmed], jobs: Sequence[Job],
    values: Sequence[Tensor], wanted: Wanted, budget: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(logits of recipients [runs, n], of jobs [jobs, n]); `values` [pairs, width] of each job."""
    sequences, index = unique([r.ids for r in runs])
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    mine: dict[int, list[int]] = {}
    for number, job in enumerate(jobs):
        mine.setdefault(index[runs[job.run].ids], []).append(number)
    base: dict[int, Tensor] = {}
    found: dict[int, Tensor] = {}
    for group in _alike([sequences[i] for i in order], budget):
        numbers = [order[i] for i in group]
        bases = _bases(model, blocks, [sequences[i] for i in numbers])
        base.update(zip(numbers, bases.logits, strict=True))
        rows = [(n, row) for row, i in enumerate(numbers) for n in mine.get(i, ())]
        for part in _passes(jobs, rows, bases.ids.shape[1], len(blocks), budget):
            chosen = [(_entering(jobs[n], len(blocks)), values[n]) for n, _ in part]
            logits = _run(model, blocks, bases, chosen, [row for _, row in part])
            kept = wanted.of(logits, [job.run for job, _ in chosen])
            found.update(zip((n for n, _ in part), kept, strict=True))
    of_runs = torch.stack([base[index[r.ids]] for r in runs])
    whole = wanted.of(of_runs, range(len(runs)))
    return whole, torch.stack([found[i] for i in range(len(jobs))]) if jobs else whole[:0]


def _entering(job: Job, layers: int) -> Job:
    """What a block hands on as what the next one takes in, which is where runs resume."""
    if job.site.stream != "resid_post" or job.site.layer == layers - 1:
        return job
    return replace(job, site=Site("resid_pre", job.site.layer + 1))


def _alike(sequences: Sequence[Ids], budget: int) -> Iterator[list[int]]:
    """Indices of sequences (sorted by length) that are equally long, within the budget."""
    lengths = [len(s) for s in sequences]
    for length in dict.fromkeys(lengths):
        same = [i for i, n in enumerate(lengths) if n == length]
        for part in chunks([length] * len(same), budget):
            yield [same[i] for i in part]


def _passes(
    jobs: Sequence[Job], rows: Sequence[tuple[int, int]], length: int, layers: int, budget: int
) -> Iterator[list[tuple[int, int]]]:
    """(job, row of its base) together that start alike and begin at nearby blocks."""
    part: list[tuple[int, int]] = []
    start = first = -1
    for number, row in sorted(
        rows, key=lambda r: (jobs[r[0]].start, jobs[r[0]].first(layers), r[0])
    ):
        job = jobs[number]
        tokens = len(part) * (length - job.start)
        far = job.first(layers) - first >= SPAN and tokens >= FEW
        if part and (job.start != start or far or tokens + length - job.start > budget):
            yield part
            part = []
        if not part:
            start, first = job.start, job.first(layers)
        part.append((number, row))
    if part:
        yield part


def _bases(model: Any, blocks: Blocks, sequences: Sequence[Ids]) -> Bases:
    from transformers import DynamicCache

    device = next(model.parameters()).device
    ids = torch.tensor(sequences, device=device)
    where = torch.zeros_like(ids, dtype=torch.bool)
    where[:, -1] = True
    stream: dict[int, Tensor] = {}

    def keep(layer: int) -> Change:
        def change(hidden: Tensor) -> None:
            stream[layer] = hidden.clone()

        return change

    # Without a config no layer forgets keys outside a window; the mask leaves them out.
    cache = DynamicCache()
    changes = {Site("resid_pre", layer): keep(layer) for layer in range(len(blocks))}
    batch = Batch(ids, torch.ones_like(ids), where)
    with hooked(blocks, changes), returns_tuples(blocks) as tuples:
        logits = logits_at(model, batch, where, past_key_values=cache, use_cache=True)
    kept = [(layer.keys, layer.values) for layer in cache.layers]
    return Bases(ids, [stream[i] for i in range(len(blocks))], kept, logits, tuples[0])


def _run(
    model: Any, blocks: Blocks, bases: Bases, chosen: Sequence[tuple[Job, Tensor]],
    rows: Sequence[int],
) -> Tensor:  # fmt: skip
    """Logits [rows, vocabulary] at the last position of jobs that start alike."""
    start = chosen[0][0].start
    first = min(job.first(len(blocks)) for job, _ in chosen)
    index = torch.tensor(rows, device=bases.ids.device)
    ids = bases.ids[index, start:]
    where = torch.zeros_like(ids, dtype=torch.bool)
    where[:, -1] = True
    mask = torch.ones(len(rows), bases.ids.shape[1], dtype=torch.long, device=ids.device)
    inputs: dict[str, Any] = {"use_cache": False}
    if start:
        inputs = {"past_key_values": _cache(bases, index, start, first), "use_cache": True}
    hidden = bases.stream[first][index, start:]
    with (
        resumed(blocks, first, hidden, tuples=bases.tuples),
        patched(blocks, chosen, offset=start),
    ):
        return logits_at(model, Batch(ids, mask, where), where, **inputs)


def _cache(bases: Bases, index: Tensor, start: int, first: int) -> Any:
    """A cache of the first `start` tokens of each row's base; blocks below `first` stay unread."""
    from transformers import DynamicCache

    cache = DynamicCache()
    for layer, pair in enumerate(bases.cache):
        rows = [t[index] if layer >= first else t[:1].expand(len(index), -1, -1, -1) for t in pair]
        cache.update(rows[0][:, :, :start], rows[1][:, :, :start], layer)
    return cache
