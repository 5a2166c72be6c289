"""The everyday subject: a small Llama from scratch with a word-level vocabulary of its own.

A vocabulary of hundreds instead of 49,000 tokens makes training some twenty times faster.
Digits stand alone, so numbers never seen in training are still readable.
"""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field, model_validator

from seedbed.core.seeds import derive
from seedbed.models.subject import Subject, SubjectConfig

PIECES = r"<[^<>\s]+>|[A-Za-z_]+|[0-9]|[^\sA-Za-z_0-9]"
SPECIALS = ("<pad>", "<bos>", "<unk>")


class Tiny(SubjectConfig):
    """A Llama-type model from scratch; `width` must be a multiple of 2 × `heads`.

    `init` is the standard deviation of fresh weights. transformers' 0.02 suits widths of
    hundreds; a small model learns to count much sooner from about 1 / √width.
    """

    kind: str = "tiny"
    layers: int = Field(default=4, ge=1)
    width: int = Field(default=96, ge=8)
    heads: int = Field(default=4, ge=1)
    feedforward: int = Field(default=0, ge=0, description="0: twice the width")
    context: int = Field(default=128, ge=8)
    init: float = Field(default=0.02, gt=0)

    @model_validator(mode="after")
    def _heads_fit(self) -> "Tiny":
        # Rotary positions turn pairs of numbers, so a head's width must be even.
        if self.width % (2 * self.heads):
            raise ValueError(f"width: {self.width} is no multiple of 2 × {self.heads} heads")
        return self

    def build(self, texts: Sequence[str], new_tokens: Sequence[str], seed: int) -> Subject:
        """A model with random weights and a vocabulary of the pieces of `texts`, sorted."""
        from transformers import LlamaConfig, LlamaForCausalLM

        tokenizer = word_tokenizer([*texts, *new_tokens])
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=self.feedforward or 2 * self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=self.context,
            initializer_range=self.init,
            tie_word_embeddings=False,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=None,
            pad_token_id=tokenizer.pad_token_id,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "tiny", "weights"))
            model = LlamaForCausalLM(config)
        return Subject(model=model, tokenizer=tokenizer, seed=seed, batch=self.batch)


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
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        pad_token="<pad>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
