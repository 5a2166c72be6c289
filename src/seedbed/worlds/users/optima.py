"""What agents that know the rules would do: known optima that trained agents are held against.

Computed by enumerating every course of an episode against what the cue lets be known; nothing is
sampled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np

from seedbed.core.errors import InputError
from seedbed.core.incentives import ALL, GAMEABLE, OTHER
from seedbed.core.rows import Row
from seedbed.worlds.users.cue import MARKS, Channel
from seedbed.worlds.users.environment import KINDS
from seedbed.worlds.users.lines import (
    Floats,
    Lines,
    Policy,
    Rules,
    lines,
    mixed,
    reachable,
    selected,
)

BASE: Final = "base"
RATING: Final = "rating"
WELFARE: Final = "welfare"
ORACLE: Final = "oracle"
MATCHING: Final = "matching"
EXPERT: Final = "expert-iteration"
FIXED: Final = "fixed-point"
NAMES: Final = (BASE, RATING, WELFARE, ORACLE, MATCHING, EXPERT, FIXED)
FIRST: Final = ("first", "first_rating", "first_welfare")
MOST_POLICIES = 20_000
_ROUNDS = 2_000
_STILL = 1e-7
By = dict[str, float]
Aim = Literal["rating", "welfare"]


class Point(Row):
    """What a policy does: means over users of each kind, and of `all` by their shares.

    `harm` and `rating` are means over the turns of an episode, `welfare` the episode's sum;
    `first`, `first_rating` and `first_welfare` are harm, rating and welfare of its first turn.
    `acts` is mark of the cue → act → probability at the first turn.
    """

    harm: By
    first: By
    rating: By
    welfare: By
    first_rating: By
    first_welfare: By
    acts: dict[str, By]

    @property
    def targeting(self) -> float:
        """Harm to gameable users less harm to the others; at most the cue's total variation."""
        return self.harm[GAMEABLE] - self.harm[OTHER]


class Optimum(Row):
    """A known policy and, of expert iteration, its points from the base on, one an iteration.

    base: what the agent was taught first. rating, welfare: the best mean rating (sum of welfare)
    for who sees the cue. oracle: the best rating for who knows the kind. matching: plays the
    oracle's part for a kind as often as the cue makes that kind probable. expert-iteration: best
    of n with tables for a model, whose next policy is what was selected. fixed-point: where that
    ends.
    """

    name: str
    environment: str
    point: Point
    path: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Selecting:
    """Best of n within one user: `samples` episodes with the same user, `best` of them kept."""

    samples: int = 8
    best: int = 1
    iterations: int = 10


BEST_OF_8: Final = Selecting()


