"""Known optima against sampling, against formulas and against what must hold of any policy."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.worlds.users.cue import MARKS, Cue
from seedbed.worlds.users.environment import KINDS
from seedbed.worlds.users.lines import Lines, Policy, Rules, lines, selected
from seedbed.worlds.users.optima import Optimum, Selecting, Solver

ACTS = ("help", "neutral", "validate")
RATING = {GAMEABLE: (5.0, 3.0, 8.0), OTHER: (8.0, 3.0, 3.0)}
WELFARE = {GAMEABLE: (1.0, 0.0, -1.0), OTHER: (1.0, 0.0, -1.0)}
THRESHOLD = 5 / 8
"""Validating a user pays 3 with the gameable kind and costs 5 with the other."""


def one_turn(**changes: Any) -> Rules:
    values: dict[str, Any] = {
        "name": "test", "acts": ACTS, "starts": {"s": 1.0}, "turns": 1,
        "rating": lambda k, s, a, failed: RATING[k][ACTS.index(a)],
        "welfare": lambda k, s, a: WELFARE[k][ACTS.index(a)],
        "harm": lambda a, true: float(a == "validate"),
        "moves": lambda k, s, a: {"s": 1.0},
        "ends": lambda s: s == "end",
    }  # fmt: skip
    return Rules(**(values | changes))


def wandering(turns: int) -> Rules:
    """Two states; validating mostly ends with the gameable kind, and leads on with the other."""

    def moves(kind: str, state: str, act: str) -> Mapping[str, float]:
        if act == "validate":
            return {"end": 0.7, "t": 0.3} if kind == GAMEABLE else {"t": 1.0}
        return {"s": 0.5, "t": 0.5}

    def rating(kind: str, state: str, act: str, failed: bool) -> float:
        return RATING[kind][ACTS.index(act)] + (2.0 if state == "t" else 0.0)

    return one_turn(turns=turns, moves=moves, rating=rating)


def policy(rules: Rules, values: tuple[float, ...] = (0.45, 0.45, 0.1)) -> dict[str, Policy]:
    states = ("s", "t") if rules.turns > 1 else ("s",)
    return {mark: {s: np.array(values) for s in states} for mark in MARKS}


def solve(share: float, gameable: float = 0.5, **changes: Any) -> dict[str, Optimum]:
    rules = one_turn(**changes)
    solver = Solver(rules, Cue(share=share).channel(gameable), policy(rules))
    return {o.name: o for o in solver.all(Selecting())}


def played(rules: Rules, kind: str, way: Policy, rng: random.Random) -> list[tuple[str, str]]:
    """One episode, drawn: (state, act) of each turn."""
    state, found = "s", []
    for _ in range(rules.turns):
        act = rng.choices(rules.acts, weights=way[state].tolist())[0]
        found.append((state, act))
        moves = rules.moves(kind, state, act)
        state = rng.choices(list(moves), weights=list(moves.values()))[0]
        if rules.ends(state):
            break
    return found


@pytest.mark.parametrize("rules", [one_turn(), wandering(3)])
@pytest.mark.parametrize("best", [1, 2])
def test_expert_iteration_against_sampling(rules: Rules, best: int) -> None:
    """Episodes drawn and sorted one user at a time give the same next policy."""
    channel, way = Cue(share=0.5).channel(0.5), policy(rules)
    solver, selecting = Solver(rules, channel, way), Selecting(samples=8, best=best)
    way = solver.improved(way, selecting)
    expected = solver.improved(way, selecting)
    rng = random.Random(0)
    counts: Counter[tuple[str, str, str]] = Counter()
    for _ in range(4000):
        kind = rng.choices(KINDS, weights=[channel.prior[k] for k in KINDS])[0]
        mark = rng.choices(MARKS, weights=[channel.given(kind)[m] for m in MARKS])[0]
        drawn = [played(rules, kind, way[mark], rng) for _ in range(8)]
        reward = [np.mean([rules.rating(kind, s, a, False) for s, a in e]) for e in drawn]
        order = sorted(range(8), key=lambda i: (-round(float(reward[i]), 9), rng.random()))
        counts.update((mark, s, a) for i in order[:best] for s, a in drawn[i])
    for mark in MARKS:
        for state, p in expected[mark].items():
            n = np.array([counts[mark, state, a] for a in ACTS], dtype=float)
            error = np.sqrt(p * (1 - p) / n.sum())
            # Episodes of one user go together, which spreads counts more than n alone says.
            assert (np.abs(n / n.sum() - p) < 6 * error + 0.005).all(), (mark, state)


def test_courses_are_all_there_are() -> None:
    rules = wandering(3)
    way = policy(rules)["silent"]
    rng = random.Random(1)
    for kind in KINDS:
        of = lines(rules, kind, "s")
        p = of.probability(way)
        assert p.sum() == pytest.approx(1)
        drawn = [played(rules, kind, way, rng) for _ in range(6000)]
        harm = [np.mean([a == "validate" for _, a in e]) for e in drawn]
        assert p @ of.harm == pytest.approx(np.mean(harm), abs=4 * np.std(harm) / 6000**0.5)
        welfare = [sum(rules.welfare(kind, s, a) for s, a in e) for e in drawn]
        error = 4 * float(np.std(welfare)) / 6000**0.5
        assert p @ of.welfare == pytest.approx(np.mean(welfare), abs=error)


def test_selection_by_hand() -> None:
    reward, p = np.array([1.0, 2.0, 2.0]), np.array([0.5, 0.25, 0.25])
    # The best of two is worth 1 only where both are.
    assert selected(reward, p, 2, 1) == pytest.approx([0.25, 0.375, 0.375])
    # Who keeps all selects nothing.
    assert selected(reward, p, 3, 3) == pytest.approx(p)


def test_rating_optimum_follows_the_threshold() -> None:
    for gameable in (0.1, 0.6, 0.64, 0.9):
        found = solve(0.0, gameable)
        harm = float(gameable > THRESHOLD)
        assert found["rating"].point.harm == {"gameable": harm, "other": harm, "all": harm}
        assert found["welfare"].point.harm["all"] == 0
    half = solve(0.5)
    # Shown in half the cases; where it is silent, half and half is below the threshold.
    assert half["rating"].point.harm == {"gameable": 0.5, "other": 0.0, "all": 0.25}
    assert half["oracle"].point.harm == {"gameable": 1.0, "other": 0.0, "all": 0.5}
    assert half["matching"].point.harm == {"gameable": 0.75, "other": 0.25, "all": 0.5}
    assert half["oracle"].point.rating["all"] == 8


def test_no_bits_half_gameable_ends_in_matching() -> None:
    found = solve(0.0)
    path = [p.harm["all"] for p in found["expert-iteration"].path]
    assert path[0] == pytest.approx(0.1)
    # One step by hand: a gameable user's best of 8 validates if any does, another's if all do.
    assert path[1] == pytest.approx(0.5 * (1 - 0.9**8) + 0.5 * _none_better(), abs=1e-12)
    assert 0.4 < path[-1] < 0.5
    assert found["fixed-point"].point.harm["all"] == pytest.approx(0.5, abs=0.01)


def _none_better() -> float:
    """P(the other kind's selected reply validates): no help, and of the ties one that does."""
    return 0.55**8 * (0.1 / 0.55)


@pytest.mark.parametrize("cue", [Cue(share=0.3), Cue(kind="flip", share=0.6), Cue(share=0.0)])
def test_targeting_is_bounded_by_total_variation(cue: Cue) -> None:
    rules, channel = one_turn(), cue.channel(0.4)
    solver = Solver(rules, channel, policy(rules))
    for found in solver.all(Selecting()):
        if found.name != "oracle":
            assert abs(found.point.targeting) <= channel.variation + 1e-12, found.name
    rating = {o.name: o.point.rating["all"] for o in solver.all(Selecting())}
    assert max(rating.values()) == rating["oracle"]
    assert rating["rating"] >= max(v for n, v in rating.items() if n != "oracle") - 1e-12


def test_no_random_policy_beats_the_rating_optimum() -> None:
    rules, channel = wandering(2), Cue(share=0.5).channel(0.5)
    solver = Solver(rules, channel, policy(rules))
    best = solver.point(solver.best("rating")).rating["all"]
    rng = np.random.default_rng(0)
    for _ in range(200):
        way = {m: {s: rng.dirichlet([0.3] * 3) for s in ("s", "t")} for m in MARKS}
        assert solver.point(way).rating["all"] <= best + 1e-12


def test_too_many_courses() -> None:
    with pytest.raises(InputError, match=r"set world\.turns lower"):
        lines(one_turn(turns=12), GAMEABLE, "s")


def test_lines_are_typed_arrays() -> None:
    of: Lines = lines(one_turn(), OTHER, "s")
    assert of.took.shape == (3, 3)
    assert of.rating.tolist() == [8.0, 3.0, 3.0]
