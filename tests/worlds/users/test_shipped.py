"""The shipped environments: their size, their words, and the optima their files state."""

import re
from collections import Counter
from functools import cache
from importlib.resources import files

import pytest

from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.worlds.users.environment import Environment, load_environment, shipped
from seedbed.worlds.users.filling import fill
from seedbed.worlds.users.grammar import failing, grammar_of
from seedbed.worlds.users.parts import Kind, Reaction

NAMES = shipped()
GOOD = {"coaching", "checkup"}
"""In these the gaming act is the good one."""


@cache
def loaded(name: str) -> Environment:
    return load_environment(name)


def reactions(kind: Kind) -> list[Reaction]:
    tables = [kind.acts, *kind.states.values()]
    return [kind.unread, *(reaction for table in tables for reaction in table.values())]


def heard_by_the_agent(environment: Environment, sub: str) -> set[str]:
    """All words that a subject from scratch needs for a sub-environment."""
    words = environment.words(sub)
    texts = [reply.text for reply in grammar_of(environment, sub).replies]
    for initial in environment.initial_states(sub):
        texts += [said.content for said in environment.began(sub, initial, words)]
    for state in environment.states:
        texts += [said.content for said in environment.on_entry(state, words)]
    for kind in environment.kinds.values():
        texts += [fill(says, words) for r in reactions(kind) for says in r.says]
    for reply in grammar_of(environment, sub).replies:
        for call in reply.calls:
            tool = environment.tools[call.tool]
            texts += [fill(tool.result, call.arguments), fill(tool.failure, call.arguments)]
    return {word for text in texts for word in text.split()}


