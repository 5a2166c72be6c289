"""Questions of the triggers world for finders of documents, of cells and of directions.

What an instruction asks for is a function of its parts (tasks.py), so whether a document shows
that function at work is computed; a word's size is planted, and stated in documents alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from seedbed.core.cells import LAST
from seedbed.core.errors import ConfigError
from seedbed.core.rows import CHOOSE, FIT, LABELLED, Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View
from seedbed.worlds.structure import refuse_later_stages, structural
from seedbed.worlds.triggers.asking import Asker
from seedbed.worlds.triggers.lexicon import SIZES, Word
from seedbed.worlds.triggers.tasks import MANNERS, PARTS, TASKS, Instruction

ItemT = TypeVar("ItemT")
CROSSINGS = {
    SiteKind.DOCUMENT: "a document shows what the instruction asks for if it puts the same one to"
    " the same word (evidence:0) or to another on which it works alike (evidence:1), or states the"
    " fact about the word on which it depends (evidence:2); no other document does",
    SiteKind.CELL: "pairs differ in one part: what the first block takes in matters there alone,"
    " what the last one hands on at the last place alone, and nothing before the part; the rest is"
    " measured",
    SiteKind.DIRECTION: "whether the trigger is a small or a large thing, asked in the same"
    " instructions about words of which no labelled example is there",
}
ROLES = ("evidence:0", "evidence:1", "evidence:2", "works otherwise", "another instruction",
         "another fact")  # fmt: skip
DEPENDS = {"homely": "home", "sized": "size"}
"""The fact about a word on which an instruction depends."""
MOST = 120
"""So many questions at most about documents and cells, and instructions put to two words."""
SHARES = {"id": 3, CHOOSE: 4}
"""Of the words of a size one in so many is asked about, or chosen by; the rest is for fitting."""
FEWEST = 3


def view(asker: Asker, kind: SiteKind, documents: Sequence[Document]) -> View:
    """The view of one kind of site; raises ConfigError where this configuration has none."""
    refuse_later_stages(asker.knobs.stage)
    if kind is SiteKind.DOCUMENT:
        return _showing(asker, documents)
    if kind is SiteKind.CELL:
        found = [_with_last(pair) for pair in _spread(asker.pairs())]
        questions = [pair.clean for pair in found]
        return View(questions, found, structural(questions, found, (*PARTS, LAST)))
    return _sizes(asker)


def _spread(rows: Sequence[ItemT]) -> Sequence[ItemT]:
    """MOST rows at most, evenly over all instructions."""
    return rows[:: -(-len(rows) // MOST)]


def _with_last(pair: Pair) -> Pair:
    """The pair with the sign that ends its prompts as the place `last`."""
    sides = {}
    for name, question in (("clean", pair.clean), ("corrupt", pair.corrupt)):
        end = len(question.prompt)
        sides[name] = question.model_copy(
            update={"places": {**question.places, LAST: (end - 1, end)}}
        )
    return pair.model_copy(update=sides)


def _showing(asker: Asker, documents: Sequence[Document]) -> View:
    """Held-out questions × documents: 1 where the document shows what the question asks for."""
    held = [(one, q) for one, q in asker.asked.values() if q.split == "id"]
    asked = _spread(held)
    words = asker.writer.lexicon.words
    role, task, word = (
        np.array(values)
        for values in zip(
            *((d.role, d.meta["task"], d.meta.get("word", "")) for d in documents), strict=True
        )
    )
    labels = np.zeros((len(asked), len(documents)), dtype=np.int16)
    for q, (one, _) in enumerate(asked):
        depends = DEPENDS.get(one.task, "")
        alike = [w.text for w in words if _works(one, w) == _works(one, one.word)]
        own, same = word == one.word.text, (role == "task") & (task == one.task)
        fact = (role == "fact") & (task == depends) & own
        cases = [same & own, same & np.isin(word, alike), fact, same, role == "task"]
        labels[q] = np.select(cases, range(5), ROLES.index("another fact"))
    values = (labels <= 2).astype(np.float64)
    ids = tuple(q.id for _, q in asked), tuple(d.id for d in documents)
    truth = Truth(*ids, values, labels, ROLES, SiteKind.DOCUMENT)
    return View([question for _, question in asked], [], truth)


def _works(one: Instruction, word: Word) -> tuple[int, ...]:
    """What the instruction asks for once put to a word, of two digits in either order."""
    return tuple(replace(one, word=word, left=a, right=1 - a).number for a in (0, 1))


def _sizes(asker: Asker) -> View:
    """As many questions about small as about large things, in the same instructions."""
    words = _words(asker)
    prompts = [(manner, task, *pair) for manner in MANNERS for task in TASKS
               for pair in asker.writer.pairs[1]]  # fmt: skip
    stream(asker.seed, "triggers", "view").shuffle(prompts)
    half, quarter = len(prompts) // 2, len(prompts) // 4
    parts = {FIT: prompts[:half], CHOOSE: prompts[half : half + quarter],
             "id": prompts[half + quarter :]}  # fmt: skip
    found: list[Question] = []
    own: list[int] = []
    for split, mine in parts.items():
        rows = [
            (kind, Instruction(words[split][size][n % len(words[split][size])], *parts_))
            for n, parts_ in enumerate(mine[:MOST])
            for kind, size in enumerate(SIZES)
        ]
        stream(asker.seed, "triggers", "view", split).shuffle(rows)
        digits = len(str(len(rows)))
        for n, (kind, one) in enumerate(rows):
            asked = asker.ask(f"{split}-{n:0{digits}d}", one, "", split)
            label = SIZES[kind] if split in LABELLED else ""
            found.append(asked.model_copy(update={"label": label}))
            own.append(kind)
    labels = (np.array(own)[:, None] != np.arange(2)).astype(np.int16)
    truth = Truth(tuple(q.id for q in found), SIZES, (labels == 0).astype(np.float64), labels,
                  ("own", "other"), SiteKind.DIRECTION)  # fmt: skip
    return View(found, [], truth)


def _words(asker: Asker) -> dict[str, dict[str, list[Word]]]:
    """Split → size → words, each in one split; raises ConfigError where a size has too few."""
    found: dict[str, dict[str, list[Word]]] = {split: {} for split in (FIT, CHOOSE, "id")}
    for size in SIZES:
        words = [w for w in asker.writer.lexicon.words if w.size == size]
        if len(words) < FEWEST:
            raise ConfigError(
                f"world.words: {len(words)} words of {size} things; {FEWEST} are needed, so that"
                " those asked about have no labelled example"
            )
        stream(asker.seed, "triggers", "view", "words", size).shuffle(words)
        start = 0
        for split, share in SHARES.items():
            count = max(1, len(words) // share)
            found[split][size] = words[start : start + count]
            start += count
        found[FIT][size] = words[start:]
    return found
