"""Unpatched runs of a Llama-like model, kept block by block for patched rows to start from.

Sequences form a tree of tokens: a beginning that several share, such as that of a pair's two
prompts, is run once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seedbed.finders.patching_plan import Ids, Job, Trimmed
from seedbed.models.blocks import Site
from seedbed.models.hooks import read
from seedbed.models.logits import logits_at
from seedbed.models.rotary import Rotary, attention
from seedbed.models.tokens import TokenSequence, pad


@dataclass(frozen=True)
class Tree:
    """Different tokens in their contexts, parents first: ids and positions, each [tokens].

    `slots[sequence]` are a sequence's tokens, root first.
    """

    ids: list[int]
    positions: list[int]
    slots: dict[Ids, list[int]]


def tree_of(sequences: Sequence[Ids]) -> Tree:
    """The tree of all sequences, in order of appearance."""
    tree = Tree([], [], {})
    known: dict[tuple[int, int], int] = {}
    for sequence in dict.fromkeys(sequences):
        place, path = -1, []
        for position, token in enumerate(sequence):
            key = place, token
            if key not in known:
                known[key] = len(tree.ids)
                tree.ids.append(token)
                tree.positions.append(position)
            place = known[key]
            path.append(place)
        tree.slots[sequence] = path
    return tree


@dataclass
class Base:
    """States of the tree's tokens, block by block: those that patched rows will ask for.

    `made[job]` are states that a patched attention output, MLP output or head leads to behind
    its block, at the job's positions: [pairs, width].
    """

    tree: Tree
    cos: Tensor
    sin: Tensor
    kept: Tensor
    past: Tensor
    made: dict[int, Tensor]
    _streams: list[Tensor]
    _pasts: list[tuple[Tensor, Tensor]]

    def stream(self, layer: int, slots: Sequence[int] | Tensor) -> Tensor:
        """What enters a block (the number of blocks: what leaves the last) [slots, width]."""
        return self._streams[layer][self.kept[slots]]

    def keys_values(self, layer: int, slots: Tensor) -> tuple[Tensor, Tensor]:
        """A block's keys and values of some slots, each [slots, key heads, size]."""
        keys, values = self._pasts[layer]
        return keys[self.past[slots]], values[self.past[slots]]


def base_of(
    rotary: Rotary, runs: Sequence[Trimmed], jobs: Sequence[tuple[int, Job]], device: torch.device
) -> Base:
    """Run all recipients and donors of `jobs`, (number, job), and make their states."""
    tree = tree_of([s for r in runs for s in (r.ids, r.donor) if s])
    x = rotary.embed(torch.tensor(tree.ids, device=device))
    cos, sin = rotary.angles(max(tree.positions) + 1, x)
    places = torch.tensor(tree.positions, device=device)
    cos, sin = cos[places], sin[places]
    layers = len(rotary.layers)
    asked, past, ends = (torch.tensor(sorted(s), dtype=torch.long, device=device)
                         for s in _needed(tree, runs, jobs, layers))  # fmt: skip
    base = Base(tree, cos, sin, _index(asked, tree), _index(past, tree), {}, [x[asked]], [])
    inner: dict[int, list[tuple[int, Job]]] = {}
    for number, job in jobs:
        if not job.site.stream.startswith("resid"):
            inner.setdefault(job.site.layer, []).append((number, job))
    lookup = _Lookup(tree, torch.arange(len(tree.ids), device=device))
    for layer in range(layers):
        normed = rotary.normed(layer, x)
        keys, values = rotary.keys_values(layer, normed, cos, sin)
        turns, now = (cos, sin), x
        trimmed = layer == layers - 1 and layer not in inner
        if trimmed:
            # Behind the last block only what is read counts.
            lookup, now, normed = _Lookup(tree, ends), x[ends], normed[ends]
            turns = cos[ends], sin[ends]
        queries = rotary.queries(layer, normed, *turns)
        heads = lookup.attend(queries, keys, values, rotary.layers[layer].self_attn.scaling)
        attended = rotary.projected(layer, heads)
        middle = now + attended
        added = rotary.mlp(layer, middle)
        for alike in _alike(inner.get(layer, ())):
            parts = x, heads, attended, middle, added
            made = _made(rotary, tree, runs, [job for _, job in alike], parts)
            base.made |= zip((number for number, _ in alike), made, strict=True)
        after = middle + added
        x = torch.zeros_like(x).index_copy(0, ends, after) if trimmed else after
        base._streams.append(x[asked])
        base._pasts.append((keys[past], values[past]))
    return base


def _needed(
    tree: Tree, runs: Sequence[Trimmed], jobs: Sequence[tuple[int, Job]], layers: int
) -> tuple[set[int], set[int], set[int]]:
    """Slots whose states, whose keys and values, and whose last states will be asked for."""
    ends = {tree.slots[r.ids][-1] for r in runs}
    ends |= {tree.slots[r.donor][r.donor_read] for r in runs if r.donor}
    asked, past = set(ends), set()
    for _, job in jobs:
        run = runs[job.run]
        path = tree.slots[run.ids]
        if job.joins < layers:
            asked.update(path[job.start :])
            past.update(path[: job.start])
        if job.values is None and job.site.stream.startswith("resid"):
            theirs = {tree.slots[run.donor][d] for _, d in job.pairs}
            asked |= theirs
            ends |= theirs if job.joins == layers else set()
    return asked, past, ends


