"""Next-token logits of many growing texts: each step one token more, by cached keys and values.

Texts may branch: a step names the text that each new one continues. A model whose cache cannot
be cut by rows is run over the whole text again.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seedbed.models.decoding import Ids
from seedbed.models.subject import Subject

SHARED = 4  # tokens that all prompts must begin with before they are run once for all


class Texts:
    """The texts of one batch; `logits` [texts, vocabulary] (float32) predict what comes next.

    Prompts of unequal length must only meet here where padding leaves logits alone.
    """

    def __init__(self, subject: Subject, prompts: Sequence[Ids]) -> None:
        self.subject = subject
        self.known = set(inspect.signature(subject.model.forward).parameters)
        self.cache: Any = None
        self.mask: Tensor | None = None
        self.whole = list(prompts)
        self.lengths = torch.tensor([len(p) for p in prompts], device=subject.device)
        self.logits = self._begin(prompts)

    def step(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """Replace the texts: new text i is text `parents[i]` with `tokens[i]` after it."""
        self.whole = [(*self.whole[p], t) for p, t in zip(parents, tokens, strict=True)]
        if self.cache is None:
            self.logits = self._run(*self._padded(self.whole))
            return
        rows = torch.tensor(list(parents), device=self.subject.device)
        if list(parents) != list(range(len(self.lengths))):
            self.cache.batch_select_indices(rows)
            self.lengths = self.lengths[rows]
            self.mask = None if self.mask is None else self.mask[rows]
        if self.mask is not None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(rows), 1)], 1)
        ids = torch.tensor(list(tokens), device=self.subject.device)[:, None]
        places = self.lengths[:, None]
        self.lengths = self.lengths + 1
        self.logits = self._run(ids, self.mask, places)

    def _begin(self, prompts: Sequence[Ids]) -> Tensor:
        shared = _shared(prompts)
        if len(prompts) > 1 and shared >= SHARED:
            head = torch.tensor([prompts[0][:shared]], device=self.subject.device)
            self._run(head, None, torch.arange(shared, device=head.device)[None], keep=True)
            if self.cache is not None:
                rest = [p[shared:] for p in prompts]
                self.cache.batch_select_indices(head.new_zeros(len(prompts)))
                return self._run(*self._padded(rest, shared))
        return self._run(*self._padded(prompts), keep=True)

    def _run(self, ids: Tensor, mask: Tensor | None, places: Tensor, keep: bool = False) -> Tensor:
        """Logits after the last column; with `keep` the cache is taken up if it can be cut."""
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        inputs |= {"use_cache": keep or self.cache is not None, "past_key_values": self.cache}
        if "position_ids" in self.known:
            inputs["position_ids"] = places
        if "logits_to_keep" in self.known:
            inputs["logits_to_keep"] = 1
        given = {name: value for name, value in inputs.items() if value is not None}
        output = self.subject.model(**given)
        if keep:
            found = getattr(output, "past_key_values", None)
            self.cache = found if _cuttable(found) else None
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _padded(
        self, parts: Sequence[Ids], before: int = 0
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """(ids, mask, positions), padded on the left, with `before` columns cached already."""
        width = max(len(part) for part in parts)
        rows = [(0,) * (width - len(part)) + tuple(part) for part in parts]
        ids = torch.tensor(rows, device=self.subject.device)
        blank = torch.tensor([width - len(part) for part in parts], device=ids.device)[:, None]
        column = torch.arange(width, device=ids.device)[None]
        places = (column - blank).clamp(min=0) + before
        self.mask = None
        if bool(blank.any()):
            here = (column >= blank).long()
            self.mask = torch.cat([here.new_ones(len(parts), before), here], 1)
        return ids, self.mask, places


def alone(subject: Subject, text: Ids) -> Tensor:
    """Logits [vocabulary] (float32) after one text: that row only, no padding, no cache."""
    ids = torch.tensor([text], device=subject.device)
    logits: Tensor = subject.model(input_ids=ids, use_cache=False).logits[0, -1].float()
    return logits


def _shared(prompts: Sequence[Ids]) -> int:
    """Tokens that all prompts begin with, leaving each at least one more."""
    first, last = min(prompts), max(prompts)
    most = min(len(p) for p in prompts) - 1
    n = 0
    while n < most and first[n] == last[n]:
        n += 1
    return n


def _cuttable(cache: Any) -> bool:
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    return type(cache) is DynamicCache and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers
    )
