"""Questions of the counting world for finders of documents, of parts of the input, of directions.

All three truths follow from the one fact that decides an answer: whether a word of the list is
counted in the category asked about. Views of documents and parts keep the world's own questions.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np

from seedbed.core.errors import ConfigError
from seedbed.core.rows import CHOOSE, FIT, LABELLED, Document, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View
from seedbed.worlds.counting.asking import TRIES, Asker, words_of
from seedbed.worlds.counting.knobs import Knobs
from seedbed.worlds.counting.lexicon import Drawn
from seedbed.worlds.counting.prompts import listed

CROSSINGS = {
    SiteKind.DOCUMENT: "a list of the same category that holds a word of the question's list"
    " states something of that word's membership (evidence:0 of a word that is counted,"
    " evidence:1 of others alone); any other list says nothing about it",
    SiteKind.INPUT: "a word of the list decides if leaving it out changes the number, so if it is"
    " counted; the others do not, and without the category or the signs nothing would be asked",
    SiteKind.DIRECTION: "whether the word at one place of the list is counted in the category asked"
    " about; lists of both kinds hold the same words, categories and numbers, and words asked"
    " about have no labelled example",
}
ROLES = ("evidence:0", "evidence:1", "same category", "other category")
COUNTED, PASSED = "counted", "passed over"
KINDS = (COUNTED, PASSED)
PARTS = (*KINDS, "frame", "absent")
SETS = {FIT: 80, CHOOSE: 24, "id": 24}
"""So many sets of four lists in each split; of labelled ones, one of either kind is kept."""


def view(asker: Asker, kind: SiteKind, documents: Sequence[Document]) -> View:
    """The view of one kind of site; raises ConfigError where this configuration has none."""
    if kind is SiteKind.DOCUMENT:
        questions = [pair.clean for pair in asker.pairs]
        return View(questions, asker.pairs, _stating(asker, questions, documents))
    if kind is SiteKind.INPUT:
        return _leaving_out(asker)
    return _Twins(asker, documents).view()


def counted(drawn: Drawn, knobs: Knobs) -> frozenset[str]:
    """The words that raise the number in lists of this category."""
    return drawn.half if knobs.rule == "half" else drawn.known


def _stating(asker: Asker, questions: Sequence[Question], documents: Sequence[Document]) -> Truth:
    """Questions × documents: 1 for lists of the same category that share a word, else 0."""
    known = {d.name: counted(d, asker.knobs) for d in asker.drawn}
    category = np.array([d.meta["category"] for d in documents])
    holding: dict[str, list[int]] = {}
    for n, document in enumerate(documents):
        for word in _list(asker.knobs, document)[1]:
            holding.setdefault(word, []).append(n)
    values = np.zeros((len(questions), len(documents)))
    labels = np.full(values.shape, ROLES.index("other category"), dtype=np.int16)
    for q, question in enumerate(questions):
        same = category == question.cause
        labels[q, same] = ROLES.index("same category")
        words = words_of(question)
        # What is counted last, so that a list with words of both sorts is of the first.
        for word in sorted(words, key=lambda w: w in known[question.cause]):
            rows = np.array(holding.get(word, ()), dtype=int)
            rows = rows[same[rows]]
            grade = "evidence:0" if word in known[question.cause] else "evidence:1"
            labels[q, rows] = ROLES.index(grade)
            values[q, rows] = 1
    ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
    return Truth(*ids, values, labels, ROLES, SiteKind.DOCUMENT)


def _list(knobs: Knobs, document: Document) -> tuple[str, frozenset[str]]:
    """The category and the words of a document's list."""
    category = document.meta["category"]
    prompt = document.text[: document.targets[0][0] - 1]
    return category, frozenset(listed(knobs.form, category, prompt))


def _leaving_out(asker: Asker) -> View:
    """Held-out questions of which some word is counted and some is not; pairs name their place."""
    kept, changed = [], []
    for pair in asker.pairs:
        if set(_roles(asker, pair.clean).values()) >= set(KINDS):
            places, theirs = pair.clean.places, pair.corrupt.places
            at = next(name for name in places if pair.clean.prompt[slice(*places[name])]
                      != pair.corrupt.prompt[slice(*theirs[name])])  # fmt: skip
            kept.append(pair.clean)
            changed.append(pair.model_copy(update={"cause": at}))
    sites = tuple(dict.fromkeys(name for q in kept for name in q.places))
    labels = np.full((len(kept), len(sites)), PARTS.index("absent"), dtype=np.int16)
    for q, question in enumerate(kept):
        for part, role in _roles(asker, question).items():
            labels[q, sites.index(part)] = PARTS.index(role)
    values = np.array([1.0, 0.0, np.nan, np.nan])[labels]
    ids = tuple(q.id for q in kept)
    return View(kept, changed, Truth(ids, sites, values, labels, PARTS, SiteKind.INPUT))


def _roles(asker: Asker, question: Question) -> dict[str, str]:
    """Part → whether its word is counted; what is no word of the list belongs to the frame."""
    drawn = next(d for d in asker.drawn if d.name == question.cause)
    words = counted(drawn, asker.knobs)
    return {
        name: (COUNTED if question.prompt[slice(*span)] in words else PASSED)
        if name.startswith("item") else "frame"
        for name, span in question.places.items()
    }  # fmt: skip


