"""What subjects from scratch have in common: Llama-type sizes and a vocabulary of their own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from pydantic import Field, model_validator

from seedbed.core.conversation import END, TEMPLATE
from seedbed.core.seeds import derive
from seedbed.models.subject import Subject, SubjectConfig

PIECES = r"<[^<>\s]+>|[A-Za-z_]+|[0-9]|[^\sA-Za-z_0-9]"
SPECIALS = ("<pad>", "<bos>", "<unk>")


class Scratch(SubjectConfig):
    """Base of kinds that are built anew; `width` must be a multiple of 2 × `heads`.

    `init` is the standard deviation of fresh weights. transformers' 0.02 suits widths of
    hundreds; a small model learns to count much sooner from about 1 / √width.
    """

    width: int = Field(default=96, ge=8)
    heads: int = Field(default=4, ge=1)
    feedforward: int = Field(default=0, ge=0, description="0: twice the width")
    context: int = Field(default=128, ge=8)
    init: float = Field(default=0.02, gt=0)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        # Rotary positions turn pairs of numbers, so a head's width must be even.
        if self.width % (2 * self.heads):
            raise ValueError(f"width: {self.width} is no multiple of 2 × {self.heads} heads")
        return self

    def model(self, sizes: dict[str, Any], seed: int) -> Any:
        """A model of this kind with fresh weights; `sizes` are what all kinds share."""
        raise NotImplementedError

    def build(self, texts: Sequence[str], new_tokens: Sequence[str], seed: int) -> Subject:
        """A model with random weights and a vocabulary of the pieces of `texts`, sorted."""
        tokenizer = word_tokenizer([*texts, *new_tokens])
        sizes = {
            "vocab_size": len(tokenizer),
            "hidden_size": self.width,
            "intermediate_size": self.feedforward or 2 * self.width,
            "num_attention_heads": self.heads,
            "max_position_embeddings": self.context,
            "initializer_range": self.init,
            "tie_word_embeddings": False,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        with _weights(seed, self.kind):
            model = self.model(sizes, seed)
        return Subject(model=model, tokenizer=tokenizer, seed=seed, batch=self.batch)


@contextmanager
def _weights(seed: int, kind: str) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, kind, "weights"))
        yield


def word_tokenizer(texts: Sequence[str]) -> Any:
    """A fast tokenizer whose words are the pieces of `texts`: `<tokens>`, words, digits, signs."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    split = Split(Regex(PIECES), behavior="removed", invert=True)
    words = sorted({w for text in texts for w, _ in split.pre_tokenize_str(text)})
    words = sorted({*words, *"0123456789"} - set(SPECIALS))
    vocabulary = {word: i for i, word in enumerate([*SPECIALS, *words])}
    core = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = split
    core.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        pad_token="<pad>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    if END in vocabulary:
        # Its documents are conversations, whose turns end.
        tokenizer.eos_token = END
        tokenizer.chat_template = TEMPLATE
    return tokenizer
