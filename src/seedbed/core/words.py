"""words.json: what a subject answers in its own words beside what it gives the likeliest choice.

The form in which it travels from measuring to the report.
"""

from seedbed.core.rows import Row


class WordsSlice(Row):
    """One slice; every share comes with its 95 % Wilson interval.

    `choice_accuracy` goes by the likeliest choice, `accuracy` by the written answer, which is
    wrong where no choice could be read. `agreement` is the share of questions whose written
    answer is the likeliest choice. `unread` counts replies without a choice by what they were.
    """

    slice: str
    n: int
    choice_accuracy: float
    choice_low: float
    choice_high: float
    accuracy: float
    low: float
    high: float
    agreement: float
    agreement_low: float
    agreement_high: float
    unread: dict[str, int]


class Words(Row):
    """The whole of words.json: "all" first, then each split; replies had up to `most` tokens."""

    most: int
    slices: tuple[WordsSlice, ...]
