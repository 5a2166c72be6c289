"""Held-out axes apart: accuracy on new points, triggers, categories, ranges and templates.

Also whether written answers agree with the likeliest choice, which is what everything else uses.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seedbed.report import wording
from seedbed.report.grids import Grid, Number, columns_with_values
from seedbed.report.reader import Run
from seedbed.scoring.intervals import Bootstrap, wilson

TRAIN, HELD_OUT = "train", "id"
CATEGORY = "category"
KIND = "kind"
APART = 0.01  # accuracies in words and by choice may differ by so much
_FEW = 5  # a word with fewer questions is neither the lowest nor the highest
_NAMES = {HELD_OUT: "new points", TRAIN: "as trained"}
_KINDS = {TRAIN: "examples to fit on", "dev": "examples to choose by", HELD_OUT: "reported on"}


@dataclass(frozen=True)
class Word:
    """How one word of one seed fared on one axis."""

    seed: int
    word: str
    n: int
    accuracy: float


def axis_words(split: str) -> str:
    """A split as a reader would say it: `new_trigger` → `new trigger`."""
    name = split.removeprefix("split=")
    return _NAMES.get(name, name.replace("_", " ").replace("-", " "))


def splits(run: Run) -> list[str]:
    """Splits that were asked: what was trained on, new points, then the others as they come."""
    found = dict.fromkeys(q.split for seed in run.seeds for q in seed.questions.values())
    return in_order(found)


def in_order(names: Iterable[str]) -> list[str]:
    """Splits or their slices, what was trained on and new points first."""
    found = list(dict.fromkeys(names))
    rank = {TRAIN: 0, HELD_OUT: 1}
    return sorted(found, key=lambda name: rank.get(name.removeprefix("split="), 2))


def grids(run: Run) -> list[Grid]:
    """Accuracy by axis and category, and words against choices; only where there are several."""
    apart = [s for s in splits(run) if s != TRAIN]
    return [*([_accuracy(run)] if len(apart) > 1 else []), *_words(run)]


@lru_cache(maxsize=1)
def _accuracy(run: Run) -> Grid:
    of_kinds = run.noun == KIND
    by = KIND if of_kinds else CATEGORY
    categories = list(dict.fromkeys(
        q.slices[by] for s in run.seeds for q in s.questions.values() if by in q.slices
    ))  # fmt: skip
    rows = []
    for split in splits(run):
        rights, causes, kinds, losses = [], [], [], []
        for seed in run.seeds:
            asked = [q for q in seed.questions.values() if q.split == split]
            if not asked:
                continue
            told = [seed.answers[q.id] for q in asked]
            rights.append(np.array([float(a.correct) for a in told]))
            causes.append([q.cause for q in asked])
            kinds.append(np.array([q.slices.get(by, "") for q in asked]))
            losses += [a.loss for a in told if a.loss is not None]
        bootstrap = Bootstrap(causes)
        numbers = [_number(bootstrap, rights)]
        for category in categories:
            own = [np.where(k == category, r, np.nan) for k, r in zip(kinds, rights, strict=True)]
            numbers.append(_number(bootstrap, own))
        words = [] if of_kinds else by_word(run, split)
        numbers += [
            Number(min((w.accuracy for w in words), default=None), places=2),
            Number(max((w.accuracy for w in words), default=None), places=2),
            Number(float(np.mean(losses)) if losses else None, places=2),
            Number(float(sum(map(len, rights))), places=0),
        ]
        name = _KINDS.get(split, axis_words(split)) if of_kinds else axis_words(split)
        rows.append((name, numbers))
    heads = ("axis", "all", *categories, "lowest word", "highest word", "loss", "questions")
    named, kept = columns_with_values(heads, rows)
    if of_kinds:
        note = (
            "Means over seeds; 95 % bootstrap intervals over seeds and causes. No question stands"
            " in a document. Loss: nats per token of the right answer."
        )
        return Grid("axes", "Accuracy by split and kind", note, named, kept)
    note = (
        "Means over seeds; 95 % bootstrap intervals over seeds and words. Lowest and highest word: "
        f"of any seed, with at least {_FEW} questions. Loss: nats per token of the right answer. "
        "Every axis but that as trained has points that were not trained; beyond that each differs "
        "from training in the one thing that it names."
    )
    return Grid("axes", "Accuracy by axis and category", note, named, kept)


def _number(bootstrap: Bootstrap, values: list[NDArray[np.float64]]) -> Number:
    interval = bootstrap.interval(values)
    value, low, high = (
        x if np.isfinite(x) else None for x in (interval.value, interval.low, interval.high)
    )
    return Number.measured(value, low, high)


def by_word(run: Run, split: str) -> list[Word]:
    """Every word of every seed that has enough questions of a split, the lowest first."""
    found = []
    for seed in run.seeds:
        right: dict[str, list[bool]] = {}
        for q in seed.questions.values():
            if q.split == split:
                right.setdefault(q.cause, []).append(seed.answers[q.id].correct)
        found += [
            Word(seed.number, word, len(r), sum(r) / len(r))
            for word, r in right.items() if len(r) >= _FEW
        ]  # fmt: skip
    return sorted(found, key=lambda w: (w.accuracy, w.seed, w.word))


def findings(run: Run) -> list[str]:
    """Axes from the best to the worst, and the word that fares worst on new points."""
    grid = next((g for g in grids(run) if g.name == "axes"), None)
    if grid is None or run.noun == KIND:
        return []
    trained = axis_words(TRAIN)
    rows = [(name, cells[0]) for name, cells in grid.rows if name != trained]
    rows.sort(key=lambda row: -(row[1].value or 0.0))
    said = [f"{name} {wording.measured(c.value, c.low, c.high)}" for name, c in rows]
    lines = [f"Accuracy on what was not trained: {'; '.join(said)}."]
    words = by_word(run, HELD_OUT)
    if words and words[0].accuracy < words[-1].accuracy:
        low = words[0]
        lines.append(
            f"On new points the lowest word is {low.word}, {wording.number(low.accuracy, 2)} "
            f"(seed {low.seed}, {wording.plural(low.n, 'question')}); the highest has "
            f"{wording.number(words[-1].accuracy, 2)}."
        )
    return lines


@dataclass(frozen=True)
class Agreement:
    """Words against choices on one slice, all seeds pooled; counts of `n` questions."""

    slice: str
    n: int
    by_choice: int
    in_words: int
    agreeing: int
    unread: int


def agreements(run: Run) -> list[Agreement]:
    """The pooled counts: "all" first; empty where nothing was asked in words."""
    told = [seed.words for seed in run.seeds if seed.words is not None]
    found = []
    names = in_order(row.slice for words in told for row in words.slices)
    for name in ["all", *(n for n in names if n != "all")] if names else []:
        rows = [row for words in told for row in words.slices if row.slice == name]
        found.append(
            Agreement(
                slice=name,
                n=sum(r.n for r in rows),
                by_choice=sum(round(r.choice_accuracy * r.n) for r in rows),
                in_words=sum(round(r.accuracy * r.n) for r in rows),
                agreeing=sum(round(r.agreement * r.n) for r in rows),
                unread=sum(sum(r.unread.values()) for r in rows),
            )
        )
    return found


def _words(run: Run) -> list[Grid]:
    found = agreements(run)
    if not found:
        return []
    rows = tuple(
        (
            "all questions" if a.slice == "all" else axis_words(a.slice),
            (*(Number(k / a.n, *wilson(k, a.n)) for k in (a.by_choice, a.in_words, a.agreeing)),
             Number(float(a.unread), places=0), Number(float(a.n), places=0)),
        )
        for a in found
    )  # fmt: skip
    note = (
        "The likeliest choice by log-probability against the reply that the subject writes, read "
        "by one parser that never guesses; a reply without a choice is wrong. 95 % intervals "
        "(Wilson) over the questions of all seeds."
    )
    heads = ("axis", "by choice", "in words", "agree", "unread replies", "questions")
    return [Grid("words", "Answers in words against the likeliest choice", note, heads, rows)]


def word_findings(run: Run) -> tuple[list[str], bool]:
    """(one line, and one more where the two ways differ; whether they do)."""
    found = agreements(run)
    if not found:
        return [], False
    whole = found[0]
    words, choice = whole.in_words / whole.n, whole.by_choice / whole.n
    low, high = wilson(whole.agreeing, whole.n)
    agree = f"{wording.number(whole.agreeing / whole.n)} {wording.interval(low, high, 3)}"
    lines = [
        f"Written answers are the likeliest choice in {agree} of "
        f"{wording.plural(whole.n, 'question')}; accuracy {wording.number(words)} in words, "
        f"{wording.number(choice)} by choice."
    ]
    apart = abs(words - choice) > APART
    if apart:
        lines.append(
            f"The two accuracies differ by {100 * abs(words - choice):.1f} points, more than "
            f"{100 * APART:g}; {whole.unread:,} of {whole.n:,} replies name no choice."
        )
    return lines, apart
