"""Patching Llama-like models in one upward sweep: a patched row joins at its own block.

Operations: a patch at block l and position p of T tokens costs (blocks − l) × (T − p) tokens,
where a forward pass costs blocks × T; keys and values before p are those of the base run.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seedbed.finders.patching_base import Base, base_of
from seedbed.finders.patching_full import Wanted
from seedbed.finders.patching_plan import Ids, Job, Trimmed
from seedbed.models.rotary import Rotary, attention

# Tokens of unpatched runs that are kept at once, for each token in a pass.
KEPT = 0.5


@dataclass(frozen=True)
class Row:
    """A job on its way: its tokens are those from `start` on; it joins at block `joins`."""

    number: int
    job: Job
    ids: Ids
    start: int
    joins: int

    @property
    def length(self) -> int:
        """Tokens that it runs at each block."""
        return len(self.ids) - self.start


def sweep(
    rotary: Rotary, runs: Sequence[Trimmed], jobs: Sequence[Job], wanted: Wanted, budget: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of recipients and donors [runs, n] (NaN without a donor) and of jobs [jobs, n]."""
    device = rotary.model.get_input_embeddings().weight.device
    layers = len(rotary.layers)
    mine: dict[int, list[tuple[int, Job]]] = {}
    for number, job in enumerate(jobs):
        mine.setdefault(job.run, []).append((number, job))
    base_logits: list[Tensor] = []
    donor_logits: list[Tensor] = []
    found: dict[int, Tensor] = {}
    for some in _groups(runs, max(1, int(budget * KEPT))):
        numbered = [pair for run in some for pair in mine.get(run, ())]
        local = {run: i for i, run in enumerate(some)}
        here = [runs[run] for run in some]
        moved = [(n, Job(j.patch, local[j.run], j.site, j.pairs, j.values)) for n, j in numbered]
        base = base_of(rotary, here, moved, device)
        slots = base.tree.slots
        ends = [slots[r.ids][-1] for r in here]
        base_logits += _head(rotary, base.stream(layers, ends), wanted, some)
        ends = [slots[r.donor][r.donor_read] if r.donor else slots[r.ids][-1] for r in here]
        given = torch.tensor([bool(r.donor) for r in here])[:, None]
        logits = _head(rotary, base.stream(layers, ends), wanted, some)
        donor_logits += torch.where(given, logits, torch.nan)
        rows = [_row(n, job, here[job.run], layers) for n, job in moved]
        for part in _passes(rows, budget):
            of = [some[row.job.run] for row in part]
            logits = _head(rotary, _run(rotary, base, here, part), wanted, of)
            found.update(zip((row.number for row in part), logits, strict=True))
    base_all, donors = torch.stack(base_logits), torch.stack(donor_logits)
    if not jobs:
        return base_all, donors, base_all[:0]
    return base_all, donors, torch.stack([found[i] for i in range(len(jobs))])


def _row(number: int, job: Job, run: Trimmed, layers: int) -> Row:
    # Behind the last block nothing but what is read counts.
    start = len(run.ids) - 1 if job.joins == layers else job.start
    return Row(number, job, run.ids, start, job.joins)


def _groups(runs: Sequence[Trimmed], tokens: int) -> Iterator[list[int]]:
    """Runs together, in order, while they have at most `tokens` tokens; at least one."""
    group: list[int] = []
    size = 0
    for number, run in enumerate(runs):
        more = len(run.ids) + len(run.donor)
        if group and size + more > tokens:
            yield group
            group, size = [], 0
        group.append(number)
        size += more
    if group:
        yield group


def _passes(rows: Sequence[Row], budget: int) -> Iterator[list[Row]]:
    """Rows of the same lengths together, at most `budget` tokens in a pass, sorted by where they
    join.
    """
    part: list[Row] = []
    size = 0
    for row in sorted(rows, key=lambda r: (len(r.ids), r.start, r.job.run, r.joins)):
        if part and size + row.length > budget:
            yield sorted(part, key=lambda r: r.joins)
            part, size = [], 0
        part.append(row)
        size += row.length
    if part:
        yield sorted(part, key=lambda r: r.joins)


def _run(rotary: Rotary, base: Base, runs: Sequence[Trimmed], rows: Sequence[Row]) -> Tensor:
    """What the last block hands on at each row's last token [rows, width]; rows by `joins`."""
    layers = len(rotary.layers)
    ends = torch.tensor([r.length for r in rows]).cumsum(0)
    begins = [0, *ends.tolist()]
    counts = [sum(r.joins <= layer for r in rows) for layer in range(layers + 1)]
    device = base.cos.device
    slots = torch.tensor([s for r in rows for s in base.tree.slots[r.ids][r.start :]],
                         device=device)  # fmt: skip
    x = base.cos.new_empty(len(slots), rotary.width)
    cos, sin = base.cos[slots], base.sin[slots]
    groups = _attention_groups(base, rows, begins, device)
    done = 0
    for layer in range(layers):
        count = counts[layer]
        _join(base, runs, rows, begins, slots, x, (done, count), layer)
        done = count
        if not count:
            continue
        tokens = begins[count]
        now = x[:tokens]
        normed = rotary.normed(layer, now)
        keys, values = rotary.keys_values(layer, normed, cos[:tokens], sin[:tokens])
        last = layer == layers - 1
        reads = ends[:count].to(device) - 1
        if last:
            # Only what is read goes on from here.
            normed, now = normed[reads], now[reads]
            queries = rotary.queries(layer, normed, cos[reads], sin[reads])
        else:
            queries = rotary.queries(layer, normed, cos[:tokens], sin[:tokens])
        heads = torch.empty(len(now), rotary.heads * rotary.size, dtype=x.dtype, device=device)
        scale = rotary.layers[layer].self_attn.scaling
        for group in groups:
            group.attend(base, layer, count, (queries, keys, values), heads, scale, last=last)
        now = now + rotary.projected(layer, heads)
        now += rotary.mlp(layer, now)
        if last:
            x = x.new_empty(len(rows), rotary.width)
            x[:count] = now
        else:
            x[:tokens] = now
    if counts[layers - 1] == 0:
        x = x.new_empty(len(rows), rotary.width)
    # Behind the last block nothing but the state that is read matters.
    late = range(counts[layers - 1], len(rows))
    if late:
        x[late.start :] = base.stream(layers, slots[ends[late.start :].to(device) - 1])
        _put(base, runs, [(i, rows[i]) for i in late], x, layers)
    return x


