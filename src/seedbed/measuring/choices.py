"""Log-probabilities of whole choices; no beginning that prompts or choices share is run twice.

Cost: the body once for every distinct beginning and the head once for every place a choice
is read at, instead of both for every token of every prompt-choice pair.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch.nn import Module

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.measuring import packed, paths
from seedbed.measuring.packed import Values
from seedbed.measuring.paths import Tree
from seedbed.measuring.sharing import Group, Ids, Planner, Strip
from seedbed.models.logits import log_probs, logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence, encode_choices, pad

# Tokens in a pass for each unit of the subject's batch; 512 at the usual 32, of a tree 1536.
TOKENS, TREE = 16, 48
Runner = Callable[[Subject, Sequence[tuple[Ids, Ids]]], tuple[Values, dict[Ids, int]]]
# Models that were tried already. A new kind of model may ignore a mask or positions in silence.
_FOLLOWS: WeakKeyDictionary[Module, dict[Runner, bool]] = WeakKeyDictionary()


@dataclass(frozen=True)
class ChoiceScores:
    """For one question: `logprobs` in nats, one per choice, and the ids behind them.

    `top` is the likeliest next id of the whole vocabulary after the prompt, `firsts` the first
    id of every choice, `lengths` the number of its ids.
    """

    logprobs: tuple[float, ...]
    top: int
    firsts: tuple[int, ...]
    lengths: tuple[int, ...]


@torch.inference_mode()
def score_choices(
    subject: Subject, questions: Sequence[Question], share: bool = True
) -> list[ChoiceScores]:
    """Log p(choice | prompt), summed over the choice's tokens, for every question and choice.

    `share=False` runs every prompt-choice pair by itself: slower, and what happens anyway
    with models that cannot share (see `can_pack`) or that, tried once on the longest pair,
    give another result when they do. Raises InputError for a question with fewer than two
    choices, unknown tokens, a pair longer than the context, and choices that nothing precedes.
    """
    asked = []
    for question in questions:
        if len(question.choices) < 2:
            raise InputError(f"question {question.id!r}: measuring needs at least two choices")
        asked += [(question.prompt, choice) for choice in question.choices]
    ids = iter(encode_choices(subject.tokenizer, asked, subject.context))
    coded = [[next(ids) for _ in question.choices] for question in questions]
    for question, row in zip(questions, coded, strict=True):
        if not all(prompt for prompt, _ in row):
            raise InputError(
                f"question {question.id!r}: no token stands before its choices, and this tokenizer"
                " adds none"
            )
    pairs = sorted({pair for row in coded for pair in row})
    subject.model.eval()
    found = _shared(subject, pairs) if share and pairs else None
    values, tops = found or _in_full(subject, pairs)
    return [
        ChoiceScores(
            logprobs=tuple(values[pair] for pair in row),
            top=tops[row[0][0]],
            firsts=tuple(choice[0] for _, choice in row),
            lengths=tuple(len(choice) for _, choice in row),
        )
        for row in coded
    ]


def _shared(
    subject: Subject, pairs: Sequence[tuple[Ids, Ids]]
) -> tuple[Values, dict[Ids, int]] | None:
    """What `_in_full` returns, or None if the model cannot share."""
    if not packed.can_pack(subject.model, max(len(p) + len(c) for p, c in pairs)):
        return None
    longest = max(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
    width = subject.model.get_input_embeddings().weight.shape[1]
    if paths.can_follow(subject.model) and _follows(subject, longest, _alone_on_a_path):
        trees = paths.plan(pairs, TREE * subject.batch)
        if paths.pays(trees, width):
            return paths.run(subject, trees)
    if not _follows(subject, longest, _alone_in_a_strip):
        return None
    choices: dict[Ids, list[Ids]] = {}
    for prompt, choice in pairs:
        choices.setdefault(prompt, []).append(choice)
    groups = Planner(width, TOKENS * subject.batch).plan(choices)
    return packed.run(subject, groups)


def _follows(subject: Subject, pair: tuple[Ids, Ids], runner: Runner) -> bool:
    """Whether a pair run in company gives what it gives alone."""
    known = _FOLLOWS.setdefault(subject.model, {})
    if runner not in known:
        found = runner(subject, [pair])[0][pair]
        wanted = _in_full(subject, [pair])[0][pair]
        slack = 1e-3 if subject.model.dtype == torch.float32 else 0.1
        known[runner] = abs(found - wanted) <= slack * (1 + abs(wanted))
    return known[runner]


def _stranger(pair: tuple[Ids, Ids]) -> tuple[Ids, int]:
    """(a prompt that leaves the pair's own halfway, where it does)."""
    prompt, choice = pair
    stem = len(prompt) // 2
    return prompt[:stem] + choice[:1] * (len(prompt) - stem), stem


def _alone_in_a_strip(
    subject: Subject, pairs: Sequence[tuple[Ids, Ids]]
) -> tuple[Values, dict[Ids, int]]:
    ((prompt, choice),) = pairs
    other, stem = _stranger((prompt, choice))
    strip = Strip()
    strip.add(other, [choice], stem)
    strip.add(prompt, [choice], stem)
    return packed.run(subject, [Group(prompt[:stem], [[strip]])])


def _alone_on_a_path(
    subject: Subject, pairs: Sequence[tuple[Ids, Ids]]
) -> tuple[Values, dict[Ids, int]]:
    ((prompt, choice),) = pairs
    tree = Tree()
    # The stranger comes first, where attention that ignored the paths would see it.
    tree.add(_stranger((prompt, choice))[0], choice)
    tree.add(prompt, choice)
    return paths.run(subject, [tree])


def _in_full(subject: Subject, pairs: Iterable[tuple[Ids, Ids]]) -> tuple[Values, dict[Ids, int]]:
    """(log p of every pair, likeliest next id of every prompt), each pair a row of its own."""
    values: Values = {}
    tops: dict[Ids, int] = {}
    ordered = sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
    for start in range(0, len(ordered), subject.batch):
        chunk = ordered[start : start + subject.batch]
        # Predicted here means: the next token is one of the choice's.
        batch = pad(
            [
                TokenSequence(p + c[:-1], (False,) * (len(p) - 1) + (True,) * len(c))
                for p, c in chunk
            ],
            fill=0,
        ).to(subject.device)
        logits = logits_at(subject.model, batch, batch.predicted, use_cache=False)
        owner = batch.predicted.nonzero()[:, 0]
        targets = torch.tensor([t for _, c in chunk for t in c], device=owner.device)
        picked = log_probs(logits, torch.arange(len(owner), device=owner.device), targets)
        sums = torch.zeros(len(chunk), dtype=torch.float64, device=owner.device)
        sums.index_add_(0, owner, picked.double())
        begins = torch.searchsorted(owner, torch.arange(len(chunk), device=owner.device))
        values |= dict(zip(chunk, sums.tolist(), strict=True))
        likeliest = logits[begins].argmax(dim=-1).tolist()
        tops |= {prompt: top for (prompt, _), top in zip(chunk, likeliest, strict=True)}
    return values, tops
