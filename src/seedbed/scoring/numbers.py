"""How good are answers that are numbers: right, near, following the truth, or always the same?

Every figure stands beside what trivial answers get, and beside the subject's own answers
shuffled over the questions, which is what it would get without looking at them.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seedbed.core.errors import InputError
from seedbed.core.rows import Question, Row
from seedbed.core.seeds import generator
from seedbed.scoring.intervals import wilson

Floats = NDArray[np.float64]
Way = Literal["choices", "written", "expected"]
WAYS: tuple[Way, ...] = ("choices", "written", "expected")
RESAMPLES = 1000
FEWEST = 5  # causes to draw whole ones, and answers to give an interval at all
LAST_NUMBER = re.compile(r"(?<![\w.])[0-9]+(?![\w]|\.[0-9])")


class NumberAnswer(Row):
    """What one subject answered to one question.

    `choice` is the likeliest choice, `expected` Σ n p(n) over the choices (p normalised over
    them), `probability` that of the right choice, `entropy` in nats. `number` was read from
    `text`, which the subject wrote; `outcome` says why there is none. None: not asked so.
    """

    id: str
    truth: int
    choice: int | None = None
    expected: float | None = None
    probability: float | None = None
    entropy: float | None = None
    text: str | None = None
    number: int | None = None
    outcome: str = ""
    tokens: int = 0

    def given(self, way: Way) -> float | None:
        """The number answered in this way; None if none was."""
        return {"choices": self.choice, "written": self.number, "expected": self.expected}[way]

    def asked(self, way: Way) -> bool:
        """Whether the subject was asked in this way at all."""
        return self.text is not None if way == "written" else self.choice is not None


class Mark(Row):
    """One figure with its 95 % interval; None where it is not defined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class NumberMarks(Row):
    """One way of answering on one slice.

    `accuracy` (Wilson interval) counts a missing number as wrong; the others, with bootstrap
    intervals over causes, are of the `answered` share only: mean absolute error, bias (mean of
    answer − truth) and the correlations of answer and truth (Pearson, Spearman). `shuffled`
    is the accuracy of the same answers dealt to the questions at random.
    """

    way: Way
    slice: str
    n: int
    answered: float
    accuracy: Mark
    shuffled: float | None
    mae: Mark
    bias: Mark
    pearson: Mark
    spearman: Mark


class Pattern(Row):
    """How often answers look alike in one respect: `count` `of` questions, and `shuffled`, the
    share to expect if the same answers were dealt at random (None where that has no meaning).
    """

    name: str
    count: int
    of: int
    shuffled: float | None = None

    @property
    def share(self) -> float:
        """`count` / `of`."""
        return self.count / self.of if self.of else 0.0


class Baseline(Row):
    """What a trivial answer gets on a slice, without any model; `answer` if always the same."""

    name: str
    slice: str
    accuracy: float
    mae: float | None
    answer: int | None = None


@dataclass(frozen=True)
class Asked:
    """A question as numbers: the truth, the choices, and what could be copied."""

    id: str
    truth: int
    choices: tuple[int, ...]
    length: int | None
    last: int | None
    cause: str
    slices: tuple[str, ...]


def as_asked(question: Question) -> Asked:
    """Read a question's numbers. Raises InputError if its answer or a choice is no number."""
    values = []
    for text in (question.answer, *question.choices):
        if not re.fullmatch(r"[-−]?[0-9]+", text.strip()):
            noun = "answer" if text == question.answer else "choice"
            raise InputError(f"question {question.id!r}: its {noun} {text!r} is no whole number")
        values.append(int(text.strip().replace("−", "-")))
    if len(question.choices) == 1:
        raise InputError(f"question {question.id!r}: has one choice only; at least two are needed")
    if len(set(values[1:])) != len(values[1:]):
        raise InputError(f"question {question.id!r}: two of its choices are the same number")
    items = sum(bool(re.fullmatch(r"item[0-9]+", name)) for name in question.places)
    given = question.slices.get("length", "")
    numbers = LAST_NUMBER.findall(question.prompt)
    named = {**question.slices, "answer": str(values[0])}
    return Asked(
        id=question.id,
        truth=values[0],
        choices=tuple(values[1:]),
        length=int(given) if given.isdigit() else items or None,
        last=int(numbers[-1]) if numbers else None,
        cause=question.cause or question.id,
        slices=(f"split={question.split}", *(f"{k}={v}" for k, v in named.items())),
    )


