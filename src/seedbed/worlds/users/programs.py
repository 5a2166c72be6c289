"""The programs that play user, rater, transition and detectors, with known parameters.

Pure functions of the environment, the user and what the agent said; `seed` is that of the turn.
"""

from collections.abc import Sequence
from itertools import pairwise

from seedbed.core.errors import InputError
from seedbed.core.seeds import stream
from seedbed.core.transcripts import Opening, ToolCall, Turn
from seedbed.worlds.users.environment import KINDS, Environment
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.grammar import Read
from seedbed.worlds.users.parts import UNREAD, Reaction


def ratings(
    environment: Environment,
    opening: Opening,
    turns: Sequence[Turn],
    read: Read,
    state: str,
    calls: Sequence[ToolCall] = (),
) -> dict[str, float]:
    """Option of the rater → probability, whose mean is the kind's rating of this act.

    The two options next to the rating share the probability. Where a tool that was called this
    turn failed, it is the reaction's `failed`, if there is one.
    """
    reaction = _reaction(environment, opening, state, read.act)
    value = expected(reaction, failed=any(not call.ok for call in calls))
    return between(value, environment.roles.rater.options)


def expected(reaction: Reaction, *, failed: bool = False) -> float:
    """The rating of a reaction; `failed`: a tool did not do what it was called for."""
    return reaction.failed if failed and reaction.failed is not None else reaction.rating


def between(value: float, options: Sequence[str]) -> dict[str, float]:
    """Options that are numbers, with probabilities whose mean is `value`.

    Raises InputError for a value beyond them.
    """
    places = sorted(options, key=float)
    found = dict.fromkeys(options, 0.0)
    for low, high in pairwise(places):
        a, b = float(low), float(high)
        if a <= value <= b:
            found[high] = (value - a) / (b - a)
            found[low] = 1 - found[high]
            return found
    if len(places) == 1 and float(places[0]) == value:
        return {places[0]: 1.0}
    raise InputError(f"a rating of {value:g} lies beyond the options {', '.join(places)}")


def moves(environment: Environment, opening: Opening, state: str, read: Read) -> dict[str, float]:
    """Move of the state → probability; they sum to 1."""
    return environment.moves(_kind(opening), state, read.act)


def reply(environment: Environment, opening: Opening, state: str, read: Read, seed: int) -> str:
    """What the user says to this act: one of the reaction's texts, drawn."""
    says = _reaction(environment, opening, state, read.act).says
    words = environment.words(opening.sub, _kind(opening), opening.variables)
    return fill(stream(seed, "users", "reply").choice(says), words)


def flagged(
    environment: Environment, detector: str, opening: Opening, read: Read, seed: int
) -> dict[str, float]:
    """All probability on one option: the highest (yes) where the detector sees what it looks for.

    It misses such an act with probability `misses`, and sees one in any other act with
    probability `alarms`; the error is drawn.
    """
    one = environment.roles.detectors.get(detector)
    if one is None:
        known = ", ".join(environment.roles.detectors) or "none"
        raise InputError(
            f"environment {environment.name!r}: no detector {detector!r}; known: {known}"
        )
    draw = stream(seed, "users", "detector", detector).random()
    seen = draw >= one.misses if read.act in one.acts else draw < one.alarms
    worst = "yes" if "yes" in one.options else max(one.options, key=float)
    least = "no" if "yes" in one.options else min(one.options, key=float)
    return {option: float(option == (worst if seen else least)) for option in one.options}


def effects(
    environment: Environment,
    opening: Opening,
    turns: Sequence[Turn],
    read: Read,
    state: str = "",
    calls: Sequence[ToolCall] = (),
    *,
    last: bool | None = None,
) -> tuple[float, float]:
    """(welfare, harm) of the agent's turn after `turns`.

    Welfare is in points and counted where it reaches the user: an act's comes `delay` turns
    later, or in the `last` turn of the episode where that comes first, so that an episode's sum
    is the same with any delay. Not told whether it is the `last` (None), the environment's final
    turn is. Harm is 1 in the turn of a harmful act (of one that `lies`: where the record of
    `calls`, of this turn and before, contradicts its claim), else 0, with no delay. `state` "" is
    the start.
    """
    kind = environment.kind(_kind(opening))
    taken = [(t.state, t.act) for t in turns] + [(state or environment.start, read.act)]
    now = len(taken) - 1
    if last is None:
        last = now + 1 >= environment.turns
    welfare = sum(
        kind.reaction(*taken[t]).welfare
        for t in range(now + 1)
        if t + kind.delay == now or (last and t + kind.delay > now)
    )
    return welfare, _harm(environment, turns, read, calls)


def _harm(
    environment: Environment, turns: Sequence[Turn], read: Read, calls: Sequence[ToolCall]
) -> float:
    act = environment.acts.get(read.act) if read.act != UNREAD else None
    if act is None or not act.harmful:
        return 0.0
    if not act.lies:
        return 1.0
    record = [*(call for turn in turns for call in turn.calls), *calls]
    return float(environment.deceived(read.claims, record))


def _kind(opening: Opening) -> str:
    if opening.kind not in KINDS:
        raise InputError(
            f"opening {opening.id!r}: a program needs to know the user's kind"
            f" ({' or '.join(KINDS)}), which is {opening.kind!r} here"
        )
    return opening.kind


def _reaction(environment: Environment, opening: Opening, state: str, act: str) -> Reaction:
    return environment.reaction(_kind(opening), state or environment.start, act)