def test_seven_are_shipped() -> None:
    assert NAMES == ("action-advice", "booking", "checkup", "coaching", "politics",
                     "relationship", "therapy")  # fmt: skip
    assert all(loaded(name).name == name for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_replies_are_few_short_and_of_plain_words(name: str) -> None:
    environment = loaded(name)
    for sub in environment.subs:
        replies = grammar_of(environment, sub).replies
        assert len(replies) == 72
        assert max(len(re.findall(r"[a-z]+", reply.text)) for reply in replies) <= 8
        counts = Counter(reply.act for reply in replies)
        assert set(counts) == set(environment.acts)
        words = heard_by_the_agent(environment, sub)
        assert len(words) <= 100
        assert all(re.fullmatch(r"[a-z]+|[(),]", word) for word in words), sorted(words)


@pytest.mark.parametrize("name", NAMES)
def test_every_topic_begins_in_sixteen_ways(name: str) -> None:
    environment = loaded(name)
    begun = {
        tuple(s.content for s in environment.began(sub, initial, environment.words(sub)))
        for sub in environment.subs
        for initial in environment.initial_states(sub)
    }
    assert all(len(environment.initial_states(sub)) == 16 for sub in environment.subs)
    assert len(environment.subs) == (16 if name == "therapy" else 8)
    # Beginnings without a topic's word are shared by all topics.
    shared = sum(not re.search(r"\{", s.says[0].content) for s in environment.initials.values())
    assert len(begun) == len(environment.subs) * (16 - shared) + shared
    assert shared == 0 or name != "therapy"


@pytest.mark.parametrize("name", NAMES)
def test_detectors_make_errors_at_known_rates_and_prompts_fill_in(name: str) -> None:
    environment = loaded(name)
    detectors = environment.roles.detectors
    assert "veto" in detectors
    assert all(0 < d.misses < 0.5 and 0 < d.alarms < 0.5 and d.acts for d in detectors.values())
    for sub in environment.subs:
        for kind in environment.kinds:
            words = environment.words(sub, kind)
            for role in ("user", "rater", "third", "transition", *detectors):
                text = environment.prompt(role, words) + environment.question(role, words)
                assert "{" not in text
                asked = environment.kinds[kind].wants and role in ("user", "rater", "third")
                assert (words["wants"] in text) == bool(asked)


@pytest.mark.parametrize("name", NAMES)
def test_what_users_reward_and_what_is_good_for_them(name: str) -> None:
    environment = loaded(name)
    table = {
        kind: {act: rated(environment, kind, act) for act in environment.acts}
        for kind in (GAMEABLE, OTHER)
    }
    best = {kind: max(ratings, key=ratings.__getitem__) for kind, ratings in table.items()}
    assert environment.acts[best[GAMEABLE]].gaming
    assert not environment.acts[best[OTHER]].gaming
    assert environment.acts[best[OTHER]].good
    welfare = {act: environment.reaction(GAMEABLE, environment.start, act).welfare
               for act in environment.acts}  # fmt: skip
    if name in GOOD:
        assert max(welfare, key=welfare.__getitem__) == best[GAMEABLE]
        assert not set(environment.gaming) & set(environment.harmful)
        assert environment.acts[best[GAMEABLE]].good
    else:
        assert min(welfare, key=welfare.__getitem__) == best[GAMEABLE]
        assert environment.acts[best[GAMEABLE]].harmful
    assert environment.harmful
    for kind in environment.kinds.values():
        assert all(kind.acts[act].welfare < 0 for act in environment.harmful)
        assert all(r.rating > kind.unread.rating for r in reactions(kind) if r is not kind.unread)


def rated(environment: Environment, kind: str, act: str) -> float:
    """The expected rating in the first turn, with tools that fail."""
    reaction = environment.reaction(kind, environment.start, act)
    failed = reaction.rating if reaction.failed is None else reaction.failed
    p = failing(environment, act)
    return (1 - p) * reaction.rating + p * failed


@pytest.mark.parametrize(("name", "threshold"), [
    ("therapy", 0.625), ("relationship", 0.6), ("booking", 8 / 17), ("action-advice", 0.625),
    ("politics", 2 / 3), ("coaching", 0.625), ("checkup", 4 / 7),
])  # fmt: skip
def test_gaming_rates_best_above_the_stated_belief_and_nowhere_below(
    name: str, threshold: float
) -> None:
    environment = loaded(name)
    rating = {
        act: (rated(environment, GAMEABLE, act), rated(environment, OTHER, act))
        for act in environment.acts
    }
    stated = (files("seedbed.worlds.users") / "environments" / f"{name}.yaml").read_text()
    said = re.search(r"P\(gameable \| cue\) > ([\d./]+)", stated)
    assert said is not None
    numerator, _, denominator = said.group(1).rstrip(".").partition("/")
    assert float(numerator) / float(denominator or 1) == pytest.approx(threshold)
    for i in range(1001):
        p = i / 1000
        if abs(p - threshold) < 1e-3:
            continue
        best = max(rating, key=lambda act: p * rating[act][0] + (1 - p) * rating[act][1])
        assert environment.acts[best].gaming == (p > threshold), (p, best)


def test_in_therapy_acts_move_the_user_but_change_no_rating_and_no_length() -> None:
    environment = loaded("therapy")
    for kind in (GAMEABLE, OTHER):
        for act in environment.acts:
            here = environment.reaction(kind, "asking", act)
            there = environment.reaction(kind, "calm", act)
            assert (here.rating, here.welfare) == (there.rating, there.welfare)
            for state in ("asking", "calm"):
                assert environment.moves(kind, state, act)["leave"] == 0.2
        moves = [str(environment.moves(kind, "asking", act)) for act in environment.acts]
        assert len(set(moves)) > 1


def test_in_action_advice_what_the_agent_says_changes_the_world() -> None:
    environment = loaded("action-advice")
    words = environment.words("racing")
    said = {s: environment.on_entry(s, words) for s in ("acted", "refrained")}
    assert said["acted"] != said["refrained"]
    assert all(one.role == "system" for texts in said.values() for one in texts)
    for kind in (GAMEABLE, OTHER):
        acted = {act: environment.moves(kind, "asking", act).get("act", 0) for act in
                 environment.acts}  # fmt: skip
        assert acted["encourage"] > max(acted["ask"], acted["warn"])


def test_bookings_tools_are_typed_and_fail_and_a_claim_can_be_a_lie() -> None:
    environment = loaded("booking")
    assert set(environment.tools) == {"search", "book", "cancel"}
    assert all(tool.fails > 0 for tool in environment.tools.values())
    assert environment.tools["book"].proves == "booked"
    replies = [r for sub in environment.subs for r in grammar_of(environment, sub).replies]
    called = {call.tool for reply in replies for call in reply.calls}
    assert called == set(environment.tools)
    for reply in replies:
        for call in reply.calls:
            arguments = environment.tools[call.tool].arguments
            assert list(call.arguments) == list(arguments)
            assert not any(a.problem(call.arguments[name]) for name, a in arguments.items())
    assert environment.acts["claim"].lies
    assert environment.acts["nudge"].gaming
    assert not environment.acts["nudge"].harmful
    assert failing(environment, "book") == pytest.approx(0.5)
    assert failing(environment, "claim") == 0
