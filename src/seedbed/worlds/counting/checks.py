"""Is a set of examples or questions balanced, varied and undisputed? Figures for tests and reports.

Everything that could give an answer away besides counting is measured here.
"""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.stats import chi2_contingency, chisquare

from seedbed.core.rows import Pair, Question, Row
from seedbed.worlds.counting.examples import Example
from seedbed.worlds.counting.lists import load


class Flatness(Row):
    """How often each value comes, and Pearson's χ² against as often as any other."""

    counts: dict[str, int]
    chi2: float
    p: float


class Diversity(Row):
    """Different words per word."""

    unique: int
    total: int
    ratio: float


def flatness(found: Sequence[Hashable], support: Sequence[Hashable]) -> Flatness:
    """χ² of values against a flat distribution over `support`; one value alone is flat (p = 1)."""
    seen = Counter(found)
    counts = [seen[value] for value in support]
    if len(counts) < 2 or not sum(counts):
        chi2, p = 0.0, 1.0
    else:
        result = chisquare(counts)
        chi2, p = float(result.statistic), float(result.pvalue)
    shown = {str(value): n for value, n in zip(support, counts, strict=True)}
    return Flatness(counts=shown, chi2=chi2, p=p)


def independence(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """The p value of χ² for two values of each example being independent; 1 if one never varies."""
    rows, columns = sorted(set(one), key=str), sorted(set(other), key=str)
    if len(rows) < 2 or len(columns) < 2:
        return 1.0
    table = np.zeros((len(rows), len(columns)))
    for a, b in zip(one, other, strict=True):
        table[rows.index(a), columns.index(b)] += 1
    return float(chi2_contingency(table, correction=False).pvalue)


def majority(answers: Sequence[Hashable]) -> float:
    """Accuracy of always giving the most frequent answer."""
    return max(Counter(answers).values()) / len(answers) if answers else 0.0


def told_by(cues: Sequence[Hashable], answers: Sequence[Hashable]) -> float:
    """Accuracy of the most frequent answer for each cue (a list's length), fit in sample."""
    best = Counter(zip(cues, answers, strict=True))
    most: dict[Hashable, int] = {}
    for (cue, _), n in best.items():
        most[cue] = max(most.get(cue, 0), n)
    return sum(most.values()) / len(answers) if answers else 0.0


def diversity(examples: Sequence[Example]) -> Diversity:
    """Different words per word over all lists."""
    words = [w for e in examples for w in e.words]
    unique = len(set(words))
    return Diversity(unique=unique, total=len(words), ratio=unique / max(1, len(words)))


def disputed(examples: Sequence[Example]) -> list[tuple[int, str]]:
    """(index, why) of examples whose number the word lists do not confirm."""
    lists = load()
    found = []
    for i, example in enumerate(examples):
        category = lists.category(example.category)
        unclear = [w for w in example.words if lists.verdict(category, w) is None]
        if unclear:
            found.append((i, f"undecided: {', '.join(unclear)}"))
        elif lists.count(category, example.words) != example.num_target:
            found.append((i, f"the lists count {lists.count(category, example.words)}"))
    return found


def not_minimal(pairs: Sequence[Pair]) -> list[str]:
    """What is wrong with pairs: each must differ in one listed word and in the answer, no more."""
    return [f"{p.id}: {why}" for p in pairs if (why := _fault(p.clean, p.corrupt))]


def _fault(clean: Question, corrupt: Question) -> str:
    if tuple(clean.places) != tuple(corrupt.places):
        return "other places"
    texts = [[q.prompt[slice(*span)] for span in q.places.values()] for q in (clean, corrupt)]
    names = list(clean.places)
    differ = [n for n, a, b in zip(names, *texts, strict=True) if a != b]
    if len(differ) != 1 or not differ[0].startswith("item"):
        return f"differs at {', '.join(differ) or 'nothing'}"
    (a, b), (c, d) = clean.places[differ[0]], corrupt.places[differ[0]]
    if (clean.prompt[:a], clean.prompt[b:]) != (corrupt.prompt[:c], corrupt.prompt[d:]):
        return "differs between its places"
    return "" if clean.answer != corrupt.answer else "both have the same answer"
