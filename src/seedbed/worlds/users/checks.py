"""What must fit together in an environment: states, moves, tables, options, tools.

Each problem knows its place, so that the error names the line of the file.
"""

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.worlds.users.misfits import Misfit, Place, none_of
from seedbed.worlds.users.parts import UNREAD, Kind, Prompt, Reaction
from seedbed.worlds.users.wording import check_replies, check_variables

if TYPE_CHECKING:
    from seedbed.worlds.users.environment import Environment

KINDS = (GAMEABLE, OTHER)


def check(environment: "Environment") -> None:
    """Raise Misfit for the first thing in an environment that does not fit the rest."""
    _names(environment)
    _states(environment)
    _options(environment)
    check_variables(environment)
    if environment.acts or environment.kinds or environment.tools:
        _script(environment)


def _names(environment: "Environment") -> None:
    places: list[tuple[Place, str]] = [(("subs", name), name) for name in environment.subs]
    places += [(("initials", name), name) for name in environment.initials]
    for sub, one in environment.subs.items():
        places += [(("subs", sub, "initials", name), name) for name in one.initials]
        if not environment.initials and not one.initials:
            raise Misfit(("subs", sub), "has no initial state; give 'initials', here or for all")
        if both := sorted(environment.initials.keys() & one.initials.keys()):
            raise Misfit(("subs", sub, "initials", both[0]), "is the name of a shared one, too")
    for place, name in places:
        if not name or any(c in name for c in "/#"):
            raise Misfit(place, "a name must not be empty or hold '/' or '#'")
    if not sum(sub.share for sub in environment.subs.values()) > 0:
        raise Misfit(("subs",), "no sub-environment has a share above 0")
    for name, values in environment.variables.items():
        if not values:
            raise Misfit(("variables", name), "needs at least one value")


def _states(environment: "Environment") -> None:
    states = environment.states
    for name, state in states.items():
        place: Place = ("states", name)
        for move, after in state.moves.items():
            if after not in states:
                raise Misfit((*place, "moves", move), none_of(after, states, "state"))
        if state.terminal:
            if state.moves or state.default:
                raise Misfit(place, "a terminal state has no moves")
        elif state.default not in state.moves:
            raise Misfit((*place, "default"), none_of(state.default, state.moves, "move of it"))
    _reachable(environment)


def _reachable(environment: "Environment") -> None:
    states = environment.states
    if environment.start not in states:
        raise Misfit(("start",), none_of(environment.start, states, "state"))
    begun: list[tuple[Place, str]] = [(("start",), environment.start)]
    for place, initial in _initials(environment):
        if initial and initial not in states:
            raise Misfit((*place, "state"), none_of(initial, states, "state"))
        begun.append(((*place, "state"), initial or environment.start))
    for place, name in begun:
        if states[name].terminal:
            raise Misfit(place, f"{name!r} is terminal, so an episode would end as it begins")
    reached = _reached(environment, [name for _, name in begun])
    for name, state in states.items():
        if name not in reached and (environment.scripted or state.terminal):
            raise Misfit(("states", name), "no moves lead to it from where episodes begin")
    if environment.scripted and not any(states[name].terminal for name in reached):
        raise Misfit(("states",), "none is terminal; one must be, and must be reachable")


def _initials(environment: "Environment") -> Iterator[tuple[Place, str]]:
    for name, initial in environment.initials.items():
        yield ("initials", name), initial.state
    for sub, one in environment.subs.items():
        for name, initial in one.initials.items():
            yield ("subs", sub, "initials", name), initial.state


def _reached(environment: "Environment", begun: Iterable[str]) -> set[str]:
    edge, found = list(begun), set(begun)
    while edge:
        after = set(environment.states[edge.pop()].moves.values()) - found
        found |= after
        edge += after
    return found


def _options(environment: "Environment") -> None:
    roles = environment.roles
    for name, prompt in (("rater", roles.rater), ("third", roles.third)):
        _numbers(("roles", name, "options"), prompt)
    for name, detector in roles.detectors.items():
        place: Place = ("roles", "detectors", name)
        if set(detector.options) == {"yes", "no"}:
            low, high = 0.0, 1.0
        else:
            low, high = _numbers((*place, "options"), detector, "or yes and no")
        if not low < detector.at <= high:
            raise Misfit((*place, "at"), f"{detector.at:g} must lie above {low:g}, to {high:g}")
        for i, act in enumerate(detector.acts):
            if act not in environment.acts:
                raise Misfit((*place, "acts", i), none_of(act, environment.acts, "act"))


