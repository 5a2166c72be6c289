"""Running short prompts as one tree: each beginning once, each prompt attending to its own path.

All tokens of a tree stand in one line without padding, so everything but attention costs what
the distinct beginnings cost; attention gathers, for each prompt, the keys along its path.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seedbed.measuring.packed import Values, add_up
from seedbed.measuring.sharing import Ids
from seedbed.models.blocks import MLP, blocks_of
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch

NAME = "seedbed_paths"
# Keys gathered for each distinct token, by width of the model: more cost more than they save.
GATHERED = 1 / 40
# For each token of a pass: keys gathered for its prompts, and places read, at most.
KEYS, READS = 16, 0.25
# Rows of attention are made alike in length up to this, so that they are few and large.
ALIKE = 4


@dataclass
class Tree:
    """Prompts with their choices, in sorted order; ids and depths of the distinct beginnings.

    `rows` are (places along the path, how many of the last are first met here); `reads` holds
    for each prompt and choice the places at which the choice's tokens are predicted.
    """

    ids: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    rows: list[tuple[list[int], int]] = field(default_factory=list)
    reads: dict[tuple[Ids, Ids], list[int]] = field(default_factory=dict)
    read: set[int] = field(default_factory=set)
    keys: int = 0
    _last: Ids = ()
    _path: list[int] = field(default_factory=list)

    def add(self, prompt: Ids, choice: Ids) -> None:
        """Lay out what is new of a prompt and its choice after those before."""
        whole = prompt + choice[:-1]
        if whole != self._last:
            shared = _common(self._last, whole)
            fresh = range(len(self.ids), len(self.ids) + len(whole) - shared)
            self.ids += whole[shared:]
            self.depths += range(shared, len(whole))
            self._path = [*self._path[:shared], *fresh]
            self._last = whole
            self.rows.append((self._path, len(fresh)))
            self.keys += len(whole)
        self.reads[prompt, choice] = places = self._path[len(prompt) - 1 :]
        self.read.update(places)

    def full(self, tokens: int) -> bool:
        """Whether another pass should begin, one of about `tokens` tokens."""
        sizes = len(self.ids), self.keys / KEYS, len(self.read) / READS
        return max(sizes) >= tokens


@dataclass(frozen=True)
class Rows:
    """Rows of attention: the places that ask [rows, own], those along their paths [rows, keys]."""

    own: Tensor
    paths: Tensor
    mask: Tensor


_ROWS: ContextVar[list[Rows]] = ContextVar("rows")
_READ: ContextVar[Tensor] = ContextVar("read")


def plan(pairs: Sequence[tuple[Ids, Ids]], tokens: int) -> list[Tree]:
    """Trees of about `tokens` distinct tokens that cover every prompt and choice."""
    trees = [Tree()]
    for prompt, choice in sorted(pairs, key=lambda pair: pair[0] + pair[1][:-1]):
        if trees[-1].full(tokens):
            trees.append(Tree())
        trees[-1].add(prompt, choice)
    return trees


def pays(trees: Sequence[Tree], width: int) -> bool:
    """Whether gathering the keys is cheap beside running the tokens, in a model of `width`."""
    return sum(t.keys for t in trees) <= GATHERED * width * sum(len(t.ids) for t in trees)


def can_follow(model: Any) -> bool:
    """Whether another attention can be put into a model that `can_pack` accepts."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = base.config.get_text_config()
    return bool(base._supports_attention_backend) and config._attn_implementation == "sdpa"


def run(subject: Subject, trees: Sequence[Tree]) -> tuple[Values, dict[Ids, int]]:
    """(log p of every prompt and choice, likeliest next id of every prompt)."""
    values: Values = {}
    tops: dict[Ids, int] = {}
    with _attending(subject.model), _last_mlp_where_read(subject.model):
        for tree in trees:
            _ROWS.set(_rows(tree, subject.device))
            read = sorted(tree.read)
            _READ.set(torch.tensor(read, device=subject.device))
            where = torch.zeros(1, len(tree.ids), dtype=torch.bool)
            where[0, read] = True
            ids = torch.tensor([tree.ids])
            batch = Batch(ids, torch.ones_like(ids), where).to(subject.device)
            depths = torch.tensor([tree.depths], device=subject.device)
            logits = logits_at(
                subject.model, batch, batch.predicted, position_ids=depths, use_cache=False
            )
            at = {place: n for n, place in enumerate(read)}
            paths = {pair: [at[place] for place in places] for pair, places in tree.reads.items()}
            ends = {prompt: places[0] for (prompt, _), places in paths.items()}
            add_up(logits, paths, ends, values, tops)
    return values, tops


def _rows(tree: Tree, device: torch.device) -> list[Rows]:
    alike: dict[tuple[int, int], list[list[int]]] = {}
    for path, fresh in tree.rows:
        # Places met before may ask again: they find what they found.
        own = min(len(path), -(-fresh // ALIKE) * ALIKE)
        alike.setdefault((len(path), own), []).append(path)
    found = []
    for (length, own), paths in sorted(alike.items()):
        keys = torch.tensor(paths, device=device)
        mask = torch.ones(own, length, dtype=torch.bool, device=device).tril(length - own)
        found.append(Rows(keys[:, length - own :].contiguous(), keys, mask[None, None]))
    return found


@contextmanager
def _attending(model: Any) -> Iterator[None]:
    """Attention along paths, within."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, _attend)
    # The rows bring their own masks.
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = base.config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


@contextmanager
def _last_mlp_where_read(model: Any) -> Iterator[None]:
    """Within, the last block's MLP runs at the places that are read: no other looks at it."""
    blocks = blocks_of(model)
    last = blocks.modules[-1]
    found = next((getattr(last, name) for name in MLP if hasattr(last, name)), None)
    # What an earlier run of the block adds is looked at by the later ones.
    found = found if blocks.runs(len(blocks) - 1) == 1 else None
    sizes: list[int] = []

    def choose(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        sizes.append(args[0].shape[1])
        return (args[0].index_select(1, _READ.get()), *args[1:])

    def spread(_: Any, __: Any, output: Any) -> Any:
        length = sizes.pop()
        if not isinstance(output, Tensor):
            return output
        whole = output.new_zeros(1, length, *output.shape[2:])
        return whole.index_copy_(1, _READ.get(), output)

    handles = []
    if isinstance(found, nn.Module):
        handles = [found.register_forward_pre_hook(choose), found.register_forward_hook(spread)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, **options: Any
) -> tuple[Tensor, None]:
    """An attention for transformers, from [1, heads, tokens, size] to [1, tokens, heads, size]."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    out = q.new_empty(*q.shape[:2], v.shape[-1])
    for rows in _ROWS.get():
        sides = ((q, rows.own), (k, rows.paths), (v, rows.paths))
        parts = [x.index_select(0, at.flatten()).view(*at.shape, *x.shape[1:]) for x, at in sides]
        found, _ = sdpa_attention_forward(
            module, *(part.transpose(1, 2) for part in parts), rows.mask, **options
        )
        out.index_copy_(0, rows.own.flatten(), found.flatten(0, 1))
    return out[None], None


def _common(a: Ids, b: Ids) -> int:
    """Length of the common beginning; at least one token of `b` remains."""
    length = min(len(a), len(b) - 1)
    return next((i for i in range(length) if a[i] != b[i]), length)
