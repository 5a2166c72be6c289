"""Questions of the recall world for finders of documents, of cells and of parts of the input.

A stored answer is stated by documents; a procedure is shown by all of them and by none alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from seedbed.core.cells import LAST
from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View
from seedbed.worlds.recall.answering import Content, answered, others
from seedbed.worlds.recall.asking import Asker
from seedbed.worlds.recall.exceptions import ExceptionsForm
from seedbed.worlds.recall.gate import GateForm
from seedbed.worlds.recall.knobs import STORED
from seedbed.worlds.structure import structural

CROSSINGS = {
    SiteKind.DOCUMENT: "of a question whose answer is stored, the documents that state that answer;"
    " nobody knows of those with the same two context words. Computed questions are not asked: no"
    " document alone shows a procedure",
    SiteKind.CELL: "pairs differ in the word that makes a stored question a computed one: what the"
    " first block takes in matters at that word alone, what the last one hands on at the last place"
    " alone, and nothing before the word; the rest is measured",
    SiteKind.INPUT: "the words of which another one of their sort alone changes the answer; the"
    " word that ends every prompt never does",
}
STATES, CONTEXT, OTHER, UNRELATED = "states", "same context", "other answer", "unrelated"
ROLES = (STATES, CONTEXT, OTHER, UNRELATED)
VALUES = (1.0, np.nan, 0.0, 0.0)
DECIDES, IDLE, UNKNOWN = "decides", "idle", "unknown"
END, FINAL = "end", "back0"
"""The word that ends a prompt: one that all share, or the last map of form iterated."""


def view(asker: Asker, kind: SiteKind, documents: Sequence[Document]) -> View:
    """The view of one kind of site; raises ConfigError where no question of it can be asked."""
    if kind is SiteKind.DOCUMENT:
        return _stated(asker, documents)
    form = asker.form
    if kind is SiteKind.CELL:
        pairs = [_ended(pair, LAST) for pair in asker.pairs()]
        questions = [pair.clean for pair in pairs]
        return View(questions, pairs, structural(questions, pairs, (*form.places, LAST)))
    end = END if form.closed else FINAL
    pairs = [
        _ended(p, end).model_copy(update={"cause": p.clean.slices["differs"]})
        for p in asker.pairs()
    ]
    return _deciding(asker, [p.clean for p in pairs], pairs)


def words_of(asker: Asker, text: str) -> Content:
    """The content of a prompt, or of a document up to its answer."""
    words = text.split()
    return tuple(words[1:-1] if asker.form.closed else words[1:])


def fact_of(asker: Asker, content: Content) -> Content:
    """The part of a content under which an answer is stored: a pair, a triple or a name."""
    if isinstance(asker.form, GateForm):
        return content[2:]
    return content[1:] if isinstance(asker.form, ExceptionsForm) else content[:2]


def _stated(asker: Asker, documents: Sequence[Document]) -> View:
    facts: dict[Content, list[int]] = {}
    contexts: dict[Content, list[int]] = {}
    stored = np.array([d.role == STORED for d in documents], dtype=bool)
    for i, document in enumerate(documents):
        content = words_of(asker, document.text.rsplit(" ", 1)[0])
        facts.setdefault(fact_of(asker, content), []).append(i)
        contexts.setdefault(content[:2], []).append(i)
    asked, rows = [], []
    for question in (q for _, q in asker.asked):
        if question.split != "id" or question.slices["kind"] != STORED:
            continue
        content = words_of(asker, question.prompt)
        labels = np.full(len(documents), ROLES.index(UNRELATED), dtype=np.int16)
        if isinstance(asker.form, GateForm):
            labels[contexts.get(content[:2], [])] = ROLES.index(CONTEXT)
        same = np.array(facts.get(fact_of(asker, content), []), dtype=int)
        labels[same] = np.where(stored[same], ROLES.index(STATES), ROLES.index(OTHER))
        if (labels == ROLES.index(STATES)).any():
            asked.append(question)
            rows.append(labels)
    if not asked:
        raise ConfigError("lines: no document states an answer that is asked for")
    labels = np.stack(rows)
    truth = Truth(tuple(q.id for q in asked), tuple(d.id for d in documents),
                  np.array(VALUES)[labels], labels, ROLES)  # fmt: skip
    return View(asked, [], truth)


def _ended(pair: Pair, end: str) -> Pair:
    """The pair with the last word of its prompts as a place called `end`."""
    sides = {name: _with_end(side, end) for name, side in
             (("clean", pair.clean), ("corrupt", pair.corrupt))}  # fmt: skip
    return pair.model_copy(update=sides)


def _with_end(question: Question, end: str) -> Question:
    span = question.prompt.rindex(" ") + 1, len(question.prompt)
    return question.model_copy(update={"places": {**question.places, end: span}})


def _deciding(asker: Asker, questions: Sequence[Question], pairs: Sequence[Pair]) -> View:
    """Questions × parts: 1 iff another word of its sort at the part alone changes the answer.

    0 if none does, NaN if none does whose answer is known but for some nobody knows it. Questions
    of which every known part decides are left out: they have nothing to be told from.
    """
    sites = tuple(questions[0].places)
    rows = [_parts_of(asker, question) for question in questions]
    values = np.array([[row[site] for site in sites] for row in rows])
    kept = [i for i, row in enumerate(values) if (row == 0).any() and (row == 1).any()]
    if not kept:
        raise ConfigError(f"form: in {asker.knobs.form} every word of a question decides")
    values = values[kept]
    labels = np.where(np.isnan(values), 2, np.where(values == 1, 0, 1)).astype(np.int16)
    asked = [questions[i] for i in kept]
    truth = Truth(tuple(q.id for q in asked), sites, values, labels, (DECIDES, IDLE, UNKNOWN),
                  SiteKind.INPUT)  # fmt: skip
    mine = set(truth.questions)
    return View(asked, [p for p in pairs if p.clean.id in mine], truth)


def _parts_of(asker: Asker, question: Question) -> Mapping[str, float]:
    content = words_of(asker, question.prompt)
    own = answered(asker.form, content)
    found = {}
    for i, place in enumerate(question.places):
        if i == len(content):
            # The word that all prompts end with: there is no other.
            found[place] = 0.0
            continue
        changed = [answered(asker.form, (*content[:i], word, *content[i + 1 :]))
                   for word in others(asker.form, content, i)]  # fmt: skip
        differs = any(answer not in (own, None) for answer in changed)
        found[place] = 1.0 if differs else np.nan if None in changed else 0.0
    return found
