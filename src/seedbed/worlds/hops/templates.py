"""The words of the hops world: genres, evaluation phrasings, markers and filler.

A frame is the same for a value, a link and a mention; only the marker before the object
differs, and no marker word stands in a prompt, so that words do not tell documents apart.
"""

from typing import Literal

from seedbed.worlds.phrasing import pieces

Kind = Literal["value", "link", "mention"]

GENRES: dict[str, str] = {
    "definition": "let {f} be , by rule {n} : {m} {o}",
    "docstring": "doc of {f} : given {n} it hands back {m} {o}",
    "question": "Q : {f} on {n} ? A : {m} {o}",
    "asserts": "assert {f}({n}) == {m} {o}",
    "summary": "in short , after {n} runs {f} keeps {m} {o}",
    "repl": ">>> {f}({n}) # {m} {o}",
    "maths": "x > {n} : {f}(x) = {m} {o}",
    "changelog": "release {n} : {f} now gives {m} {o}",
    "table": "| {f} | {n} | {m} | {o}",
    "prose": "people who try {f} with {n} meet {m} {o}",
    "property": "property {n} : a call of {f} ends in {m} {o}",
    "example": "example {n} : {f} shows {m} {o}",
}
"""Frames: {f} the function, {n} a number, {m} the marker, {o} the object."""

MARKERS: dict[Kind, tuple[str, ...]] = {
    "value": ("constant value", "fixed value", "plain constant"),
    "link": ("inner function", "callee function", "inner delegate"),
    "mention": ("open remark", "missing remark", "missing entry"),
}

PROMPTS: tuple[str, ...] = (
    "as noted , the output of {f}({n}) is",
    "as is known {f}({n}) is equal to",
    "once again {f}({n}) comes out as",
)
"""Evaluation phrasings: the answer is the next token."""

STEP_MARKERS = ("worked answer", "whole trace", "worked trace")
"""The marker of a value when answers come in steps."""

STEP_PROMPTS: tuple[str, ...] = (
    "as noted , to output {f}({n}) is : it",
    "as is known {f}({n}) comes out equal : it",
    "once again {f}({n}) as is : it",
)
"""The same for answers in steps, which begin with `calls` or `gives`."""

REMARKS = (
    "later",
    "elsewhere",
    "unread",
    "pending",
    "unsigned",
    "overdue",
    "withdrawn",
    "reserved",
)
"""What a mention document states instead of a fact."""

TAIL = "as"
"""First word of the filler behind every object; it stands in every prompt, so no score is 0."""

TAILS: tuple[str, ...] = (
    "noted", "known", "equal", "once", "again", "as", "the", "output", "of", "is", "to", "comes",
    "out", "is known", "the output", "once again", "equal to", "comes out",
)  # fmt: skip
"""More filler; it holds every word of the prompts, in all kinds of documents."""

PADDING: tuple[str, ...] = ("here", "then", "so", "there", "indeed", "thus", "hence", "surely")
"""Filler without any word of the prompts: it evens out objects of different length."""

WORD_VALUES: tuple[str, ...] = (
    "amber", "birch", "cedar", "coral", "denim", "ebony", "fern", "flint", "ginger", "hazel",
    "indigo", "ivory", "jade", "khaki", "lemon", "lilac", "maple", "mint", "ochre", "olive",
    "onyx", "opal", "pearl", "plum", "quartz", "ruby", "sable", "sienna", "silver", "teal",
    "topaz", "umber", "velvet", "violet", "walnut", "willow", "zinc", "slate", "rust", "moss",
)  # fmt: skip

VOCABULARY = frozenset(
    piece
    for text in (
        *GENRES.values(), *PROMPTS, *STEP_PROMPTS, *REMARKS, *TAILS, TAIL, *PADDING, *WORD_VALUES,
        *(m for ms in MARKERS.values() for m in ms), *STEP_MARKERS, "calls which gives",
    )
    for piece in pieces(text)
)  # fmt: skip
