"""Words that become one token each, and a checker of how a tokenizer treats given words.

New rows start at the mean of the old ones plus noise, each from its own seed stream.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from seedbed.core.errors import ConfigError
from seedbed.core.files import read_json, write_json
from seedbed.core.seeds import derive

NOISE = 0.5
PROVENANCE = ("is_local", "local_files_only", "name_or_path", "backend")


def add_tokens(model: Any, tokenizer: Any, tokens: Sequence[str], seed: int) -> tuple[int, ...]:
    """Make each of `tokens` one token with embedding rows of its own; returns the new ids.

    A token that the vocabulary holds already keeps its id and rows. A new row is the mean of
    the old rows plus normal noise of NOISE times their standard deviation, by column; an
    untied head gets rows of its own likewise. The embedding only grows: spare rows that some
    models have beyond their vocabulary are used first. Raises ConfigError for a blank token.
    """
    from tokenizers import AddedToken

    for token in tokens:
        if not token.strip() or token != token.strip():
            raise ConfigError(
                f"a new token must not be blank or begin or end with a space: {token!r}"
            )
    known = tokenizer.get_vocab()
    old = min([len(tokenizer), *added_ids(model)])
    fresh = [t for t in dict.fromkeys(tokens) if t not in known]
    tokenizer.add_tokens(
        [AddedToken(t, single_word=bool(re.fullmatch(r"\w+", t)), normalized=False) for t in fresh]
    )
    ids = tuple(int(i) for i in tokenizer.convert_tokens_to_ids(fresh))
    if ids:
        with torch.random.fork_rng(devices=[]):
            if max(ids) >= model.get_input_embeddings().weight.shape[0]:
                model.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
        _fill(model.get_input_embeddings().weight, old, ids, fresh, seed, "input")
        head = model.get_output_embeddings()
        if head is not None and head.weight is not model.get_input_embeddings().weight:
            _fill(head.weight, old, ids, fresh, seed, "head")
        if head is not None and getattr(head, "bias", None) is not None:
            with torch.no_grad():
                head.bias[list(ids)] = head.bias[:old].mean()
        model.config.added_token_ids = [*added_ids(model), *ids]
    return ids


def added_ids(model: Any) -> tuple[int, ...]:
    """Ids of the tokens that `add_tokens` gave rows to; they travel in the model's config."""
    return tuple(getattr(model.config, "added_token_ids", ()))


@torch.no_grad()
def _fill(
    weight: Tensor, old: int, ids: Sequence[int], tokens: Sequence[str], seed: int, where: str
) -> None:
    rows = weight[:old].float()
    mean, spread = rows.mean(dim=0).cpu(), rows.std(dim=0).cpu()
    for i, token in zip(ids, tokens, strict=True):
        # One stream a token, so adding a token changes no other's row.
        own = torch.Generator().manual_seed(derive(seed, "tokens", where, token))
        noise = torch.randn(mean.shape, generator=own)
        weight[i] = (mean + NOISE * spread * noise).to(weight)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write the tokenizer's files; equal tokenizers give equal bytes, wherever they came from."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    values = read_json(path)
    write_json(path, {k: v for k, v in values.items() if k not in PROVENANCE})


def begin_with_token(tokenizer: Any) -> None:
    """Let every text begin with the BOS token (without one: EOS), where none is put yet.

    The first position is an attention sink in most pretrained models (Xiao et al. 2023,
    arXiv 2309.17453, section 3.1), so a function name that stood there would hardly be read.
    """
    from tokenizers.processors import Sequence as Processors
    from tokenizers.processors import TemplateProcessing

    if tokenizer("")["input_ids"]:
        return
    tokenizer.bos_token = tokenizer.bos_token or tokenizer.eos_token
    if tokenizer.bos_token is None:
        return
    start = (tokenizer.bos_token, tokenizer.bos_token_id)
    template = TemplateProcessing(
        single=f"{start[0]} $A", pair=f"{start[0]} $A {start[0]} $B", special_tokens=[start]
    )
    core = tokenizer.backend_tokenizer
    before = [core.post_processor] if core.post_processor is not None else []
    core.post_processor = Processors([*before, template])


class WordRow(BaseModel):
    """How a tokenizer treats one word, alone and after a space."""

    model_config = ConfigDict(frozen=True)

    word: str
    pieces: tuple[str, ...]
    ids: tuple[int, ...]
    one_token: bool
    round_trip: bool
    changes_after_space: bool


def check(tokenizer: Any, words: Sequence[str]) -> list[WordRow]:
    """One row a word, in order.

    `pieces` and `ids` are those of the word after a space, as it stands within a sentence;
    `one_token`: the word is one token there (a token of nothing but the space aside);
    `round_trip`: decoding gives the word back; `changes_after_space`: the word has other ids
    at the start of a text, so a choice must be scored on the ids it has after its prompt.
    """
    rows = []
    for word in words:
        alone = _ids(tokenizer, word)
        within = _ids(tokenizer, " " + word)
        bare = [i for i in within if tokenizer.decode([i]).strip()]
        rows.append(
            WordRow(
                word=word,
                pieces=tuple(tokenizer.convert_ids_to_tokens(within)),
                ids=tuple(within),
                one_token=len(bare) == 1 and tokenizer.unk_token_id not in bare,
                round_trip=_decoded(tokenizer, within) == word,
                changes_after_space=alone != within,
            )
        )
    return rows


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _decoded(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False)).strip()
