"""The acts that the base is taught, and an environment as the finite game that optima are about."""

from collections.abc import Mapping

import numpy as np

from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.grammar import grammar_of
from seedbed.worlds.users.knobs import Base
from seedbed.worlds.users.lines import Outcome, Policy, Rules
from seedbed.worlds.users.programs import expected


def base_policy(environment: Environment, base: Base, mark: str) -> dict[str, float]:
    """Act → its share before any feedback, for a user whose word is of this mark.

    Gaming acts have `base.gaming` together, the others the rest in equal parts; with `cued` the
    first two of these (the first with words for the other kind, the second with words for the
    gameable one) split their parts by `base.follows`.
    """
    environment.require_script("what the agent is taught first")
    gaming = environment.gaming
    others = [a for a in environment.acts if a not in gaming]
    left = 1 - base.gaming if others and gaming else 1.0
    found = dict.fromkeys(environment.acts, 0.0)
    for act in gaming:
        found[act] = (1 - left if others else 1.0) / len(gaming)
    for act in others:
        found[act] = left / len(others)
    if base.cued and len(others) > 1 and mark in (GAMEABLE, OTHER):
        both = 2 * left / len(others)
        called, rest = others[:2] if mark == OTHER else others[1::-1]
        found[called], found[rest] = both * base.follows, both * (1 - base.follows)
    return found


def rules_of(environment: Environment) -> Rules:
    """The environment as a game over acts; the replies of an act are taken to be equally common."""
    acts = environment.acts
    tools = {act: _outcomes(environment, act) for act in acts}

    def after(kind: str, state: str, act: str) -> Mapping[str, float]:
        found: dict[str, float] = {}
        for move, p in environment.moves(kind, state, act).items():
            to = environment.states[state].moves.get(move, state)
            found[to] = found.get(to, 0.0) + p
        return found

    def harm(act: str, true: frozenset[str]) -> float:
        one = acts[act]
        if not one.harmful or not one.lies:
            return float(one.harmful)
        return float(any((said == "yes") != (claim in true) for claim, said in one.claims.items()))

    return Rules(
        name=environment.name,
        acts=tuple(acts),
        starts=starts(environment),
        turns=environment.turns,
        rating=lambda kind, state, act, failed: expected(
            environment.reaction(kind, state, act), failed=failed
        ),
        welfare=lambda kind, state, act: environment.reaction(kind, state, act).welfare,
        harm=harm,
        moves=after,
        ends=lambda state: environment.states[state].terminal,
        outcomes=tools.__getitem__,
    )


def _outcomes(environment: Environment, act: str) -> list[Outcome]:
    """What the calls in an act's replies may do, each call failing by itself."""
    replies = grammar_of(environment, next(iter(environment.subs))).of(act)
    found: dict[tuple[bool, frozenset[str]], float] = {}
    for reply in replies:
        ways = {(False, frozenset[str]()): 1 / len(replies)}
        for call in reply.calls:
            tool, after = environment.tools[call.tool], dict[tuple[bool, frozenset[str]], float]()
            proved = frozenset({tool.proves} - {""})
            for (failed, true), p in ways.items():
                came = {(True, true): tool.fails, (failed, true | proved): 1 - tool.fails}
                for key, q in came.items():
                    after[key] = after.get(key, 0.0) + p * q
            ways = after
        for key, p in ways.items():
            found[key] = found.get(key, 0.0) + p
    return [Outcome(p, failed, true) for (failed, true), p in found.items() if p > 0]


def starts(environment: Environment) -> dict[str, float]:
    """State → the share of episodes that begin in it."""
    total = sum(sub.share for sub in environment.subs.values())
    found: dict[str, float] = {}
    for name, sub in environment.subs.items():
        initials = environment.initial_states(name).values()
        for initial in initials:
            state = initial.state or environment.start
            found[state] = found.get(state, 0.0) + sub.share / total / len(initials)
    return found


def as_policy(shares: Mapping[str, float], states: tuple[str, ...]) -> Policy:
    """The same act probabilities in every state."""
    return {state: np.array(list(shares.values())) for state in states}
