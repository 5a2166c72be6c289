"""How probable each of a closed list of answers is, as whole sequences of tokens.

"10" may be two tokens, and then whoever says "10" says "1" first: what goes on to a longer
answer is no vote for the shorter one.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import torch

from seedbed.core.errors import InputError
from seedbed.models.logits import log_probs, logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence, encode_choices

Ids = tuple[int, ...]
TokenT = TypeVar("TokenT", bound=Hashable)


def spellings(options: Sequence[str]) -> dict[str, str]:
    """Text → the option that it is: as it stands, or with a capital letter first."""
    capital = {option[:1].upper() + option[1:]: option for option in options}
    return {**capital, **{option: option for option in options}}


def apart(reached: Mapping[tuple[TokenT, ...], float]) -> dict[tuple[TokenT, ...], float]:
    """P(this sequence and no longer one of them) from P(begins with this sequence).

    Keys are sequences of tokens. From each, what goes on to the longer ones is taken away, so
    that the values are probabilities of disjoint events and sum to 1 at most.
    """
    found = dict(reached)
    # The longest first, each from the longest of those that it goes on from.
    for longer in sorted(reached, key=len, reverse=True):
        shorter = next(
            (longer[:n] for n in range(len(longer) - 1, 0, -1) if longer[:n] in reached), None
        )
        if shorter is not None:
            found[shorter] -= reached[longer]
    # Rounding alone can lead below 0.
    return {sequence: max(0.0, p) for sequence, p in found.items()}


def option_probs(
    subject: Subject, asked: Sequence[tuple[str, Sequence[str]]]
) -> list[dict[str, float] | str]:
    """P(option | prompt) of each (prompt, options), or why there is none, in words.

    Probabilities of whole answers in any of their `spellings`, not normalised: their sum is the
    mass that the model puts on the options. The text of the prompt is used as it stands.
    """
    coded = [_coded(subject, prompt, options) for prompt, options in asked]
    pairs = {(prompt, ids): None for one in coded if not isinstance(one, str)
             for prompt, ids in one}  # fmt: skip
    known = sequence_logprobs(subject, list(pairs))
    found: list[dict[str, float] | str] = []
    for one, (_, options) in zip(coded, asked, strict=True):
        if isinstance(one, str):
            found.append(one)
            continue
        # A prompt and an answer may share a token, so prompts of one question can differ.
        whole = {prompt + ids: (prompt, ids) for prompt, ids in one}
        least = min(len(prompt) for prompt, _ in one)
        reached = {w[least:]: math.exp(known[pair]) for w, pair in whole.items()}
        alone = apart(reached)
        shares = dict.fromkeys(options, 0.0)
        for w, pair in whole.items():
            shares[one[pair]] += alone[w[least:]]
        found.append(shares)
    return found


def _coded(
    subject: Subject, prompt: str, options: Sequence[str]
) -> dict[tuple[Ids, Ids], str] | str:
    """(prompt ids, ids of a spelling) → its option, or what stands against it."""

    def encoded(texts: Iterable[str]) -> list[tuple[Ids, Ids]]:
        asked = [(prompt, text) for text in texts]
        return encode_choices(subject.tokenizer, asked, subject.context)

    spelt = spellings(options)
    try:
        pairs = encoded(spelt)
    except InputError:
        # A vocabulary of whole words may hold no capital letter.
        spelt = {option: option for option in options}
        try:
            pairs = encoded(spelt)
        except InputError as error:
            return str(error)
    found: dict[tuple[Ids, Ids], str] = {}
    for option, pair in zip(spelt.values(), pairs, strict=True):
        if not pair[0]:
            return "no token stands before the options, and this tokenizer adds none"
        if found.setdefault(pair, option) != option:
            return f"the tokenizer cannot tell {found[pair]!r} from {option!r}"
    return found


@torch.inference_mode()
def sequence_logprobs(
    subject: Subject, pairs: Sequence[tuple[Ids, Ids]]
) -> dict[tuple[Ids, Ids], float]:
    """Log p (nats) of the second sequence after the first, of each pair.

    What begins another sequence is not run by itself: ten one-token answers cost one pass over
    their prompt.
    """
    subject.model.eval()
    rows = _rows(pairs)
    order = list(rows)
    sequences = []
    for ids, read in rows.items():
        places = {i for prompt, answer in read
                  for i in range(len(prompt) - 1, len(prompt) + len(answer) - 1)}  # fmt: skip
        sequences.append(TokenSequence(ids, tuple(i in places for i in range(len(ids)))))
    found: dict[tuple[Ids, Ids], float] = {}
    for index, batch in subject.batches(sequences):
        logits = logits_at(subject.model, batch, batch.predicted, use_cache=False)
        at = {place: n for n, place in enumerate(map(tuple, batch.predicted.nonzero().tolist()))}
        mine = [(pair, row) for row, i in enumerate(index) for pair in rows[order[i]]]
        entries = sorted(
            (at[row, len(prompt) - 1 + k], token, n)
            for n, ((prompt, answer), row) in enumerate(mine)
            for k, token in enumerate(answer)
        )
        where, targets, owners = torch.tensor(entries, device=logits.device).T.contiguous()
        sums = torch.zeros(len(mine), dtype=torch.float64, device=logits.device)
        sums.index_add_(0, owners, log_probs(logits, where, targets).double())
        found |= {pair: value for (pair, _), value in zip(mine, sums.tolist(), strict=True)}
    return found


def _rows(pairs: Sequence[tuple[Ids, Ids]]) -> dict[Ids, list[tuple[Ids, Ids]]]:
    """What has to be run → the pairs that are read there."""
    found: dict[Ids, list[tuple[Ids, Ids]]] = {}
    last: Ids = ()
    # Backwards in sorted order a sequence stands right after those that it begins.
    for whole, pair in sorted(((p + a[:-1], (p, a)) for p, a in set(pairs)), reverse=True):
        last = last if last[: len(whole)] == whole else whole
        found.setdefault(last, []).append(pair)
    return found
