"""Patching by plain hooked forward passes: any causal model, no cache, one row a patch.

Cost: patches × tokens × blocks. It is the last resort of the faster ways and their check.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seedbed.finders.patching_plan import Ids, Job, Trimmed, chunks
from seedbed.models.blocks import Blocks, Site, plain
from seedbed.models.hooks import Change, hooked
from seedbed.models.logits import logits_at
from seedbed.models.tokens import TokenSequence, pad

# Where states are taken from: (sequence, position).
Places = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Wanted:
    """Which logits are kept: `ids` [runs, n], or all of the vocabulary where it is None."""

    ids: Tensor | None

    def of(self, logits: Tensor, runs: Sequence[int]) -> Tensor:
        """Float32 on the CPU [rows, n], of logits [rows, vocabulary] that belong to `runs`."""
        if self.ids is not None:
            logits = logits.gather(1, self.ids[list(runs)].to(logits.device))
        return logits.float().cpu()

    def width(self, model: Any) -> int:
        """How many logits of a run are kept."""
        if self.ids is not None:
            return self.ids.shape[1]
        return int(plain(model).get_input_embeddings().weight.shape[0])


def states(
    model: Any, blocks: Blocks, sequences: Sequence[Ids], wanted: Mapping[Site, Places],
    reads: Sequence[int], budget: int,
) -> tuple[dict[Site, Tensor], Tensor]:  # fmt: skip
    """(states [n, width] of each site at its places, logits [sequences, vocabulary] at `reads`).

    Sequences of similar length run together, at most `budget` tokens at once.
    """
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    found: dict[Site, dict[int, Tensor]] = {site: {} for site in wanted}
    logits: dict[int, Tensor] = {}
    for chunk in chunks([len(sequences[i]) for i in order], budget):
        rows = {order[i]: row for row, i in enumerate(chunk)}
        changes = {}
        for site, places in wanted.items():
            mine = [(n, rows[s], p) for n, (s, p) in enumerate(places) if s in rows]
            if mine:
                changes[site] = _taking(found[site], mine)
        with hooked(blocks, changes):
            read = _logits(model, [sequences[i] for i in rows], [reads[i] for i in rows])
        logits.update(zip(rows, read, strict=True))
    taken = {site: torch.stack([f[n] for n in range(len(f))]) for site, f in found.items() if f}
    return taken, torch.stack([logits[i] for i in range(len(sequences))])


def donor_values(
    model: Any, blocks: Blocks, runs: Sequence[Trimmed], jobs: Sequence[Job], budget: int
) -> tuple[list[Tensor], dict[int, Tensor]]:
    """(values [pairs, width] of each job, logits [vocabulary] of the donor of each run).

    Values of a job at all runs of a block are [runs, pairs, width].
    """
    sequences, index = unique([r.donor for r in runs])
    reads = [0] * len(sequences)
    for run in runs:
        if run.donor:
            reads[index[run.donor]] = run.donor_read
    wanted: dict[Site, list[tuple[int, int]]] = {}
    where: list[tuple[list[Site], int] | None] = []
    for job in jobs:
        if job.values is not None:
            where.append(None)
            continue
        sites = _each(blocks, job.site)
        where.append((sites, len(wanted.get(sites[0], ()))))
        places = [(index[runs[job.run].donor], donor) for _, donor in job.pairs]
        for site in sites:
            wanted.setdefault(site, []).extend(places)
    found, logits = ({}, torch.zeros(0)) if not sequences else states(
        model, blocks, sequences, wanted, reads, budget)  # fmt: skip
    values = [
        _given(job) if at is None else _taken(found, *at, len(job.pairs))
        for job, at in zip(jobs, where, strict=True)
    ]
    return values, {i: logits[index[r.donor]] for i, r in enumerate(runs) if r.donor}


def full(
    model: Any, blocks: Blocks, runs: Sequence[Trimmed], jobs: Sequence[Job],
    values: Sequence[Tensor], wanted: Wanted, budget: int,
) -> Tensor:  # fmt: skip
    """Logits [jobs, n] of every job, each a row of a right-padded batch."""
    order = sorted(range(len(jobs)), key=lambda i: len(runs[jobs[i].run].ids))
    found: dict[int, Tensor] = {}
    for chunk in chunks([len(runs[jobs[i].run].ids) for i in order], budget):
        rows = [order[i] for i in chunk]
        sequences = [runs[jobs[i].run].ids for i in rows]
        with patched(blocks, [(jobs[i], values[i]) for i in rows]):
            logits = _logits(model, sequences, [len(s) - 1 for s in sequences])
        found.update(zip(rows, wanted.of(logits, [jobs[i].run for i in rows]), strict=True))
    if not jobs:
        return torch.zeros(0, wanted.width(model))
    return torch.stack([found[i] for i in range(len(jobs))])


def alone(model: Any, blocks: Blocks, run: Trimmed, job: Job) -> tuple[Tensor, Tensor]:
    """Logits [vocabulary] of the donor (of the recipient if the job has values) and of the job.

    One plain forward pass of two rows; the state is taken from the first as it passes.
    """
    first = run.ids if job.values is not None else run.donor
    read = len(run.ids) - 1 if job.values is not None else run.donor_read
    here, there = ([pair[side] for pair in job.pairs] for side in (0, 1))

    def change(hidden: Tensor) -> Tensor:
        new = hidden.clone()
        new[1, here] = hidden[0, there]
        return new

    given = {} if job.values is None else _by_site(blocks, [(1, job, job.values)])
    changes: dict[Site, Change] = {site: _putting(mine, 0) for site, mine in given.items()}
    with hooked(blocks, changes or {job.site: change}):
        logits = _logits(model, [first, run.ids], [read, len(run.ids) - 1])
    return logits[0], logits[1]


@contextmanager
def patched(blocks: Blocks, rows: Sequence[tuple[Job, Tensor]], offset: int = 0) -> Iterator[None]:
    """Row i of every batch runs with the values of job i; column 0 stands at `offset`."""
    by_site = _by_site(blocks, [(row, job, values) for row, (job, values) in enumerate(rows)])
    with hooked(blocks, {site: _putting(mine, offset) for site, mine in by_site.items()}):
        yield


# (row of the batch, job, its values [pairs, width])
_Row = tuple[int, Job, Tensor]


def _by_site(blocks: Blocks, rows: Sequence[_Row]) -> dict[Site, list[_Row]]:
    """What is put in at each site; a block's runs are sites of their own."""
    found: dict[Site, list[_Row]] = {}
    for row, job, values in rows:
        sites = _each(blocks, job.site)
        parts = values if values.dim() == 3 else [values] * len(sites)
        for site, part in zip(sites, parts, strict=True):
            found.setdefault(site, []).append((row, job, part))
    return found