@dataclass(frozen=True)
class _Group:
    """Rows alike in length and start: their numbers in the pass, and where their tokens lie.

    `prefix` are the slots of what stands before them: [1, start] if all share one sequence,
    else [rows, start].
    """

    members: list[int]
    numbers: Tensor
    tokens: Tensor
    prefix: Tensor
    length: int
    mask: Tensor | None

    def attend(
        self, base: Base, layer: int, count: int, parts: tuple[Tensor, Tensor, Tensor],
        heads: Tensor, scale: float, *, last: bool,
    ) -> None:  # fmt: skip
        """Fill `heads` for the group's rows among the first `count` of the pass."""
        active = bisect_left(self.members, count)
        if not active:
            return
        queries, keys, values = parts
        tokens = self.tokens[: active * self.length]
        before = base.keys_values(layer, self.prefix[:active])
        keys = self._behind(before[0], keys[tokens], active)
        values = self._behind(before[1], values[tokens], active)
        # In the last block one query a row is left, in the order of the rows.
        where = self.numbers[:active] if last else tokens
        asked = queries[where]
        asked = asked.view(active, -1, *asked.shape[1:])
        found = attention(asked, keys, values, scale, None if last else self.mask)
        heads[where] = found.flatten(0, 1)

    def _behind(self, before: Tensor, own: Tensor, rows: int) -> Tensor:
        """The prefix of the base and each row's own tokens behind it."""
        own = own.view(rows, self.length, *own.shape[1:])
        if not self.prefix.shape[1]:
            return own
        return torch.cat([before.expand(rows, -1, -1, -1), own], 1)


def _attention_groups(
    base: Base, rows: Sequence[Row], begins: Sequence[int], device: torch.device
) -> list[_Group]:
    alike: dict[tuple[int, int], list[int]] = {}
    for i, row in enumerate(rows):
        alike.setdefault((len(row.ids), row.start), []).append(i)
    groups = []
    for (whole, start), members in alike.items():
        length = whole - start
        starts = torch.tensor([begins[i] for i in members])
        tokens = (starts[:, None] + torch.arange(length)).flatten().to(device)
        different = dict.fromkeys(rows[i].ids for i in members)
        shared = members[:1] if len(different) == 1 else members
        prefix = torch.tensor([base.tree.slots[rows[i].ids][:start] for i in shared],
                              dtype=torch.long, device=device)  # fmt: skip
        mask = None
        if length > 1:
            mask = torch.ones(length, whole, dtype=torch.bool, device=device).tril(start)
        groups.append(
            _Group(members, torch.tensor(members, device=device), tokens, prefix, length, mask)
        )
    return groups


def _join(
    base: Base, runs: Sequence[Trimmed], rows: Sequence[Row], begins: Sequence[int],
    slots: Tensor, x: Tensor, span: tuple[int, int], layer: int,
) -> None:  # fmt: skip
    """Put in the rows of `span`: the base's tokens, with the patched ones in place."""
    first, end = span
    if first == end:
        return
    x[begins[first] : begins[end]] = base.stream(layer, slots[begins[first] : begins[end]])
    _put(base, runs, [(begins[i], rows[i]) for i in range(first, end)], x, layer)


def _put(
    base: Base, runs: Sequence[Trimmed], rows: Sequence[tuple[int, Row]], x: Tensor, layer: int
) -> None:
    """Put the patched states of rows in place in x [tokens, width]; each row begins at an index.

    What a patch touches before the row begins is left out.
    """
    there: list[int] = []
    slots: list[int] = []
    for begin, row in rows:
        inside = [(n, r) for n, (r, _) in enumerate(row.job.pairs) if r >= row.start]
        here = [begin + r - row.start for _, r in inside]
        values = base.made.get(row.number, row.job.values)
        if values is None:
            donor = base.tree.slots[runs[row.job.run].donor]
            there += here
            slots += [donor[row.job.pairs[n][1]] for n, _ in inside]
        elif here:
            x[here] = values[[n for n, _ in inside]].to(x)
    if there:
        x[there] = base.stream(layer, slots)


def _head(rotary: Rotary, x: Tensor, wanted: Wanted, runs: Sequence[int]) -> Tensor:
    rows = None if wanted.ids is None else wanted.ids[list(runs)].to(x.device)
    return rotary.logits(x, rows).float().cpu()