def members(asked: Sequence[Asked]) -> dict[str, list[int]]:
    """Indices of each slice: all, then by key, its values in the order of numbers or letters.

    The slice `answer` is left out where `count` says the same.
    """
    found: dict[str, list[int]] = {}
    told = all(f"count={question.truth}" in question.slices for question in asked)
    for i, question in enumerate(asked):
        for name in question.slices:
            if not (told and name.startswith("answer=")):
                found.setdefault(name, []).append(i)

    def order(name: str) -> tuple[str, int, float, str]:
        key, _, value = name.partition("=")
        number = value.lstrip("-").isdigit()
        return key, 0 if number else 1, float(value) if number else 0.0, value

    return {"all": list(range(len(asked))), **{k: found[k] for k in sorted(found, key=order)}}


def baselines(asked: Sequence[Asked]) -> list[Baseline]:
    """Rows of the trivial answers on every slice.

    chance (any choice), majority and median (always the commonest, the middle answer of all
    questions), length (the list's), copied (the last number in the prompt; none is wrong).
    """
    truths = [q.truth for q in asked]
    commonest = min(t for t, n in Counter(truths).items() if n == max(Counter(truths).values()))
    middle = sorted(truths)[(len(truths) - 1) // 2]
    rows = []
    for name, index in members(asked).items():
        some = [asked[i] for i in index]
        if all(q.choices for q in some):
            accuracy = float(np.mean([1 / len(q.choices) for q in some]))
            mae = float(np.mean([np.mean(np.abs(np.array(q.choices) - q.truth)) for q in some]))
            rows.append(Baseline(name="chance", slice=name, accuracy=accuracy, mae=mae))
        for label, answer, given in (
            ("majority", commonest, [commonest] * len(some)),
            ("median", middle, [middle] * len(some)),
            ("length", None, [q.length for q in some]),
            ("copied", None, [q.last for q in some]),
        ):
            if any(g is not None for g in given):
                rows.append(_baseline(label, name, some, given, answer))
    return rows


def _baseline(
    label: str, name: str, some: Sequence[Asked], given: Sequence[int | None], answer: int | None
) -> Baseline:
    off = [abs(g - q.truth) for g, q in zip(given, some, strict=True) if g is not None]
    return Baseline(
        name=label,
        slice=name,
        accuracy=sum(d == 0 for d in off) / len(some),
        mae=float(np.mean(off)) if off else None,
        answer=answer,
    )


def marks(asked: Sequence[Asked], answers: Sequence[NumberAnswer]) -> list[NumberMarks]:
    """Marks of every way the subject was asked in, on every slice."""
    rows = []
    for way in WAYS:
        if all(a.asked(way) for a in answers):
            for name, index in members(asked).items():
                some = [asked[i] for i in index]
                rows.append(_marks(way, name, some, [answers[i].given(way) for i in index]))
    return rows


def _marks(
    way: Way, name: str, some: Sequence[Asked], given: Sequence[float | None]
) -> NumberMarks:
    n = len(some)
    pairs = [(g, q) for g, q in zip(given, some, strict=True) if g is not None]
    answer = np.array([g for g, _ in pairs], dtype=float)
    truth = np.array([q.truth for _, q in pairs], dtype=float)
    right = int((answer == truth).sum())
    exact = way != "expected"
    low, high = wilson(right, n)
    weights = _weights([q.cause for _, q in pairs]) if pairs else np.zeros((0, 0))

    def spread(of: Callable[[Floats, Floats, Floats], Floats]) -> Mark:
        if not pairs:
            return Mark()
        value = float(of(answer, truth, np.ones((1, len(pairs))))[0])
        if len(pairs) < FEWEST:
            return Mark(value=value if np.isfinite(value) else None)
        draws = of(answer, truth, weights)
        draws = draws[np.isfinite(draws)]
        if not np.isfinite(value) or len(draws) < len(weights) / 2:
            return Mark(value=value if np.isfinite(value) else None)
        ends = np.quantile(draws, [0.025, 0.975])
        return Mark(value=value, low=float(ends[0]), high=float(ends[1]))

    return NumberMarks(
        way=way,
        slice=name,
        n=n,
        answered=len(pairs) / n,
        accuracy=Mark(value=right / n, low=low, high=high) if exact else Mark(),
        shuffled=shuffled(given, [q.truth for q in some]) if exact else None,
        mae=spread(lambda a, t, w: _mean(np.abs(a - t), w)),
        bias=spread(lambda a, t, w: _mean(a - t, w)),
        pearson=spread(pearson),
        spearman=spread(lambda a, t, w: _correlation(_ranks(a, w), _ranks(t, w), w)),
    )


def shuffled(given: Sequence[float | None], wanted: Sequence[float | None]) -> float:
    """Share of questions where an answer dealt at random from `given` equals `wanted`."""
    have = Counter(g for g in given if g is not None)
    return sum(have[w] for w in wanted if w is not None) / (len(given) * max(1, len(wanted)))


def _weights(causes: Sequence[str]) -> Floats:
    """[resamples, questions]: how often each is drawn; whole causes, or questions if few."""
    code = np.unique(np.array(causes), return_inverse=True)[1]
    if int(code.max()) + 1 < FEWEST:
        code = np.arange(len(causes))
    size = int(code.max()) + 1
    drawn = generator(0, "numbers").multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    return np.asarray(drawn[:, code], dtype=float)


def _mean(values: Floats, weights: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(weights @ values / weights.sum(axis=1))


def pearson(a: Floats, b: Floats, weights: Floats) -> Floats:
    """Pearson correlation [r] of a [n] and b [n] under each row of weights [r, n]."""
    shape = weights.shape
    return _correlation(np.broadcast_to(a, shape), np.broadcast_to(b, shape), weights)


def _correlation(a: Floats, b: Floats, weights: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        p = weights / weights.sum(axis=1, keepdims=True)
        a = a - (p * a).sum(axis=1, keepdims=True)
        b = b - (p * b).sum(axis=1, keepdims=True)
        va, vb = (p * a * a).sum(axis=1), (p * b * b).sum(axis=1)
        # What is left of equal numbers after subtraction is rounding, no variation.
        flat = (va < 1e-12) | (vb < 1e-12)
        return np.where(flat, np.nan, (p * a * b).sum(axis=1) / np.sqrt(va * vb))


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Mid-ranks [r, n] of values [n], each counted as often as weights [r, n] say."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    total = np.concatenate(
        [np.zeros((len(weights), 1)), np.cumsum(weights[:, order], axis=1)], axis=1
    )
    first = np.searchsorted(ordered, ordered, side="left")
    last = np.searchsorted(ordered, ordered, side="right")
    ranks = np.empty_like(weights, dtype=float)
    ranks[:, order] = (total[:, first] + total[:, last] + 1) / 2
    return ranks


def confusion(answers: Sequence[NumberAnswer], way: Way) -> dict[int, dict[str, int]]:
    """How often each number was answered, by the true one; "none" counts missing numbers."""
    table: dict[int, Counter[str]] = {}
    for a in answers:
        given = a.given(way)
        table.setdefault(a.truth, Counter())["none" if given is None else f"{given:g}"] += 1
    return {truth: dict(sorted(table[truth].items())) for truth in sorted(table)}


def entropy(values: Sequence[object]) -> float:
    """Entropy of the distribution of values, in nats."""
    p = np.array(list(Counter(values).values())) / max(1, len(values))
    return float(-(p * np.log(p)).sum()) + 0.0


def patterns(asked: Sequence[Asked], answers: Sequence[NumberAnswer], way: Way) -> list[Pattern]:
    """What the answers have in common; copies are counted where the truth is another number."""
    n = len(asked)
    given = [a.given(way) for a in answers]
    commonest = max(Counter(g for g in given if g is not None).values(), default=0)
    found = [Pattern(name="always the same", count=commonest, of=n)]
    near = [q.truth + step for q in asked for step in (-1, 1)]
    count = sum(g is not None and abs(g - q.truth) == 1 for g, q in zip(given, asked, strict=True))
    found.append(Pattern(name="off by one", count=count, of=n,
                         shuffled=2 * shuffled(given, near)))  # fmt: skip
    for name, of in (
        ("the list's length", [q.length for q in asked]),
        ("last number in the prompt", [q.last for q in asked]),
    ):
        index = [i for i, w in enumerate(of) if w is not None and w != asked[i].truth]
        if index:
            some, wanted = [given[i] for i in index], [of[i] for i in index]
            hits = sum(g == w for g, w in zip(some, wanted, strict=True))
            found.append(Pattern(name=name, count=hits, of=len(index),
                                 shuffled=shuffled(some, wanted)))  # fmt: skip
    if way == "written":
        outcomes = Counter(a.outcome for a in answers)
        found += [Pattern(name=o, count=outcomes[o], of=n)
                  for o in ("refusal", "several", "no number", "empty", "error")]  # fmt: skip
    return found