def _each(blocks: Blocks, site: Site) -> list[Site]:
    """The site at each run of its block, where it stands for all of several."""
    runs = blocks.runs(site.layer)
    if site.step is not None or runs == 1:
        return [site]
    return [replace(site, step=step) for step in range(runs)]


def _taken(found: Mapping[Site, Tensor], sites: Sequence[Site], start: int, count: int) -> Tensor:
    parts = [found[site][start : start + count] for site in sites]
    return parts[0] if len(parts) == 1 else torch.stack(parts)


def unique(sequences: Sequence[Ids]) -> tuple[list[Ids], dict[Ids, int]]:
    """The different sequences in order of appearance (empty ones left out), and their places."""
    different = [s for s in dict.fromkeys(sequences) if s]
    return different, {s: i for i, s in enumerate(different)}


def _given(job: Job) -> Tensor:
    assert job.values is not None
    return job.values


def _taking(found: dict[int, Tensor], mine: Sequence[tuple[int, int, int]]) -> Change:
    numbers, rows, columns = (list(column) for column in zip(*mine, strict=True))

    def change(hidden: Tensor) -> None:
        # Indexing by lists copies, so later changes in place do no harm.
        found.update(zip(numbers, hidden[rows, columns], strict=True))

    return change


def _putting(mine: Sequence[_Row], offset: int) -> Change:
    rows = [row for row, job, _ in mine for _ in job.pairs]
    columns = [r - offset for _, job, _ in mine for r, _ in job.pairs]
    values = torch.cat([v for _, _, v in mine])

    def change(hidden: Tensor) -> Tensor:
        new = hidden.clone()
        new[rows, columns] = values.to(new)
        return new

    return change


def _logits(model: Any, sequences: Sequence[Ids], reads: Sequence[int]) -> Tensor:
    """Logits [rows, vocabulary] of every sequence at its read position."""
    masks = [tuple(i == read for i in range(len(s)))
             for s, read in zip(sequences, reads, strict=True)]  # fmt: skip
    batch = pad([TokenSequence(s, m) for s, m in zip(sequences, masks, strict=True)])
    batch = batch.to(next(model.parameters()).device)
    return logits_at(model, batch, batch.predicted, use_cache=False)
