"""How well candidate rules explain a model's answers, all questions taken together.

A rule with lapses: it answers, save that now and then the model guesses among the choices.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Points at which the share of lapses is tried; its square root is spaced evenly, since with
# few mistakes all the evidence lies near none.
POINTS = 4096


def evidence(said: Sequence[int], by_rule: Ints, counts: Sequence[int]) -> Floats:
    """Log probability of the answers under each rule [rules], nats.

    `said` [questions] is the model's choice, `by_rule` [questions, rules] the rule's (−1: it
    says nothing, so any choice is as likely), `counts` [questions] the number of choices. With
    probability λ the model guesses: the rule's choice has probability 1 − λ + λ / n, any other
    λ / n. λ is unknown, uniform on [0, 1], and integrated out (the marginal likelihood of
    MacKay 2003, chapter 28), so no rule is charged for more than it needs.
    """
    roots = (np.arange(POINTS) + 0.5) / POINTS
    lapse = roots**2
    # dλ = 2 √λ d√λ
    weight = np.log(2 * roots / POINTS)
    answers, numbers = np.asarray(said), np.asarray(counts)
    found = np.zeros(by_rule.shape[1])
    for r in range(by_rule.shape[1]):
        total = weight.copy()
        for n in np.unique(numbers):
            here = numbers == n
            silent = int((by_rule[here, r] < 0).sum())
            right = int((by_rule[here, r] == answers[here]).sum())
            wrong = int(here.sum()) - silent - right
            total += right * np.log1p(lapse / n - lapse) + wrong * np.log(lapse / n)
            total -= silent * np.log(n)
        found[r] = _logsum(total)
    return found


def log_odds(logs: Floats) -> Floats:
    """Log posterior odds of each against all others under a uniform prior: [n] → [n]."""
    return np.array([logs[i] - _logsum(np.delete(logs, i)) for i in range(len(logs))])


def twins(by_rule: Ints, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of rules that say the same on every question, in the order of the first."""
    groups: dict[bytes, list[str]] = {}
    for r, name in enumerate(names):
        groups.setdefault(np.ascontiguousarray(by_rule[:, r]).tobytes(), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _logsum(values: Floats) -> float:
    top = values.max()
    return float(top + np.log(np.exp(values - top).sum()))
