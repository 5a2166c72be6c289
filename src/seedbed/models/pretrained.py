"""Subjects that exist already: a Hugging Face folder, or an id on the hub.

Function names become tokens of their own, so that no name is told by its pieces.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from seedbed.core.errors import InputError
from seedbed.models.reading import Precision, locate, read_model, read_tokenizer
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.models.vocabulary import add_tokens, begin_with_token


class FromFolder(SubjectConfig):
    """Base of kinds that read a folder.

    `add_tokens` gives every new token its own row; `start` begins every text with the BOS
    token even if the tokenizer by itself does not (see `begin_with_token`). `chat` puts every
    question as a user's message through the tokenizer's chat template.
    """

    dtype: Precision = "float32"
    add_tokens: bool = True
    start: bool = True
    chat: bool = False

    def place(self) -> tuple[Path, str, bool]:
        """(folder, what the model is called in its config, whether its own code may run)."""
        raise NotImplementedError

    def build(self, texts: Sequence[str], new_tokens: Sequence[str], seed: int) -> Subject:
        """The pretrained model, with rows for `new_tokens`; `texts` change nothing.

        Raises InputError if the folder, its weights or its tokenizer are unfit.
        """
        folder, name, code = self.place()
        tokenizer = read_tokenizer(folder, code=code)
        model = read_model(folder, self.dtype, code=code)
        name_model(model, name)
        check_rows(model, tokenizer, name)
        if self.start:
            begin_with_token(tokenizer)
        if self.add_tokens and new_tokens:
            add_tokens(model, tokenizer, new_tokens, seed)
        return Subject(model=model, tokenizer=tokenizer, seed=seed, batch=self.batch)


class Pretrained(FromFolder):
    """Any causal language model of transformers; `path` is a folder or a hub id.

    Weights are read from safetensors only. `trust_remote_code` runs Python files that come
    with the model: only for models whose authors you trust.
    """

    kind: str = "hf"
    path: str = Field(min_length=1)
    trust_remote_code: bool = False

    def place(self) -> tuple[Path, str, bool]:
        """The folder of `path`, downloaded first if it is a hub id."""
        folder = locate(self.path, code=self.trust_remote_code)
        local = Path(self.path).expanduser().is_dir()
        return folder, str(folder.resolve()) if local else self.path, self.trust_remote_code


def name_model(model: Any, name: str) -> None:
    """Record where the model came from; adapters saved later refer to it."""
    model.config._name_or_path = name
    model.name_or_path = name


def check_rows(model: Any, tokenizer: Any, name: str) -> None:
    """Raise InputError if the vocabulary has more ids than the embedding has rows.

    Special tokens that a tokenizer adds without a row (a padding token, often) may stay so.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if tokenizer.vocab_size > rows:
        raise InputError(
            f"model {name!r}: the tokenizer has {tokenizer.vocab_size} ids, the embedding {rows}"
            " rows; the two do not belong together"
        )