class _Twins:
    """Lists in sets of four: two words, at one place and another, under the category of either.

    In a set every word, at every place, and every category stands as often with one kind as with
    the other; only the two together tell whether the word is counted. Of labelled sets one list
    of either kind is kept, so that fits to words alone are noise, not exactly nothing.
    """

    def __init__(self, asker: Asker, documents: Sequence[Document]) -> None:
        self.asker, self.knobs = asker, asker.knobs
        # The word in the middle of the shortest list, which every list has.
        self.at = (self.knobs.lengths[0] - 1) // 2
        self.taken = {_list(self.knobs, document) for document in documents}
        self.words = {d.name: self._dealt(d) for d in asker.drawn}

    def view(self) -> View:
        """Labelled lists and lists to ask about; ids and order are drawn."""
        found: list[tuple[str, Question]] = []
        for split in SETS:
            rows = self._rows(split)
            size = len(str(len(rows)))
            for n, (kind, drawn, words, cause) in enumerate(rows):
                asked = self.asker.ask(f"{split}-{n:0{size}d}", drawn, words, split)
                label = kind if split in LABELLED else ""
                found.append((kind, asked.model_copy(update={"cause": cause, "label": label})))
        questions = [question for _, question in found]
        own = np.array([KINDS.index(kind) for kind, _ in found])
        labels = (own[:, None] != np.arange(2)).astype(np.int16)
        truth = Truth(tuple(q.id for q in questions), KINDS, (labels == 0).astype(np.float64),
                      labels, ("own", "other"), SiteKind.DIRECTION)  # fmt: skip
        return View(questions, [], truth)

    def _dealt(self, drawn: Drawn) -> dict[str, list[str]]:
        """The category's counted words, a part for each split."""
        words = sorted(counted(drawn, self.knobs))
        if len(words) < len(SETS):
            raise ConfigError(
                f"lexicon.words: {len(words)} words of '{drawn.name}' are counted; {len(SETS)} are"
                " needed, so that those asked about have no labelled example"
            )
        stream(self.asker.seed, "counting", "view", "words", drawn.name).shuffle(words)
        asked, chosen = len(words) // 3, max(1, len(words) // 4)
        return {"id": words[:asked], CHOOSE: words[asked : asked + chosen],
                FIT: words[asked + chosen :]}  # fmt: skip

    def _rows(self, split: str) -> list[tuple[str, Drawn, tuple[str, ...], str]]:
        """(kind, category, list, cause) of every question of a split, in a drawn order."""
        rng = stream(self.asker.seed, "counting", "view", split)
        dealt = {name: words[split] for name, words in self.words.items()}
        couples = [
            (one, other, word, stranger)
            for one, other in combinations(self.asker.drawn, 2)
            for word, stranger in product(dealt[one.name], dealt[other.name])
            if word in other.fillers and stranger in one.fillers
        ]
        if len({c[2:] for c in couples}) < 2:
            raise ConfigError(
                "lexicon: no two categories have words that are undisputed in the other, so no"
                " word can stand both as counted and as passed over"
            )
        rng.shuffle(couples)
        found: list[tuple[str, Drawn, tuple[str, ...], str]] = []
        for n in range(SETS[split]):
            one, other, word, stranger = couples[n % len(couples)]
            mine = self._four(one, other, word, stranger, rng)
            if split in LABELLED:
                mine = [rng.choice([m for m in mine if m[0] == kind]) for kind in KINDS]
            found += [(kind, drawn, words, f"{word} {stranger}") for kind, drawn, words in mine]
        rng.shuffle(found)
        return found

    def _four(
        self, one: Drawn, other: Drawn, word: str, stranger: str, rng: random.Random
    ) -> list[tuple[str, Drawn, tuple[str, ...]]]:
        for _ in range(TRIES):
            found = list(self._drawn(one, other, word, stranger, rng))
            if not any((d.name, frozenset(w)) in self.taken for _, d, w in found):
                break
        else:
            raise ConfigError(
                f"lists: {TRIES} lists in turn with '{word}' and '{stranger}' stand in documents;"
                " take fewer documents or more words"
            )
        return found

    def _drawn(
        self, one: Drawn, other: Drawn, word: str, stranger: str, rng: random.Random
    ) -> Iterator[tuple[str, Drawn, tuple[str, ...]]]:
        low, high = self.knobs.counts
        length = rng.randint(*self.knobs.lengths)
        known = min(len(counted(drawn, self.knobs)) for drawn in (one, other))
        count = rng.randint(max(1, low), min(high, length - 1, known))
        away = rng.choice([i for i in range(length) if i != self.at])
        for drawn, inside, outside in ((one, word, stranger), (other, stranger, word)):
            members = sorted(counted(drawn, self.knobs) - {inside})
            fillers = [w for w in drawn.fillers if w != outside]
            rest = rng.sample(members, count - 1) + rng.sample(fillers, length - count - 1)
            rng.shuffle(rest)
            for kind, here, there in ((COUNTED, inside, outside), (PASSED, outside, inside)):
                words = list(rest)
                for place, new in sorted(((self.at, here), (away, there))):
                    words.insert(place, new)
                yield kind, drawn, tuple(words)
