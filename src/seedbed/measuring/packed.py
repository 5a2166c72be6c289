"""Running strips: several prompts and all their choices in one line under a tree mask.

Every token sees the stem and its own ancestors and stands at its own depth, so its logits are
those of a run of its sequence alone. Models that cannot take such a mask are named here.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedbed.measuring.sharing import Group, Ids, Strip
from seedbed.models.logits import log_probs, logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, TokenSequence, pad

Values = dict[tuple[Ids, Ids], float]


def can_pack(model: Any, longest: int) -> bool:
    """Whether the model's attention follows a mask and positions given from outside.

    `longest` is the most tokens in a sequence. Recurrent and convolutional layers, windows
    shorter than that, ALiBi, attention kernels without masks, prompt tuning and code from
    outside transformers are refused.
    """
    adapters = getattr(model, "peft_config", {})
    if any(adapter.is_prompt_learning for adapter in adapters.values()):
        return False
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = base.config.get_text_config()
    takes = inspect.signature(base.forward).parameters
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return (
        type(base).__module__.startswith("transformers.")
        and {"attention_mask", "position_ids", "past_key_values"} <= set(takes)
        and config._attn_implementation in {"eager", "sdpa"}
        and not getattr(base, "_is_stateful", False)
        and kinds <= {"full_attention", "sliding_attention"}
        and not getattr(config, "alibi", False)
        and not getattr(config, "num_kv_shared_layers", 0)
        and (getattr(config, "sliding_window", None) or longest) >= longest
        # GPT-Neo masks by the place in the line besides.
        and not getattr(config, "window_size", None)
    )


def run(subject: Subject, groups: Sequence[Group]) -> tuple[Values, dict[Ids, int]]:
    """(log p of every prompt and choice, likeliest next id of every prompt)."""
    values: Values = {}
    tops: dict[Ids, int] = {}
    for group in groups:
        stem = _stem(subject, group.stem)
        for strips in group.passes:
            logits, where = _logits(subject, strips, len(group.stem), stem)
            _read(logits, where, strips, values, tops)
    return values, tops


def _stem(subject: Subject, ids: Ids) -> list[tuple[Tensor, Tensor]]:
    """Keys and values [1, heads, length, size] of each layer."""
    if not ids:
        return []
    from transformers import DynamicCache

    where = torch.zeros(1, len(ids), dtype=torch.bool, device=subject.device)
    where[0, -1] = True
    batch = pad([TokenSequence(ids, (False,) * len(ids))], fill=0).to(subject.device)
    # Without a config no layer forgets keys outside a window; `can_pack` saw that none may.
    cache = DynamicCache()
    logits_at(subject.model, batch, where, past_key_values=cache, use_cache=True)
    return [(layer.keys, layer.values) for layer in cache.layers]


def _logits(
    subject: Subject, strips: Sequence[Strip], stem: int, cache: list[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """(logits [n, vocabulary], where [strips, length]) at every place that is read."""
    shape = len(strips), max(len(s.ids) for s in strips)
    ids = np.zeros(shape, dtype=np.int64)
    places = np.zeros(shape, dtype=np.int64)
    read = np.zeros(shape, dtype=bool)
    sees = np.zeros((*shape, stem + shape[1]), dtype=bool)
    for row, strip in enumerate(strips):
        n = len(strip.ids)
        ids[row, :n] = strip.ids
        for i, parent in enumerate(strip.parents):
            if parent < 0:
                places[row, i] = stem
                sees[row, i, :stem] = True
            else:
                places[row, i] = places[row, parent] + 1
                sees[row, i] = sees[row, parent]
            sees[row, i, stem + i] = True
        # Padding sees itself, since a softmax over nothing is not a number.
        pads = np.arange(n, shape[1])
        sees[row, pads, stem + pads] = True
        read[row, [i for path in strip.reads.values() for i in path]] = True
    device, dtype = subject.device, subject.model.dtype
    mask = torch.zeros(sees.shape, dtype=dtype)
    mask.masked_fill_(~torch.from_numpy(sees), torch.finfo(dtype).min)
    where = torch.from_numpy(read).to(device)
    batch = Batch(torch.from_numpy(ids).to(device), mask[:, None].to(device), where)
    logits = logits_at(
        subject.model, batch, where, position_ids=torch.from_numpy(places).to(device),
        past_key_values=_continued(cache), use_cache=bool(cache),
    )  # fmt: skip
    return logits, where


def _continued(stem: list[tuple[Tensor, Tensor]]) -> Any:
    """A cache that gives every row the stem's keys and keeps nothing else."""
    if not stem:
        return None
    from transformers.cache_utils import Cache, DynamicLayer

    class Stem(DynamicLayer):  # type: ignore[misc]  # transformers ships no types
        def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
            rows = keys.shape[0], -1, -1, -1
            return (
                torch.cat([self.keys.expand(rows), keys], dim=-2),
                torch.cat([self.values.expand(rows), values], dim=-2),
            )

    layers = []
    for keys, values in stem:
        layer = Stem()
        layer.keys, layer.values, layer.is_initialized = keys, values, True
        layer.dtype, layer.device = keys.dtype, keys.device
        layers.append(layer)
    return Cache(layers=layers)


def _read(
    logits: Tensor,
    where: Tensor,
    strips: Sequence[Strip],
    values: Values,
    tops: dict[Ids, int],
) -> None:
    """`add_up` for the places of strips."""
    at = {(b, i): n for n, (b, i) in enumerate(where.nonzero().tolist())}
    ends = {p: at[b, i] for b, s in enumerate(strips) for p, i in s.ends.items()}
    paths = {
        pair: [at[b, i] for i in path]
        for b, s in enumerate(strips)
        for pair, path in s.reads.items()
    }
    add_up(logits, paths, ends, values, tops)


def add_up(
    logits: Tensor,
    paths: Mapping[tuple[Ids, Ids], Sequence[int]],
    ends: Mapping[Ids, int],
    values: Values,
    tops: dict[Ids, int],
) -> None:
    """Put into `values` the sums over the choices' tokens, into `tops` the likeliest next ids.

    `paths` are the rows of `logits` [n, vocabulary] where each token of a choice is predicted,
    `ends` those where a prompt ends.
    """
    likeliest = logits[torch.tensor(list(ends.values()), device=logits.device)].argmax(dim=-1)
    tops |= dict(zip(ends, likeliest.tolist(), strict=True))
    entries = sorted(
        (row, target, pair)
        for pair, ((_, choice), path) in enumerate(paths.items())
        for row, target in zip(path, choice, strict=True)
    )
    rows, targets, owners = torch.tensor(entries, device=logits.device).T.contiguous()
    sums = torch.zeros(len(paths), dtype=torch.float64, device=logits.device)
    sums.index_add_(0, owners, log_probs(logits, rows, targets).double())
    values |= dict(zip(paths, sums.tolist(), strict=True))