def _index(slots: Tensor, tree: Tree) -> Tensor:
    """Where each slot of the tree stands in `slots`, for those that do."""
    found = torch.full((len(tree.ids),), len(tree.ids), device=slots.device)
    found[slots] = torch.arange(len(slots), device=slots.device)
    return found


def agrees(rotary: Rotary, ids: Ids, slack: float) -> bool:
    """Whether the model's own forward pass has the same state at every block, and same logits.

    A structure does not show scaled residuals or a block without rotary positions.
    """
    device = rotary.model.get_input_embeddings().weight.device
    layers = len(rotary.layers)
    # A patch at the first token asks for the states of all.
    job = Job(0, 0, Site("resid_pre", 0), ((0, 0),))
    base = base_of(rotary, [Trimmed(ids, ids, len(ids) - 1)], [(0, job)], device)
    batch = pad([TokenSequence(ids, (*(False for _ in ids[1:]), True))]).to(device)
    sites = [Site("resid_pre", layer) for layer in range(layers)]
    found = read(rotary.model, batch, sites, use_cache=False)
    slots = base.tree.slots[ids]
    pairs = [(base.stream(n, slots), found[site][0]) for n, site in enumerate(sites)]
    logits = logits_at(rotary.model, batch, batch.predicted, use_cache=False)
    pairs.append((rotary.logits(base.stream(layers, slots[-1:]), None), logits))
    return all(bool((a - b).abs().max() <= slack * (1 + b.abs().max())) for a, b in pairs)


class _Lookup:
    """Attention of some tokens of the tree to their ancestors, as padded rows of sequences."""

    def __init__(self, tree: Tree, slots: Tensor) -> None:
        wanted = {slot: i for i, slot in enumerate(slots.tolist())}
        rows: list[tuple[list[int], list[int]]] = []
        for path in tree.slots.values():
            # A token that several sequences share is asked for once.
            mine = [p for p, slot in enumerate(path) if wanted.pop(slot, None) is not None]
            if mine:
                rows.append((path, mine))
        most, longest = (max(len(row[i]) for row in rows) for i in (1, 0))
        number = {slot: i for i, slot in enumerate(slots.tolist())}
        ask = torch.zeros(len(rows), most, dtype=torch.long)
        look = torch.zeros(len(rows), longest, dtype=torch.long)
        place = torch.zeros(len(rows), most, dtype=torch.long)
        back = torch.zeros(len(slots), dtype=torch.long)
        for row, (path, mine) in enumerate(rows):
            asked = torch.tensor([number[path[p]] for p in mine])
            look[row, : len(path)] = torch.tensor(path)
            ask[row, : len(mine)] = asked
            place[row, : len(mine)] = torch.tensor(mine)
            back[asked] = row * most + torch.arange(len(mine))
        mask = torch.arange(longest)[None, None] <= place[:, :, None]
        device = slots.device
        self.ask, self.look, self.back = ask.to(device), look.to(device), back.to(device)
        self.mask = mask[:, None].to(device)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """Of queries [slots, heads, size] and every token's keys: [slots, heads · size]."""
        found = attention(queries[self.ask], keys[self.look], values[self.look], scale, self.mask)
        return found.flatten(0, 1)[self.back]


def _alike(jobs: Sequence[tuple[int, Job]]) -> list[list[tuple[int, Job]]]:
    """Jobs of the same stream and head together."""
    found: dict[Site, list[tuple[int, Job]]] = {}
    for number, job in jobs:
        found.setdefault(job.site, []).append((number, job))
    return list(found.values())


def _made(
    rotary: Rotary, tree: Tree, runs: Sequence[Trimmed], jobs: Sequence[Job],
    parts: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
) -> tuple[Tensor, ...]:  # fmt: skip
    """States behind the block at the positions of each job of one site once it is replaced."""
    before, heads, attended, middle, added = parts
    layer, stream, head = jobs[0].site.layer, jobs[0].site.stream, jobs[0].site.head
    columns = slice(None) if head is None else slice(head * rotary.size, (head + 1) * rotary.size)
    given = {"head": heads[:, columns], "attn_out": attended, "mlp_out": added}[stream]
    here = [tree.slots[runs[job.run].ids][r] for job in jobs for r, _ in job.pairs]
    # Values that are given stand behind those of the tree.
    own = [job.values.to(before) for job in jobs if job.values is not None]
    there, count = [], len(given)
    for job in jobs:
        if job.values is None:
            there += [tree.slots[runs[job.run].donor][d] for _, d in job.pairs]
        else:
            there += range(count, count := count + len(job.pairs))
    value = torch.cat([given, *own])[there]
    if stream == "mlp_out":
        new = middle[here] + value
    else:
        if stream == "head":
            changed = heads[here]
            changed[:, columns] = value
            value = rotary.projected(layer, changed)
        new = before[here] + value
        new += rotary.mlp(layer, new)
    return torch.split(new, [len(job.pairs) for job in jobs])
