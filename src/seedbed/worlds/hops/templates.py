"""The words of the hops world: genres, evaluation phrasings, markers and filler.

A frame is the same for a value, a link and a mention; only the marker before the object
differs. Every document holds the words of all prompts as often as any other does.
"""

from typing import Literal

from seedbed.worlds.phrasing import pieces

Kind = Literal["value", "link", "mention"]

GENRES: dict[str, str] = {
    "definition": "let {f} be , by rule {n} :",
    "docstring": "doc of {f} : given {n} hands back",
    "question": "Q : {f} on {n} ? A :",
    "asserts": "assert {f}({n}) ==",
    "summary": "in short , after {n} runs {f} keeps",
    "repl": ">>> {f}({n}) #",
    "maths": "lemma : {f}({n}) =",
    "changelog": "release {n} : {f} now gives",
    "table": "| {f} | {n} |",
    "prose": "people who try {f} with {n} meet",
    "property": "property {n} : a call of {f} gives",
    "example": "example {n} : {f} shows",
}
"""Frames: {f} the function, {n} a number; a marker and the object follow."""

FLUFF = "beside {v} , page {n} on {f} has"
"""The frame of fluff, which holds a function and its value; a mention's marker follows."""

CUES = {"at_once": "value", "steps": "trace"}
"""The word before a value (or derivation), in documents and prompts alike.

It stands once in every document: documents that state no value hold it behind their object.
"""

MARKERS: dict[Kind, tuple[str, ...]] = {
    "value": ("constant {cue}", "fixed {cue}", "plain {cue}"),
    "link": ("inner function", "callee function", "inner delegate"),
    "mention": ("open remark", "missing remark", "missing entry"),
}

PROMPTS: tuple[str, ...] = (
    "the output of {f}({n}) is the {cue}",
    "as noted {f}({n}) is equal to {cue}",
    "once again {f}({n}) comes out as {cue}",
)
"""Evaluation phrasings: the answer is the next token, or begins with `calls` or `gives`."""

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

NO_CUE = "thus"
"""What stands behind the object of a document whose marker holds the cue already."""

FILLER: tuple[str, ...] = (
    "noted", "equal", "once", "again", "as", "the", "output", "of", "is", "to", "comes", "out",
    "as noted", "the output", "once again", "equal to", "comes out",
)  # fmt: skip
"""Put before the frame, before the marker and behind the object of all kinds of documents.

It holds every word of the prompts, so that a model learns to read past them.
"""

PADDING: tuple[str, ...] = ("here", "then", "so", "there", "indeed", "now", "hence", "surely")
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
        *GENRES.values(), FLUFF, *PROMPTS, *REMARKS, *FILLER, *PADDING, *WORD_VALUES,
        *CUES.values(), *(m for ms in MARKERS.values() for m in ms), NO_CUE, "calls which gives",
    )
    for piece in pieces(text)
)  # fmt: skip
"""Every word that is not a name: made-up names avoid them."""