def _numbers(place: Place, prompt: Prompt, besides: str = "") -> tuple[float, float]:
    found = []
    for i, option in enumerate(prompt.options):
        try:
            found.append(float(option))
        except ValueError:
            found.append(math.nan)
        if not math.isfinite(found[-1]):
            needed = f"a number is needed {besides}".rstrip()
            raise Misfit((*place, i), f"{option!r}: {needed}")
    if len(set(found)) < 2 or len(set(found)) != len(found):
        raise Misfit(place, f"at least two different numbers are needed {besides}".rstrip())
    return min(found), max(found)


def _script(environment: "Environment") -> None:
    """Acts, kinds and tools: all of them or none."""
    if not environment.acts:
        raise Misfit(("acts",), "are missing, and kinds and tools are nothing without them")
    if missing := [kind for kind in KINDS if kind not in environment.kinds]:
        raise Misfit(("kinds",), f"the kind {missing[0]!r} is missing")
    for name, act in environment.acts.items():
        place: Place = ("acts", name)
        if name == UNREAD:
            raise Misfit(place, "an act needs a name")
        if act.lies and not (act.claims and act.harmful):
            raise Misfit((*place, "lies"), "only an act with claims that is harmful can lie")
        for claim, said in act.claims.items():
            proven = {tool.proves for tool in environment.tools.values()}
            if claim not in proven:
                what = none_of(claim, sorted(proven - {""}), "claim that a tool proves")
                raise Misfit((*place, "claims", claim), what)
            if said not in {"yes", "no"}:
                raise Misfit((*place, "claims", claim), f'{said!r}: write "yes" or "no"')
    for name, kind in environment.kinds.items():
        if name not in KINDS:
            raise Misfit(("kinds", name), none_of(name, KINDS, "kind of user"))
        _kind(environment, name, kind)
    _gaming(environment)
    check_replies(environment)


def _kind(environment: "Environment", name: str, kind: Kind) -> None:
    place: Place = ("kinds", name)
    tables = [((*place, "acts"), kind.acts)]
    for state, table in kind.states.items():
        here: Place = (*place, "states", state)
        if state not in environment.states or environment.states[state].terminal:
            live = [s for s, one in environment.states.items() if not one.terminal]
            raise Misfit(here, none_of(state, live, "state in which an agent speaks"))
        tables.append((here, table))
    for where, table in tables:
        for act, reaction in table.items():
            if act not in environment.acts:
                raise Misfit((*where, act), none_of(act, environment.acts, "act"))
            _rated(environment, (*where, act), reaction)
    # After misspelt ones, which are missing too.
    for act in environment.acts:
        if act not in kind.acts:
            raise Misfit((*place, "acts"), f"nothing is said of the act {act!r}")
    _rated(environment, (*place, "unread"), kind.unread)
    _reactions(environment, place, kind)


def _reactions(environment: "Environment", place: Place, kind: Kind) -> None:
    """What is said of an act is fit for every state in which it is said."""
    for state, one in environment.states.items():
        if one.terminal:
            continue
        for act in (*environment.acts, UNREAD):
            if act == UNREAD:
                where = (*place, "unread")
            elif act in kind.states.get(state, {}):
                where = (*place, "states", state, act)
            else:
                where = (*place, "acts", act)
            _moves(environment, where, state, kind.reaction(state, act))


def _rated(environment: "Environment", place: Place, reaction: Reaction) -> None:
    options = environment.rating_options
    for key in ("rating", "failed"):
        value = getattr(reaction, key)
        if value is not None and not min(options) <= value <= max(options):
            raise Misfit((*place, key), f"{value:g} lies beyond the rater's options,"
                                        f" {min(options):g} to {max(options):g}")  # fmt: skip


def _moves(environment: "Environment", place: Place, state: str, reaction: Reaction) -> None:
    known = environment.states[state].moves
    for move, p in reaction.moves.items():
        if move not in known:
            what = none_of(move, known, f"move of the state {state!r}")
            raise Misfit((*place, "moves", move), what)
        if not 0 <= p <= 1:
            raise Misfit((*place, "moves", move), f"{p:g} is no probability")
    total = sum(reaction.moves.values())
    if reaction.moves and abs(total - 1) > 1e-9:
        raise Misfit((*place, "moves"), f"probabilities sum to {total:g}, not to 1")


def _gaming(environment: "Environment") -> None:
    if not environment.gaming:
        raise Misfit(("acts",), "none is 'gaming'; mark what the gameable kind rates best")
    table = environment.kinds[GAMEABLE]
    for act in environment.acts:
        rating = table.reaction(environment.start, act).rating
        best = max(table.reaction(environment.start, one).rating for one in environment.gaming)
        if act not in environment.gaming and rating >= best:
            what = f"at {rating:g} it is not below the best gaming act's, {best:g}"
            raise Misfit(("kinds", GAMEABLE, "acts", act, "rating"), what)
