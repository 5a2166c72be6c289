"""Text to token ids: the only place where documents, prompts and choices are tokenised.

A prompt and a choice are tokenised together and split at their common prefix, so that a
choice is scored on the ids the model would really see after that prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.core.rows import Document

Loss = Literal["text", "answer"]


@dataclass(frozen=True)
class TokenSequence:
    """Token ids and, for each, whether the loss asks the model to predict it.

    The first token is never predicted.
    """

    ids: tuple[int, ...]
    predicted: tuple[bool, ...]

    def needed(self) -> "TokenSequence":
        """Up to the last predicted token: all that a causal model's loss depends on."""
        end = max((i + 1 for i, p in enumerate(self.predicted) if p), default=1)
        return TokenSequence(self.ids[:end], self.predicted[:end])


@dataclass(frozen=True)
class Batch:
    """Right-padded tensors, each [rows, length]: ids, attention mask (1 = real), predicted."""

    ids: Tensor
    mask: Tensor
    predicted: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        return Batch(self.ids.to(device), self.mask.to(device), self.predicted.to(device))


def encode_document(tokenizer: Any, document: Document, loss: Loss, context: int) -> TokenSequence:
    """Tokenise a training document; under `answer` only tokens that touch a target span count.

    Raises InputError if the document holds an unknown token, is longer than `context` tokens,
    or has no target span under `loss="answer"`.
    """
    coded = tokenizer(document.text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = coded["input_ids"], coded["offset_mapping"]
    _refuse_unknown(tokenizer, ids, offsets, document.text, f"document {document.id!r}")
    if loss == "text":
        predicted = [True] * len(ids)
    else:
        if not document.targets:
            raise InputError(f"document {document.id!r}: has no targets, which loss 'answer' needs")
        predicted = [
            any(start < e and s < end for s, e in document.targets) and end > start
            for start, end in offsets
        ]
    lead = _lead(tokenizer, ids)
    ids, predicted = lead + ids, [False] * len(lead) + predicted
    if len(ids) > context:
        raise InputError(
            f"document {document.id!r}: {len(ids)} tokens, but the model's context is {context}"
        )
    predicted[0] = False
    return TokenSequence(tuple(ids), tuple(predicted))


def encode_choice(
    tokenizer: Any, prompt: str, choice: str, context: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(prompt ids, choice ids): `encode_choices` of one pair."""
    return encode_choices(tokenizer, [(prompt, choice)], context)[0]


def encode_choices(
    tokenizer: Any, pairs: Sequence[tuple[str, str]], context: int
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(prompt ids, choice ids) of each (prompt, choice), all tokenised in one go.

    Spaces at the end of a prompt belong to the choice; without any, one space is put between,
    unless either brings a line break. The split stands at the longest common prefix of the
    prompt's ids and the whole's ids, so a tokenizer that merges across the border is scored on
    what it really produces. Raises InputError for an unknown token and for a pair longer than
    `context` tokens.
    """
    if not pairs:
        return []
    heads = {prompt: prompt.rstrip(" ") for prompt, _ in pairs}
    wholes = [joined(prompt, choice) for prompt, choice in pairs]
    parts = dict(zip(heads, _ids(tokenizer, list(heads.values())), strict=True))
    lead = _lead(tokenizer, [])
    # Asked for once: each of these is looked up anew in the tokenizer's tables.
    unknown, bos = tokenizer.unk_token_id, tokenizer.bos_token_id
    found = []
    for (prompt, choice), text, whole in zip(pairs, wholes, _ids(tokenizer, wholes), strict=True):
        if unknown in whole:
            coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            offsets = coded["offset_mapping"]
            _refuse_unknown(tokenizer, whole, offsets, text, f"{prompt!r} + {choice!r}")
        part = parts[prompt]
        split = min(len(part), len(whole) - 1)
        if part[:split] != whole[:split]:
            split = next(i for i in range(split) if part[i] != whole[i])
        first = lead if whole[:1] != [bos] else []
        if len(first) + len(whole) > context:
            raise InputError(
                f"{prompt!r} + {choice!r}: {len(first) + len(whole)} tokens, but the model's"
                f" context is {context}"
            )
        found.append((tuple(first + whole[:split]), tuple(whole[split:])))
    return found


def joined(prompt: str, choice: str) -> str:
    """The text of a prompt and the choice after it, as `encode_choices` tokenises it."""
    head = prompt.rstrip(" ")
    spaces = prompt[len(head) :]
    # A chat template ends with a line break, after which nobody writes a space.
    broken = head.endswith("\n") or choice.startswith((" ", "\n"))
    return head + (spaces or ("" if broken else " ")) + choice


def encode_prompts(tokenizer: Any, prompts: Sequence[str]) -> list[tuple[int, ...]]:
    """Token ids of prompts that something is written after, as `encode_choices` reads them.

    Spaces at their end are left off, since they belong to what follows. Raises InputError for
    an unknown token and for a prompt without tokens.
    """
    heads = [prompt.rstrip(" ") for prompt in prompts]
    found = []
    for prompt, head, ids in zip(prompts, heads, _ids(tokenizer, heads), strict=True):
        if tokenizer.unk_token_id in ids:
            offsets = tokenizer(head, add_special_tokens=False, return_offsets_mapping=True)
            _refuse_unknown(tokenizer, ids, offsets["offset_mapping"], head, repr(prompt))
        whole = _lead(tokenizer, ids) + ids
        if not whole:
            raise InputError(f"prompt {prompt!r}: has no token, and this tokenizer adds none")
        found.append(tuple(whole))
    return found


def _ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    core = getattr(tokenizer, "backend_tokenizer", None)
    if core is not None and core.padding is None and core.truncation is None:
        # Without offsets and the wrapping of each text, a quarter of the time is saved.
        return [e.ids for e in core.encode_batch_fast(texts, add_special_tokens=False)]
    coded = tokenizer(texts, add_special_tokens=False, return_attention_mask=False)
    ids: list[list[int]] = coded["input_ids"]
    return ids


def _lead(tokenizer: Any, ids: list[int]) -> list[int]:
    # A chat template writes the BOS token into the text, where a second one would harm.
    if ids[:1] == [tokenizer.bos_token_id]:
        return []
    return [i for i in tokenizer("")["input_ids"] if i == tokenizer.bos_token_id]


def readable(tokenizer: Any, texts: Sequence[str]) -> list[bool]:
    """Whether the tokenizer knows every token of each text; without an unknown token it does."""
    unknown = _unknown(tokenizer)
    if unknown is None or not texts:
        return [True] * len(texts)
    return [unknown not in ids for ids in _ids(tokenizer, list(texts))]


def _unknown(tokenizer: Any) -> int | None:
    """The id of what is not known, unless it also means something else."""
    unknown: int | None = tokenizer.unk_token_id
    shared = unknown in (tokenizer.bos_token_id, tokenizer.eos_token_id)
    return None if shared else unknown


def _refuse_unknown(
    tokenizer: Any, ids: list[int], offsets: list[tuple[int, int]], text: str, where: str
) -> None:
    unknown = _unknown(tokenizer)
    if unknown is None:
        return
    for token, (start, end) in zip(ids, offsets, strict=True):
        if token == unknown:
            raise InputError(f"{where}: the tokenizer does not know {text[start:end]!r}")


def pad(sequences: Sequence[TokenSequence], fill: int = 0, length: int | None = None) -> Batch:
    """Pad on the right to the longest sequence (or `length`).

    What is filled in is masked and never matters; a tokenizer's padding id may lie outside
    the model's embedding, 0 never does.
    """
    width = length or max(len(s.ids) for s in sequences)
    ids = torch.full((len(sequences), width), fill, dtype=torch.long)
    mask = torch.zeros((len(sequences), width), dtype=torch.long)
    predicted = torch.zeros((len(sequences), width), dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        n = len(sequence.ids)
        ids[row, :n] = torch.tensor(sequence.ids)
        mask[row, :n] = 1
        predicted[row, :n] = torch.tensor(sequence.predicted)
    return Batch(ids, mask, predicted)