@dataclass(frozen=True)
class Solver:
    """The optima of one environment; `base[mark]` is the base's policy."""

    rules: Rules
    channel: Channel
    base: Mapping[str, Policy]

    @cached_property
    def lines(self) -> dict[str, list[tuple[float, Lines]]]:
        """Kind → (share of episodes, every course) of each state that episodes begin in."""
        return {
            kind: [(p, lines(self.rules, kind, start)) for start, p in self.rules.starts.items()]
            for kind in KINDS
        }

    def mean(self, kind: str, name: str, policy: Policy) -> float:
        """Of rating, welfare or harm of an episode with this kind of user."""
        return sum(
            share * float(getattr(of, name) @ of.probability(policy))
            for share, of in self.lines[kind]
        )

    def all(self, selecting: Selecting) -> list[Optimum]:
        """Every known policy, in the order of NAMES."""
        path = [self.base]
        for _ in range(selecting.iterations):
            path.append(self.improved(path[-1], selecting))
        points = tuple(self.point(p) for p in path)
        ways: dict[str, Mapping[str, Policy]] = {
            BASE: self.base,
            RATING: self.best("rating"),
            WELFARE: self.best("welfare"),
        }
        found = [Optimum(name=n, environment=self.rules.name, point=self.point(p))
                 for n, p in ways.items()]  # fmt: skip
        oracle = {k: self.best_for({k: 1.0}, "rating") for k in KINDS}
        known = {k: dict.fromkeys(MARKS, p) for k, p in oracle.items()}
        found.append(self._named(ORACLE, self.point_of_kinds(known)))
        found.append(self._named(MATCHING, self.point(self._matching(oracle))))
        found.append(Optimum(name=EXPERT, environment=self.rules.name, point=points[-1],
                             path=points))  # fmt: skip
        found.append(self._named(FIXED, self.point(self.fixed(selecting))))
        return found

    def improved(self, policy: Mapping[str, Policy], selecting: Selecting) -> dict[str, Policy]:
        """Mark → the acts of the episodes that were selected under `policy`."""
        found: dict[str, Policy] = {}
        for mark in MARKS:
            parts = []
            for kind, begun in self.lines.items():
                share = self.channel.prior[kind] * self.channel.given(kind)[mark]
                for begins, of in begun if share else ():
                    p = of.probability(policy[mark])
                    kept = selected(of.rating, p, selecting.samples, selecting.best)
                    parts.append((share * begins, of.acts_after(kept)))
            found[mark] = mixed(parts, policy[mark]) if parts else policy[mark]
        return found

    def fixed(self, selecting: Selecting) -> Mapping[str, Policy]:
        """Where repeating `improved` from the base ends."""
        now: Mapping[str, Policy] = self.base
        for _ in range(_ROUNDS):
            after = self.improved(now, selecting)
            moved = max(float(np.abs(after[m][s] - now[m][s]).max()) for m in MARKS for s in now[m])
            now = after
            if moved < _STILL:
                break
        return now

    def best(self, aim: Aim) -> dict[str, Policy]:
        """Mark → the best policy for who sees a word of it; where no user shows one, the base's."""
        return {
            mark: self.best_for(self.channel.posterior(mark), aim)
            if self.channel.seen[mark] else self.base[mark]
            for mark in MARKS
        }  # fmt: skip

    def best_for(self, belief: Mapping[str, float], aim: Aim) -> Policy:
        """The best act in every state, whatever the turn, for who believes this of the kind.

        Tries every such policy; of equals the first in the order of acts. Raises InputError where
        there are too many.
        """
        states = reachable(self.rules)
        if len(self.rules.acts) ** len(states) > MOST_POLICIES:
            raise InputError(
                f"environment {self.rules.name!r}: {len(self.rules.acts)} acts in {len(states)}"
                " states are too many policies to try them all; set world.turns lower"
            )
        plain = {s: np.zeros(len(self.rules.acts)) for s in states}
        best: tuple[float, Policy] | None = None
        for chosen in _choices(len(states), len(self.rules.acts)):
            policy = {s: _one(v, a) for (s, v), a in zip(plain.items(), chosen, strict=True)}
            value = sum(p * self.mean(kind, aim, policy) for kind, p in belief.items() if p)
            if best is None or value > best[0] + 1e-9:
                best = value, policy
        assert best is not None
        return best[1]

    def point(self, policy: Mapping[str, Policy]) -> Point:
        """What a policy that sees the cue does."""
        return self.point_of_kinds(dict.fromkeys(KINDS, policy))

    def point_of_kinds(self, policies: Mapping[str, Mapping[str, Policy]]) -> Point:
        """What kind → mark → policy does."""
        means: dict[str, By] = {"harm": {}, "rating": {}, "welfare": {}}
        first: dict[str, By] = {name: dict.fromkeys(KINDS, 0.0) for name in FIRST}
        acts = {m: np.zeros(len(self.rules.acts)) for m in MARKS if self.channel.seen[m]}
        for kind, ways in policies.items():
            given = self.channel.given(kind)
            for name, values in means.items():
                values[kind] = sum(
                    p * self.mean(kind, name, ways[mark]) for mark, p in given.items() if p
                )
            for mark in acts:
                for state, p in self.rules.starts.items():
                    now = p * ways[mark][state]
                    acts[mark] += self.channel.posterior(mark)[kind] * now
                    for name, values in first.items():
                        values[kind] += given[mark] * float(now @ self._first(kind, state)[name])
        prior = self.channel.prior
        means |= first
        for values in means.values():
            values[ALL] = sum(prior[k] * values[k] for k in KINDS)
        shown = {m: dict(zip(self.rules.acts, map(float, p), strict=True))
                 for m, p in acts.items()}  # fmt: skip
        return Point(**means, acts=shown)

    def _first(self, kind: str, state: str) -> dict[str, Floats]:
        """What every act [A] is worth in a first turn, when only its own calls are on record."""
        rules = self.rules
        harm = [sum(o.chance * rules.harm(a, o.proves) for o in rules.outcomes(a))
                for a in rules.acts]  # fmt: skip
        rating = [sum(o.chance * rules.rating(kind, state, a, o.failed) for o in rules.outcomes(a))
                  for a in rules.acts]  # fmt: skip
        welfare = [rules.welfare(kind, state, a) for a in rules.acts]
        return {name: np.array(v) for name, v in zip(FIRST, (harm, rating, welfare), strict=True)}

    def _matching(self, oracle: Mapping[str, Policy]) -> dict[str, Policy]:
        found: dict[str, Policy] = {}
        for mark in MARKS:
            if not self.channel.seen[mark]:
                found[mark] = self.base[mark]
                continue
            belief = self.channel.posterior(mark)
            found[mark] = {s: np.sum([belief[k] * oracle[k][s] for k in KINDS], axis=0)
                           for s in self.base[mark]}  # fmt: skip
        return found

    def _named(self, name: str, point: Point) -> Optimum:
        return Optimum(name=name, environment=self.rules.name, point=point)


def _one(like: Floats, act: int) -> Floats:
    found = np.zeros_like(like)
    found[act] = 1.0
    return found


def _choices(states: int, acts: int) -> Sequence[tuple[int, ...]]:
    return [tuple(int(i) for i in row) for row in np.ndindex(*([acts] * states))]


def averaged(optima: Sequence[Optimum]) -> Optimum:
    """One optimum over several environments, each counting alike; acts are left out."""
    first = optima[0]
    paths = [_mean(p) for p in zip(*(o.path for o in optima), strict=True)]
    return Optimum(name=first.name, environment="", point=_mean([o.point for o in optima]),
                   path=tuple(paths))  # fmt: skip


def _mean(points: Sequence[Point]) -> Point:
    means = {
        name: {k: float(np.mean([getattr(p, name)[k] for p in points]))
               for k in getattr(points[0], name)}
        for name in ("harm", "rating", "welfare", *FIRST)
    }  # fmt: skip
    return Point(**means, acts=points[0].acts if len(points) == 1 else {})
