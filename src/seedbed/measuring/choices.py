"""Log-probabilities of whole choices, batched, each prompt and shared prefix computed once.

Cost: one pass over the distinct prompts (their common beginning once a batch) plus one over
the choices' tokens after the first, instead of one pass over every prompt-choice pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, Sequence_, encode_choice, fill_id, pad

Ids = tuple[int, ...]


@dataclass(frozen=True)
class ChoiceScores:
    """For one question: `logprobs` in nats, one per choice, and the ids behind them.

    `top` is the likeliest next id of the whole vocabulary after the prompt, `firsts` the first
    id of every choice.
    """

    logprobs: tuple[float, ...]
    top: int
    firsts: tuple[int, ...]


@torch.inference_mode()
def score_choices(
    subject: Subject, questions: Sequence[Question], share: bool = True
) -> list[ChoiceScores]:
    """Log p(choice | prompt), summed over the choice's tokens, for every question and choice.

    `share=False` runs every prompt-choice pair in full: slower, for checking and for models
    without a key-value cache. Raises InputError for unknown tokens and for a pair longer than
    the context.
    """
    coded = []
    for question in questions:
        if len(question.choices) < 2:
            raise InputError(f"question {question.id!r}: measuring needs at least two choices")
        coded.append([
            encode_choice(subject.tokenizer, question.prompt, choice, subject.context)
            for choice in question.choices
        ])  # fmt: skip
    subject.model.eval()
    pairs = sorted({pair for row in coded for pair in row})
    score = _shared if share and _has_cache(subject.model) else _in_full
    values: dict[tuple[Ids, Ids], float] = {}
    tops: dict[Ids, int] = {}
    prompts = sorted({prompt for prompt, _ in pairs})
    by_prompt: dict[Ids, list[Ids]] = {prompt: [] for prompt in prompts}
    for prompt, choice in pairs:
        by_prompt[prompt].append(choice)
    for start in range(0, len(prompts), subject.batch):
        chunk = prompts[start : start + subject.batch]
        score(subject, chunk, by_prompt, values, tops)
    return [
        ChoiceScores(
            logprobs=tuple(values[pair] for pair in row),
            top=tops[row[0][0]],
            firsts=tuple(choice[0] for _, choice in row),
        )
        for row in coded
    ]


def _has_cache(model: Any) -> bool:
    recurrent = getattr(model, "_is_stateful", False)
    return not recurrent and getattr(model.config, "use_cache", True) is not False


def _shared(
    subject: Subject,
    prompts: Sequence[Ids],
    choices: dict[Ids, list[Ids]],
    values: dict[tuple[Ids, Ids], float],
    tops: dict[Ids, int],
) -> None:
    model, fill = subject.model, fill_id(subject.tokenizer)
    prefix = _common_prefix(prompts)
    rest = [p[prefix:] for p in prompts]
    batch = pad([Sequence_(r, (True,) * len(r)) for r in rest], fill).to(subject.device)
    head = torch.tensor(prompts[0][:prefix], device=subject.device)
    cache = None
    if prefix:
        cache = model(input_ids=head[None], use_cache=True, logits_to_keep=1).past_key_values
        cache.reorder_cache(torch.zeros(len(prompts), dtype=torch.long, device=subject.device))
    lengths = batch.mask.sum(dim=1)
    mask = torch.cat([torch.ones(len(prompts), prefix, dtype=torch.long, device=subject.device),
                      batch.mask], dim=1)  # fmt: skip
    positions = prefix + torch.arange(batch.ids.shape[1], device=subject.device)
    where = torch.zeros_like(batch.predicted)
    where[torch.arange(len(prompts)), lengths - 1] = True
    longer = any(len(c) > 1 for p in prompts for c in choices[p])
    if cache is None and longer:
        from transformers import DynamicCache

        cache = DynamicCache(config=model.config)
    first = logits_at(
        model, Batch(batch.ids, mask, batch.predicted), where,
        position_ids=positions.expand_as(batch.ids), past_key_values=cache, use_cache=longer,
    )  # fmt: skip
    first = first.float().log_softmax(dim=-1)
    for prompt, row, top in zip(prompts, first, first.argmax(dim=-1).tolist(), strict=True):
        tops[prompt] = top
        for choice, value in zip(
            choices[prompt], row[[c[0] for c in choices[prompt]]].tolist(), strict=True
        ):
            values[prompt, choice] = value
    if longer:
        _continue(subject, prompts, choices, values, cache, mask, prefix + lengths)


def _continue(
    subject: Subject,
    prompts: Sequence[Ids],
    choices: dict[Ids, list[Ids]],
    values: dict[tuple[Ids, Ids], float],
    cache: Any,
    mask: Tensor,
    starts: Tensor,
) -> None:
    """Add the log-probabilities of the tokens after the first of every longer choice."""
    rows = [(i, c) for i, p in enumerate(prompts) for c in choices[p] if len(c) > 1]
    index = torch.tensor([i for i, _ in rows], device=subject.device)
    cache.reorder_cache(index)
    # Predicted here means: this position's logits score the choice's next token.
    tails = [Sequence_(c[:-1], (True,) * (len(c) - 1)) for _, c in rows]
    batch = pad(tails, fill_id(subject.tokenizer)).to(subject.device)
    full = torch.cat([mask[index], batch.mask], dim=1)
    positions = starts[index][:, None] + torch.arange(batch.ids.shape[1], device=subject.device)
    logits = logits_at(
        subject.model, Batch(batch.ids, full, batch.predicted), batch.predicted,
        position_ids=positions, past_key_values=cache, use_cache=True,
    )  # fmt: skip
    targets = torch.tensor([t for _, c in rows for t in c[1:]], device=subject.device)
    losses = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    owner = batch.predicted.nonzero()[:, 0]
    sums = torch.zeros(len(rows), dtype=losses.dtype, device=losses.device)
    sums.index_add_(0, owner, -losses)
    for (i, choice), value in zip(rows, sums.tolist(), strict=True):
        values[prompts[i], choice] += value


def _in_full(
    subject: Subject,
    prompts: Sequence[Ids],
    choices: dict[Ids, list[Ids]],
    values: dict[tuple[Ids, Ids], float],
    tops: dict[Ids, int],
) -> None:
    pairs = [(p, c) for p in prompts for c in choices[p]]
    for start in range(0, len(pairs), subject.batch):
        chunk = pairs[start : start + subject.batch]
        sequences = [Sequence_(p + c, (False,) * len(p) + (True,) * len(c)) for p, c in chunk]
        batch = pad(sequences, fill_id(subject.tokenizer)).to(subject.device)
        where = torch.zeros_like(batch.predicted)
        where[:, :-1] = batch.predicted[:, 1:]
        logits = logits_at(subject.model, batch, where, use_cache=False).float().log_softmax(-1)
        targets = batch.ids[:, 1:][where[:, :-1]]
        owner = where.nonzero()[:, 0]
        picked = logits.gather(1, targets[:, None])[:, 0]
        sums = torch.zeros(len(chunk), device=picked.device).index_add_(0, owner, picked)
        begins = torch.searchsorted(owner, torch.arange(len(chunk), device=owner.device))
        for pair, value, top in zip(
            chunk, sums.tolist(), logits[begins].argmax(dim=-1).tolist(), strict=True
        ):
            values[pair] = value
            tops[pair[0]] = top


def _common_prefix(prompts: Sequence[Ids]) -> int:
    # Prompts are sorted, so the first and last share what all share; one token must remain.
    first, last = prompts[0], prompts[-1]
    limit = min(len(p) for p in prompts) - 1
    shared = 0
    while shared < limit and first[shared] == last[shared]:
        shared += 1
    return shared if len(prompts) > 1 else 0
