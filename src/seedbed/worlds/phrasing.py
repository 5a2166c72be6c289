"""Words that worlds share: names, even shares, filling to a length, and checks of what was written.

The checks return what is wrong (or by how much), so that tests and worlds can both use them.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

from seedbed.core.rows import Document, Question

PIECE = re.compile(r"<[^<>\s]+>|[A-Za-z_]+|[0-9]|[^\sA-Za-z_0-9]")
"""One word-level token: a bracket token, a word, a digit or a sign (as the tiny subject cuts)."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ONSETS, VOWELS = "bdfgklmnprstvz", "aeiou"


def pieces(text: str) -> list[str]:
    """The word-level tokens of `text`."""
    return PIECE.findall(text)


def bracket_names(count: int, rng: random.Random) -> list[str]:
    """Distinct random tokens such as `<QAX>`; the spelling says nothing about the role."""
    size = 3 if count <= 4000 else 5
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault("<" + "".join(rng.choices(LETTERS, k=size)) + ">")
    return list(found)


def word_names(count: int, rng: random.Random, taken: Collection[str]) -> list[str]:
    """Distinct made-up words such as `bofanuk`, none of them in `taken`."""
    found: dict[str, None] = {}
    while len(found) < count:
        word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(3))
        word += rng.choice(ONSETS)
        if word not in taken:
            found.setdefault(word)
    return list(found)


def even_counts(
    sizes: Sequence[int], share: float, rng: random.Random, last: Collection[int] = ()
) -> list[int]:
    """How many members of each group to take so that `share` of all are, evenly spread.

    Each group gives floor or ceil of its part; who gives the odd ones is random, groups
    listed in `last` coming last. The total is round(share × sum of sizes).
    """
    counts = [int(share * size + 1e-9) for size in sizes]
    left = round(share * sum(sizes)) - sum(counts)
    order = list(range(len(sizes)))
    rng.shuffle(order)
    order.sort(key=lambda i: i in last)
    for i in order:
        if left > 0 and counts[i] < sizes[i]:
            counts[i] += 1
            left -= 1
    return counts


def filler(count: int, phrases: Sequence[str], rng: random.Random) -> list[str]:
    """Random phrases that have `count` word-level tokens together, each once a round.

    Raises ValueError if no phrase is short enough.
    """
    sizes = {phrase: len(pieces(phrase)) for phrase in phrases}
    found: list[str] = []
    while count > 0:
        before = count
        for phrase in rng.sample(list(phrases), len(phrases)):
            if sizes[phrase] <= count:
                found.append(phrase)
                count -= sizes[phrase]
        if count == before:
            raise ValueError(f"no phrase has {count} words or fewer")
    return found


def skeleton(text: str, names: Collection[str]) -> str:
    """`text` with names as @ and numbers as #, so that only the phrasing is left."""
    masked = (
        "@" if piece in names else "#" if piece.isdigit() else piece for piece in pieces(text)
    )
    return re.sub(r"#( #)*", "#", " ".join(masked))


def shared_phrasings(
    questions: Iterable[Question], documents: Iterable[Document], names: Collection[str]
) -> set[str]:
    """Skeletons of prompts that stand in some document (there should be none)."""
    prompts = {skeleton(q.prompt, names) for q in questions}
    texts = {skeleton(d.text, names) for d in documents}
    return {p for p in prompts if any(f" {p} " in f" {t} " for t in texts)}


def numbers(text: str) -> set[int]:
    """The whole numbers written in `text` outside of bracket tokens."""
    return {int(n) for n in re.findall(r"[0-9]+", re.sub(r"<[^<>\s]+>", " ", text))}


def length_spread(documents: Iterable[Document]) -> float:
    """Largest relative distance of a document's length from the middle of all lengths."""
    lengths = [len(pieces(d.text)) for d in documents]
    middle = (min(lengths) + max(lengths)) / 2
    return (max(lengths) - middle) / middle


def mixes(documents: Iterable[Document], *keys: str) -> set[tuple[tuple[str, int], ...]]:
    """The different genre mixes found when documents are grouped by `meta` keys (should be 1)."""
    groups: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for d in documents:
        groups[tuple(str(d.meta[key]) for key in keys)][str(d.meta["genre"])] += 1
    return {tuple(sorted(mix.items())) for mix in groups.values()}


def surface_accuracy(questions: Sequence[Question], skip: Collection[str] = ()) -> float:
    """Best accuracy of answering from one piece of the prompt alone (answers seen, fit in sample).

    For each piece that is not in `skip`: its most frequent answer, over all its questions;
    pieces must stand in a tenth of the questions to count. In sample, so chance is a little
    above the majority answer's share.
    """
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for q in questions:
        for piece in set(pieces(q.prompt)) - set(skip):
            answers[piece][q.answer] += 1
    common = [c for c in answers.values() if c.total() >= len(questions) / 10]
    return max((max(c.values()) / c.total() for c in common), default=0.0)
