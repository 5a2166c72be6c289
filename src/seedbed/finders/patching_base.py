"""Unpatched runs of a Llama-like model, kept block by block for patched rows to start from.

Sequences form a tree of tokens: a beginning that several share, such as that of a pair's two
prompts, is run once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seedbed.finders.patching_plan import Ids, Job, Trimmed
from seedbed.models.rotary import Rotary, attention


@dataclass(frozen=True)
class Tree:
    """Different tokens in their contexts, parents first: ids and positions, each [tokens].

    `slots[sequence]` are a sequence's tokens, root first; `own[sequence]` counts those that
    no earlier sequence has.
    """

    ids: list[int]
    positions: list[int]
    slots: dict[Ids, list[int]]
    own: dict[Ids, int]


def tree_of(sequences: Sequence[Ids]) -> Tree:
    """The tree of all sequences, in order of appearance."""
    tree = Tree([], [], {}, {})
    known: dict[tuple[int, int], int] = {}
    for sequence in dict.fromkeys(sequences):
        place, path, before = -1, [], len(tree.ids)
        for position, token in enumerate(sequence):
            key = place, token
            if key not in known:
                known[key] = len(tree.ids)
                tree.ids.append(token)
                tree.positions.append(position)
            place = known[key]
            path.append(place)
        tree.slots[sequence] = path
        tree.own[sequence] = len(tree.ids) - before
    return tree


@dataclass
class Base:
    """Streams of the tree's tokens: `stream[l]` [tokens, width] enters block l (the last entry
    leaves the last block), `keys[l]` and `values[l]` [tokens, key heads, size] are block l's.

    `made[job]` are states that a patched attention output, MLP output or head leads to behind
    its block, at the job's positions: [pairs, width].
    """

    tree: Tree
    cos: Tensor
    sin: Tensor
    stream: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    made: dict[int, Tensor]


def base_of(
    rotary: Rotary, runs: Sequence[Trimmed], jobs: Sequence[tuple[int, Job]], device: torch.device
) -> Base:
    """Run all recipients and donors of `jobs`, (number, job), and make their states."""
    tree = tree_of([s for r in runs for s in (r.ids, r.donor) if s])
    x = rotary.embed(torch.tensor(tree.ids, device=device))
    cos, sin = rotary.angles(max(tree.positions) + 1, x)
    places = torch.tensor(tree.positions, device=device)
    cos, sin = cos[places], sin[places]
    base = Base(tree, cos, sin, [x], [], [], {})
    lookup = _Lookup(tree, device)
    inner: dict[int, list[tuple[int, Job]]] = {}
    for number, job in jobs:
        if not job.site.stream.startswith("resid"):
            inner.setdefault(job.site.layer, []).append((number, job))
    for layer in range(len(rotary.layers)):
        normed = rotary.normed(layer, x)
        keys, values = rotary.keys_values(layer, normed, cos, sin)
        queries = rotary.queries(layer, normed, cos, sin)
        scale = rotary.layers[layer].self_attn.scaling
        heads = lookup.attend(queries, keys, values, scale)
        attended = rotary.projected(layer, heads)
        middle = x + attended
        added = rotary.mlp(layer, middle)
        for number, job in inner.get(layer, ()):
            parts = x, heads, attended, middle, added
            base.made[number] = _made(rotary, tree, runs[job.run], job, parts)
        x = middle + added
        base.stream.append(x)
        base.keys.append(keys)
        base.values.append(values)
    return base


class _Lookup:
    """Attention of every token to its ancestors: sequences as padded rows over the tree."""

    def __init__(self, tree: Tree, device: torch.device) -> None:
        rows = [s for s in tree.slots if tree.own[s]]
        most = max(tree.own[s] for s in rows)
        longest = max(map(len, rows))
        ask = torch.zeros(len(rows), most, dtype=torch.long)
        look = torch.zeros(len(rows), longest, dtype=torch.long)
        place = torch.zeros(len(rows), most, dtype=torch.long)
        back = torch.zeros(len(tree.ids), dtype=torch.long)
        for row, sequence in enumerate(rows):
            slots, own = torch.tensor(tree.slots[sequence]), tree.own[sequence]
            look[row, : len(slots)] = slots
            ask[row, :own] = slots[len(slots) - own :]
            place[row, :own] = torch.arange(len(slots) - own, len(slots))
            back[slots[len(slots) - own :]] = row * most + torch.arange(own)
        mask = torch.arange(longest)[None, None] <= place[:, :, None]
        self.ask, self.look, self.back = ask.to(device), look.to(device), back.to(device)
        self.mask = mask[:, None].to(device)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        found = attention(queries[self.ask], keys[self.look], values[self.look], scale, self.mask)
        return found.flatten(0, 1)[self.back]


def _made(
    rotary: Rotary, tree: Tree, run: Trimmed, job: Job,
    parts: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
) -> Tensor:  # fmt: skip
    """States behind the block at the job's positions once its part is replaced there."""
    before, heads, attended, middle, added = parts
    here = [tree.slots[run.ids][r] for r, _ in job.pairs]
    layer, stream, head = job.site.layer, job.site.stream, job.site.head
    columns = slice(None) if head is None else slice(head * rotary.size, (head + 1) * rotary.size)
    if job.values is not None:
        value = job.values.to(before)
    else:
        there = [tree.slots[run.donor][d] for _, d in job.pairs]
        value = {"head": heads[there][:, columns], "attn_out": attended[there],
                 "mlp_out": added[there]}[stream]  # fmt: skip
    if stream == "mlp_out":
        return middle[here] + value
    if stream == "head":
        changed = heads[here].clone()
        changed[:, columns] = value
        value = rotary.projected(layer, changed)
    new = before[here] + value
    return new + rotary.mlp(layer, new)
