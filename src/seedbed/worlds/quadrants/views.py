"""Questions of the quadrants world for finders of documents, of cells and of directions.

What a line states is the label of its category in its region; which map a word's category has is
planted, and no word with a labelled example is asked about.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seedbed.core.errors import ConfigError
from seedbed.core.rows import CHOOSE, FIT, LABELLED, Document, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View
from seedbed.worlds.quadrants.asking import Asker, Case
from seedbed.worlds.quadrants.cells import nested
from seedbed.worlds.quadrants.pairing import pairs
from seedbed.worlds.quadrants.writing import place_names
from seedbed.worlds.structure import refuse_later_stages

CROSSINGS = {
    SiteKind.DOCUMENT: "a line about a point of the same region states the question's label if it"
    " is about the same word (evidence:0) or another of its category (evidence:1); what says to"
    " which category a word belongs is unknown, any other line states another label",
    SiteKind.CELL: "pairs differ in one number or in the word: what the first block takes in"
    " matters there alone, what the last one hands on at the last place alone, and nothing before"
    " the change; the rest is measured",
    SiteKind.DIRECTION: "which of two label maps the word's category has; each point is asked about"
    " under both, and no word with a labelled example is asked about",
}
ROLES = ("evidence:0", "evidence:1", "same map", "another region", "another map", "supporting",
         "isa")  # fmt: skip
MOST = 120
"""So many questions at most, about documents and cells, and points under two maps."""
SHARES = {"id": 3, CHOOSE: 4}
"""Of the words of a map one in so many is asked about, or chosen by; the rest is for fitting."""
FEWEST = 3


def view(asker: Asker, kind: SiteKind, documents: Sequence[Document]) -> View:
    """The view of one kind of site; raises ConfigError where this configuration has none."""
    refuse_later_stages(asker.knobs.stage)
    if kind is SiteKind.DOCUMENT:
        held = [one.question for one in asker.placed if one.question.split == "id"][:MOST]
        return View(held, [], _stating(asker, held, documents))
    if kind is SiteKind.CELL:
        found = pairs(asker)[:MOST]
        questions = [pair.clean for pair in found]
        places = place_names(asker.knobs.plane, asker.knobs.distractor is not None)
        return View(questions, found, nested(questions, found, places))
    return _maps(asker)


def _stating(asker: Asker, questions: Sequence[Question], documents: Sequence[Document]) -> Truth:
    """Questions × documents: 1 for lines of the question's region and category, else 0 or NaN."""
    drawn = asker.drawn
    trigger, category, region = (
        np.array([d.meta.get(key, "") for d in documents])
        for key in ("trigger", "category", "sector")
    )
    alike = {
        own: np.isin(category, [c for c, m in drawn.maps.items() if m == drawn.maps[own]])
        for own in drawn.maps
    }
    labels = np.zeros((len(questions), len(documents)), dtype=np.int16)
    for q, question in enumerate(questions):
        own = category == drawn.category[question.cause]
        word, here = trigger == question.cause, region == question.slices["sector"]
        cases = [region == "", here & word, here & own, here & alike[question.slices["category"]],
                 own]  # fmt: skip
        roles = ["isa", "evidence:0", "evidence:1", "same map", "another region"]
        order = [ROLES.index(role) for role in roles]
        labels[q] = np.select(cases, order, ROLES.index("another map"))
        labels[q, (region == "") & own] = ROLES.index("supporting")
    values = np.isin(labels, [0, 1]).astype(np.float64)
    values[labels == ROLES.index("supporting")] = np.nan
    ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
    return Truth(*ids, values, labels, ROLES, SiteKind.DOCUMENT)


def _maps(asker: Asker) -> View:
    """As many questions about words of one map as of the other, at the same points."""
    kinds, words = _words(asker)
    held = [one for one in asker.placed if one.question.split == "id"]
    half, quarter = len(held) // 2, len(held) // 4
    parts = {FIT: held[:half], CHOOSE: held[half : half + quarter], "id": held[half + quarter :]}
    found: list[Question] = []
    own: list[int] = []
    for split, points in parts.items():
        rng = stream(asker.seed, "quadrants", "view", split)
        rows: list[tuple[int, Case]] = [
            (kind, replace(one.case, trigger=words[split][kind][n % len(words[split][kind])]))
            for n, one in enumerate(points[:MOST])
            for kind in (0, 1)
        ]
        rng.shuffle(rows)
        size = len(str(len(rows)))
        cases = [(f"{split}-{n:0{size}d}", case) for n, (_, case) in enumerate(rows)]
        for (kind, _), placed in zip(rows, asker.pose(split, cases), strict=True):
            label = kinds[kind] if split in LABELLED else ""
            found.append(placed.question.model_copy(update={"label": label}))
            own.append(kind)
    labels = (np.array(own)[:, None] != np.arange(2)).astype(np.int16)
    truth = Truth(tuple(q.id for q in found), kinds, (labels == 0).astype(np.float64), labels,
                  ("own", "other"), SiteKind.DIRECTION)  # fmt: skip
    return View(found, [], truth)


def _words(asker: Asker) -> tuple[tuple[str, str], dict[str, tuple[list[str], list[str]]]]:
    """The two maps of most words by name, and the words of each in every split.

    Raises ConfigError where there are not two maps of enough words.
    """
    drawn = asker.drawn
    of: dict[str, list[str]] = {letter: [] for letter in drawn.distinct.values()}
    for word, category in drawn.taught.items():
        of[drawn.distinct[drawn.maps[category]]].append(word)
    chosen = sorted(sorted(of), key=lambda letter: -len(of[letter]))[:2]
    if len(chosen) < 2 or min(len(of[letter]) for letter in chosen) < FEWEST:
        raise ConfigError(
            f"world.maps: two maps of {FEWEST} trained words or more are needed, so that words"
            f" asked about have no labelled example; there are"
            f" {', '.join(f'{len(of[c])} of map {c}' for c in chosen)}"
        )
    splits: dict[str, tuple[list[str], list[str]]] = {s: ([], []) for s in (FIT, CHOOSE, "id")}
    for kind, letter in enumerate(sorted(chosen)):
        words = list(of[letter])
        stream(asker.seed, "quadrants", "view", "words", letter).shuffle(words)
        start = 0
        for split, share in SHARES.items():
            count = max(1, len(words) // share)
            splits[split][kind].extend(words[start : start + count])
            start += count
        splits[FIT][kind].extend(words[start:])
    first, second = (f"map {letter}" for letter in sorted(chosen))
    return (first, second), splits
