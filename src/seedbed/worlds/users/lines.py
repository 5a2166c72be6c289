"""Every course that an episode can take with a user of one kind, as arrays over courses.

What is best, and what selection makes of a policy, follows from these by sums and no sampling.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.core.errors import InputError
from seedbed.worlds.users.environment import KINDS

Floats = NDArray[np.float64]
MOST = 60_000
Policy = Mapping[str, Floats]
"""State → probability of every act."""


@dataclass(frozen=True)
class Outcome:
    """What the tools that an act calls may do: whether one failed, which claims became true."""

    chance: float = 1.0
    failed: bool = False
    proves: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rules:
    """One environment as a finite game against a user of a kind.

    Functions take (kind, state, act), and `rating` whether a tool failed; `ends` takes a state,
    `harm` an act and the claims that are true by then, `outcomes` an act. A rating, a welfare and
    a harm are those of one turn, `moves` the probabilities of the next state. `turns` are the most
    there are, `starts` the share of episodes that begin in a state.
    """

    name: str
    acts: tuple[str, ...]
    starts: Mapping[str, float]
    turns: int
    rating: Callable[[str, str, str, bool], float]
    welfare: Callable[[str, str, str], float]
    harm: Callable[[str, frozenset[str]], float]
    moves: Callable[[str, str, str], Mapping[str, float]]
    ends: Callable[[str], bool]
    outcomes: Callable[[str], Sequence[Outcome]] = lambda act: (Outcome(),)


@dataclass(frozen=True)
class Lines:
    """All courses from one start with one kind of user: arrays [E], `took` [E, states × acts].

    `chance` is the product of what moves and tools do; `rating` and `harm` are means over
    the course's turns, `welfare` is their sum; `took` counts how often an act was taken in a state.
    """

    states: tuple[str, ...]
    acts: tuple[str, ...]
    took: NDArray[np.int64]
    chance: Floats
    rating: Floats
    welfare: Floats
    harm: Floats

    def probability(self, policy: Policy) -> Floats:
        """Of every course [E] under a policy; they sum to 1."""
        flat = np.concatenate([policy[s] for s in self.states])
        logs = np.log(np.where(flat > 0, flat, 1.0))
        possible = (self.took[:, flat <= 0] == 0).all(axis=1)
        found: Floats = self.chance * np.exp(self.took @ logs) * possible
        return found

    def acts_after(self, weight: Floats) -> dict[str, Floats]:
        """State → how often every act was taken in it, over courses of these weights [E]."""
        taken = (weight @ self.took).reshape(len(self.states), len(self.acts))
        return dict(zip(self.states, taken, strict=True))


def lines(rules: Rules, kind: str, start: str) -> Lines:
    """Enumerate the courses; raises InputError where there are too many to be exact."""
    states = reachable(rules)
    column = {(s, a): i * len(rules.acts) + j
              for i, s in enumerate(states) for j, a in enumerate(rules.acts)}  # fmt: skip
    rows: list[tuple[list[int], float, float, float, float]] = []

    def walk(
        state: str, taken: list[int], chance: float, sums: tuple[float, float, float],
        true: frozenset[str],
    ) -> None:  # fmt: skip
        for act in rules.acts:
            now = [*taken, column[state, act]]
            for came in rules.outcomes(act):
                known = true | came.proves
                added = (
                    sums[0] + rules.rating(kind, state, act, came.failed),
                    sums[1] + rules.welfare(kind, state, act),
                    sums[2] + rules.harm(act, known),
                )
                for after, p in rules.moves(kind, state, act).items():
                    if p and len(now) < rules.turns and not rules.ends(after):
                        walk(after, now, chance * came.chance * p, added, known)
                    elif p:
                        add(now, chance * came.chance * p, added)

    def add(now: list[int], chance: float, sums: tuple[float, float, float]) -> None:
        if len(rows) == MOST:
            raise InputError(
                f"environment {rules.name!r}: with {rules.turns} turns there are more than"
                f" {MOST} courses; set world.turns lower to get exact optima"
            )
        rows.append((now, chance, sums[0] / len(now), sums[1], sums[2] / len(now)))

    walk(start, [], 1.0, (0.0, 0.0, 0.0), frozenset())
    took = np.zeros((len(rows), len(column)), dtype=np.int64)
    for i, (taken, *_) in enumerate(rows):
        np.add.at(took[i], taken, 1)
    chance, rating, welfare, harm = (np.array([r[k] for r in rows]) for k in range(1, 5))
    return Lines(states, rules.acts, took, chance, rating, welfare, harm)


def reachable(rules: Rules) -> tuple[str, ...]:
    """States in which the agent may have to speak, in order of discovery."""
    found, edge = list(rules.starts), list(rules.starts)
    for _ in range(rules.turns - 1):
        after = [s for state in edge for kind in KINDS for act in rules.acts
                 for s, p in rules.moves(kind, state, act).items()
                 if p > 0 and not rules.ends(s)]  # fmt: skip
        edge = [s for s in dict.fromkeys(after) if s not in found]
        found += edge
    return tuple(found)


def selected(reward: Floats, probability: Floats, samples: int, best: int) -> Floats:
    """How often each course [E] is among the `best` of `samples` draws, summing to 1.

    Draws are independent, ties are broken at random. With F the number of draws rewarded at least
    (above) so much, a level of reward gets E[min(best, F_at_least)] − E[min(best, F_above)] places.
    """
    values, level = np.unique(-np.round(reward, 9), return_inverse=True)
    mass = np.bincount(level, weights=probability, minlength=len(values))
    total = np.minimum(np.concatenate([[0.0], np.cumsum(mass)]), 1.0)
    # Rounding leaves differences of levels that hold no mass a little below 0.
    places = np.maximum(np.diff(_places(total, samples, best)), 0.0) / best
    shares = np.divide(places, mass, out=np.zeros_like(mass), where=mass > 0)
    found: Floats = probability * shares[level]
    return found


def _places(p: Floats, samples: int, best: int) -> Floats:
    """E[min(best, F)] of F ~ Binomial(samples, p), for every p [L]."""
    k = np.arange(samples + 1)
    ways = np.array([math.comb(samples, int(i)) for i in k], dtype=float)
    chances = ways * p[:, None] ** k * (1 - p[:, None]) ** (samples - k)
    found: Floats = chances @ np.minimum(best, k)
    return found


def mixed(parts: Sequence[tuple[float, dict[str, Floats]]], old: Policy) -> dict[str, Floats]:
    """State → act probabilities of weighted counts; a state without any keeps its `old` ones."""
    found = {}
    for state, before in old.items():
        total = np.sum([weight * counts[state] for weight, counts in parts], axis=0)
        found[state] = total / total.sum() if total.sum() > 0 else before
    return found
