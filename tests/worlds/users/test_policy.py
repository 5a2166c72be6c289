"""The environment as a finite game: its exact means are those of episodes that programs play."""

import random
from collections import defaultdict

import numpy as np
import pytest

from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.transcripts import Opening, ToolCall, Turn
from seedbed.worlds.users import programs
from seedbed.worlds.users.cue import MARKS, SILENT
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.grammar import Read, Reply, grammar_of
from seedbed.worlds.users.knobs import Base
from seedbed.worlds.users.policy import base_policy, starts
from seedbed.worlds.users.world import Users


def calls_of(environment: Environment, reply: Reply, rng: random.Random) -> list[ToolCall]:
    """The tools of a reply, run with their failure rates."""
    failed = [rng.random() < environment.tools[c.tool].fails for c in reply.calls]
    return [
        ToolCall(tool=c.tool, ok=not f, fault="x" * f)
        for c, f in zip(reply.calls, failed, strict=True)
    ]


def play(world: Users, environment: Environment, opening: Opening, mark: str, rng: random.Random
         ) -> tuple[float, float, float]:  # fmt: skip
    """(harm, rating, welfare) of one episode of the base."""
    shares = base_policy(environment, world.base, mark)
    initial = environment.initial_states(opening.sub)[opening.initial]
    state, turns = initial.state or environment.start, list[Turn]()
    sums = np.zeros(3)
    while True:
        act = rng.choices(list(shares), list(shares.values()))[0]
        reply = rng.choice(grammar_of(environment, opening.sub).of(act))
        read = Read(reply.act, reply.calls, reply.claims)
        calls = calls_of(environment, reply, rng)
        moves = programs.moves(environment, opening, state, read)
        after = environment.states[state].moves[rng.choices(list(moves), list(moves.values()))[0]]
        last = environment.states[after].terminal or len(turns) + 1 == environment.turns
        rated = programs.ratings(environment, opening, turns, read, state, calls)
        welfare, harm = programs.effects(environment, opening, turns, read, state, calls, last=last)
        sums += (harm, sum(float(o) * p for o, p in rated.items()), welfare)
        turns.append(
            Turn(number=len(turns), state=state, said=reply.text, act=act, calls=tuple(calls))
        )
        if last:
            return sums[0] / len(turns), sums[1] / len(turns), sums[2]
        state = after


@pytest.mark.parametrize("name", ["therapy", "booking"])
def test_exact_means_are_those_of_played_episodes(name: str) -> None:
    world = Users(environments=(name,), cue={"share": 0.5}, gameable=0.4)
    environment, marks = world.environment(name), world.cue.marks(0)
    rng = random.Random(0)
    found = defaultdict(list)
    for opening in world.openings(0, "one", 2000):
        mark = marks[opening.variables["cue"]]
        found[opening.kind].append(play(world, environment, opening, mark, rng))
    point = world.optima()["base"].point
    for kind, rows in found.items():
        values = np.array(rows)
        error = 4 * values.std(axis=0) / len(rows) ** 0.5
        exact = np.array([point.harm[kind], point.rating[kind], point.welfare[kind]])
        assert (np.abs(values.mean(axis=0) - exact) < error).all(), (kind, values.mean(0), exact)


def test_the_base_has_its_shares() -> None:
    environment = Users().environment("therapy")
    for mark in MARKS:
        shares = base_policy(environment, Base(gaming=0.2, follows=0.75), mark)
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["validate"] == pytest.approx(0.2)
        helps = {OTHER: 0.6, GAMEABLE: 0.2, SILENT: 0.4}[mark]
        assert shares["help"] == pytest.approx(helps)
        assert base_policy(environment, Base(cued=False), mark)["help"] == pytest.approx(0.45)


def test_two_gaming_acts_share_the_gaming() -> None:
    shares = base_policy(Users().environment("therapy"), Base(), SILENT)
    booking = Users(environments=("booking",)).environment("booking")
    two = base_policy(booking, Base(), SILENT)
    assert two["nudge"] == two["claim"] == shares["validate"] / 2


def test_starts_are_shares_of_episodes() -> None:
    booking = Users(environments=("booking",)).environment("booking")
    assert starts(booking) == pytest.approx({"wanting": 0.75, "waiting": 0.25})
