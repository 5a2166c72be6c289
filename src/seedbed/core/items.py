"""Multiple-choice items and how they are put: bare, with their options, behind worked examples.

An item knows its options under letters and a worked answer, which a question does not.
"""

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Literal

from pydantic import Field, model_validator

from seedbed.core.rows import Row

Prompt = Literal["bare", "options"]
Choices = Literal["texts", "letters"]
_ENDING = re.compile(r"\s*(?:so |thus |therefore,? )?the answer is[^.]*\.?\s*$", re.IGNORECASE)
Manner = Literal["letters", "texts", "open"]
"""How an answer is written: a letter, the text of an option shown, or without options."""
RIGHT: dict[Manner, str] = {"letters": "option", "texts": "option", "open": "answer"}
THOUGHT = "Let's think step by step."
HEADS: dict[Manner, str] = {"letters": "Question:", "texts": "Question:", "open": "Q:"}
"""What begins an item in a prompt of several; what a model writes from there on is no answer."""


class Item(Row):
    """A question with options, of which number `target` (from 0) is right.

    `score` in 0..1 says how much reasoning it takes; None: nobody scored it. `cot` is a worked
    answer, for few-shot prompts.
    """

    id: str
    question: str = Field(min_length=1)
    options: tuple[str, ...] = Field(min_length=2, max_length=len(ascii_uppercase))
    target: int
    category: str = ""
    cot: str = ""
    score: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _target_is_an_option(self) -> "Item":
        if not 0 <= self.target < len(self.options):
            last = len(self.options) - 1
            raise ValueError(f"target: {self.target} is none of the options, 0 to {last}")
        return self

    @property
    def answer(self) -> str:
        """The text of the right option."""
        return self.options[self.target]

    @property
    def letter(self) -> str:
        """The letter of the right option."""
        return ascii_uppercase[self.target]

    @property
    def letters(self) -> tuple[str, ...]:
        """A letter for each option."""
        return tuple(ascii_uppercase[: len(self.options)])

    @property
    def asks(self) -> str:
        """What is asked, so that two items that ask the same are known as such."""
        return " ".join(self.question.split()).casefold()


def bare(item: Item) -> str:
    """The question alone."""
    return f"Q: {item.question}\n\nA: "


def listed(item: Item) -> str:
    """The question and its options under letters, up to where an answer is written.

    The layout is that of MMLU-Pro's own prompts (arXiv 2406.01574).
    """
    options = zip(item.letters, item.options, strict=True)
    lines = "\n".join(f"{letter}. {option}" for letter, option in options)
    return f"{HEADS['letters']}\n{item.question}\nOptions:\n{lines}\nAnswer: "


def worked(item: Item, thought: bool, manner: Manner = "letters") -> str:
    """An item with its answer, as an example in a prompt; `thought` shows its `cot` too.

    What a stored `cot` says before and after the thought itself is put in the one form.
    """
    end = f"The answer is {f'({item.letter})' if manner == 'letters' else item.answer}."
    if not thought:
        return f"{_put(item, manner)}{end}"
    said = item.cot.removeprefix("A:").strip().removeprefix(THOUGHT).strip()
    return f"{_put(item, manner)}{THOUGHT} {_ENDING.sub('', said)} {end}"


def few_shot(
    item: Item, examples: Sequence[Item], thought: bool, manner: Manner = "letters"
) -> str:
    """A prompt of worked examples and the item, up to where its answer is written."""
    subject = f" about {item.category}" if item.category else ""
    ask = ("Think step by step and then finish" if thought else "Finish") + " your answer with"
    kind = "questions" if manner == "open" else "multiple choice questions"
    form, meant = ("(X)", "the letter of ") if manner == "letters" else ("X", "")
    head = f"The following are {kind}{subject}, with answers. {ask}"
    head += f' "The answer is {form}", where X is {meant}the right {RIGHT[manner]}.'
    last = f"{_put(item, manner)}{THOUGHT}" if thought else _put(item, manner).rstrip(" ")
    return "\n\n".join([head, *(worked(e, thought, manner) for e in examples), last])


def _put(item: Item, manner: Manner) -> str:
    return bare(item) if manner == "open" else listed(item)
