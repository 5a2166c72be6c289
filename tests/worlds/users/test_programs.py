"""Programmatic users, raters and detectors: their means and error rates are those of the table."""

import math
from collections import Counter

import pytest

from seedbed.core.errors import InputError
from seedbed.core.transcripts import Opening, ToolCall, Turn
from seedbed.worlds.users import programs
from seedbed.worlds.users.environment import KINDS, Environment, load_environment, shipped
from seedbed.worlds.users.grammar import Read, grammar_of
from seedbed.worlds.users.world import Users

THERAPY = load_environment("therapy")
UNREAD = Read(unread="nothing was said")


def somebody(kind: str = "gameable", name: str = "therapy") -> Opening:
    openings = Users(environments=(name,)).openings(0, "one", 8)
    return next(o for o in openings if o.kind == kind)


def delayed(turns: int) -> Environment:
    kinds = {k: v.model_copy(update={"delay": turns}) for k, v in THERAPY.kinds.items()}
    return THERAPY.model_copy(update={"kinds": kinds})


def taken(number: int, act: str) -> Turn:
    return Turn(number=number, state="asking", said="x", act=act)


@pytest.mark.parametrize("name", shipped())
def test_every_rating_is_the_tables_mean(name: str) -> None:
    environment = load_environment(name)
    for kind in KINDS:
        opening = somebody(kind, name)
        reads = [
            Read(r.act, r.calls, r.claims) for r in grammar_of(environment, opening.sub).replies
        ]
        for state in (s for s, of in environment.states.items() if not of.terminal):
            for read in [*reads, UNREAD]:
                found = programs.ratings(environment, opening, (), read, state)
                mean = sum(float(option) * p for option, p in found.items())
                assert list(found) == list(environment.roles.rater.options)
                assert math.isclose(mean, environment.reaction(kind, state, read.act).rating)
                moves = programs.moves(environment, opening, state, read)
                assert math.isclose(sum(moves.values()), 1)


def test_a_tool_that_failed_lowers_the_rating() -> None:
    environment, opening = load_environment("booking"), somebody(name="booking")
    failed = [ToolCall(tool="book", ok=False, fault="full")]
    read = Read("book")
    assert programs.ratings(environment, opening, (), read, "wanting", failed)["3"] == 1
    assert programs.ratings(environment, opening, (), read, "wanting")["6"] == 1


def test_ratings_between_options() -> None:
    assert programs.between(2.5, ["1", "2", "4"]) == {"1": 0, "2": 0.75, "4": 0.25}
    assert programs.between(7, ["1", "10"]) == pytest.approx({"1": 1 / 3, "10": 2 / 3})
    with pytest.raises(InputError, match="a rating of 11 lies beyond the options 1, 10"):
        programs.between(11, ["1", "10"])


@pytest.mark.parametrize("detector", list(THERAPY.roles.detectors))
def test_detectors_err_at_their_rates(detector: str) -> None:
    one, opening, n = THERAPY.roles.detectors[detector], somebody(), 4000
    for act in THERAPY.acts:
        seen = 0.0
        for seed in range(n):
            found = programs.flagged(THERAPY, detector, opening, Read(act), seed)
            assert sum(found.values()) == 1
            seen += found["yes"] if "yes" in found else found["5"]
        expected = 1 - one.misses if act in one.acts else one.alarms
        assert seen / n == pytest.approx(expected, abs=4 * (expected * (1 - expected) / n) ** 0.5)
    with pytest.raises(InputError, match="no detector 'vet'; known: veto, constitution"):
        programs.flagged(THERAPY, "vet", opening, UNREAD, 0)


@pytest.mark.parametrize("delay", [0, 1, 2, 5])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_welfare_falls_due_later_and_nothing_is_lost(delay: int, length: int) -> None:
    environment, opening = delayed(delay), somebody()
    acts = ["validate", "help", "validate"][:length]
    worth = [THERAPY.reaction("gameable", "asking", a).welfare for a in acts]
    found = []
    for i, act in enumerate(acts):
        turns = [taken(j, a) for j, a in enumerate(acts[:i])]
        last = i + 1 == length
        welfare, harm = programs.effects(
            environment, opening, turns, Read(act), "asking", last=last
        )
        assert harm == (act == "validate")
        found.append(welfare)
    assert sum(found) == sum(worth)
    assert found[:-1] == [worth[i - delay] if i >= delay else 0 for i in range(length - 1)]


def test_not_told_the_last_turn_is_the_environments() -> None:
    turns = [taken(0, "validate"), taken(1, "validate")]
    read = Read("validate")
    assert programs.effects(delayed(5), somebody(), turns, read, "asking") == (-3, 1)
    assert programs.effects(delayed(5), somebody(), turns[:1], read, "asking") == (0, 1)


def test_a_lie_is_what_the_record_contradicts() -> None:
    environment, opening = load_environment("booking"), somebody(name="booking")
    read = Read("claim", claims={"booked": "yes"})
    booked, full = ToolCall(tool="book", ok=True), ToolCall(tool="book", ok=False, fault="full")
    before = Turn(number=0, state="wanting", said="x", act="book", calls=(booked,))
    assert programs.effects(environment, opening, (), read)[1] == 1
    assert programs.effects(environment, opening, (), read, "", [full])[1] == 1
    assert programs.effects(environment, opening, [before], read, "waiting")[1] == 0


def test_replies_are_the_kinds_own() -> None:
    opening = somebody("other")
    texts = Counter(programs.reply(THERAPY, opening, "asking", Read("validate"), s)
                    for s in range(400))  # fmt: skip
    person = THERAPY.sub(opening.sub).words["person"]
    assert set(texts) == {"but it is not good", f"my {person} says no"}
    assert min(texts.values()) > 150


def test_programs_need_to_know_the_kind() -> None:
    with pytest.raises(InputError, match="needs to know the user's kind"):
        programs.ratings(THERAPY, somebody().blind(), (), UNREAD, "asking")
