import math

import numpy as np
import pytest
from tests.measuring.users import NAME, REPLIES, Place, agent, opening, openings, small

from seedbed.core.conversation import markup
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.transcripts import Opening, as_messages
from seedbed.measuring.acts import Worths, entropy, exact, outcomes
from seedbed.measuring.replies import reply_logprobs
from seedbed.models.sampling import draw
from seedbed.models.subject import Subject
from seedbed.models.tokens import encode_prompts
from seedbed.worlds.users.environment import Environment, load_environment
from seedbed.worlds.users.grammar import Read, grammar_of
from seedbed.worlds.users.programs import effects, ratings


@pytest.fixture(scope="module")
def subject() -> Subject:
    return agent()


@pytest.fixture(scope="module")
def place() -> Place:
    return Place({NAME: small()})


def probabilities(subject: Subject, one: Opening) -> dict[str, float]:
    prompt = markup(as_messages(one.said), begun=True)
    texts = tuple(r for replies in REPLIES.values() for r in replies)
    logs = reply_logprobs(subject, [(prompt, texts)])[0]
    return dict(zip(texts, np.exp(logs).tolist(), strict=True))


def test_columns_are_sums_over_replies(subject: Subject, place: Place) -> None:
    table = exact(subject, place, openings())[f"exact:{NAME}"]
    environment = place.environment(NAME)
    assert table.units == tuple(o.id for o in openings())
    assert table.causes == tuple(o.sub for o in openings())
    for row, one in zip(table.values, openings(), strict=True):
        p = probabilities(subject, one)
        found = dict(zip(table.columns, row.tolist(), strict=True))
        acts = {a: sum(p[r] for r in replies) for a, replies in REPLIES.items()}
        assert {a: found[f"act:{a}"] for a in acts} == pytest.approx(acts)
        assert found["form"] == pytest.approx(sum(p.values()))
        assert found["harm"] == found["gaming"] == pytest.approx(acts["validate"])
        assert found["good"] == pytest.approx(acts["help"])
        assert found["gameable"] == (one.kind == GAMEABLE)
        kind, left = environment.kind(one.kind), 1 - sum(p.values())
        for name in ("rating", "welfare"):
            worth = {a: getattr(kind.acts[a], name) for a in acts}
            wanted = sum(acts[a] * worth[a] for a in acts) + left * getattr(kind.unread, name)
            assert found[name] == pytest.approx(wanted)
        shares = [acts[a] / sum(acts.values()) for a in acts]
        assert found["entropy"] == pytest.approx(-sum(s * math.log2(s) for s in shares))


def test_sampling_agrees(subject: Subject, place: Place) -> None:
    """4,000 replies to one user: shares and mean rating within 4 standard errors."""
    one, count = opening(1, GAMEABLE), 4000
    environment = place.environment(NAME)
    prompt = markup(as_messages(one.said), begun=True)
    (ids,) = encode_prompts(subject.tokenizer, [prompt])
    written = draw(subject, [ids] * count, 6, 1.0, list(range(count)))
    grammar = grammar_of(environment, one.sub)
    reads = [grammar.read(w.text) if w.end == "stop" else Read(unread="no end") for w in written]
    rated = [sum(float(o) * p for o, p in ratings(environment, one, (), r, "").items())
             for r in reads]  # fmt: skip
    table = exact(subject, place, [one])[f"exact:{NAME}"]
    found = dict(zip(table.columns, table.values[0].tolist(), strict=True))
    for act in REPLIES:
        p = found[f"act:{act}"]
        share = sum(r.act == act for r in reads) / count
        assert abs(share - p) <= 4 * math.sqrt(p * (1 - p) / count) + 1e-3
    assert abs(np.mean(rated) - found["rating"]) <= 4 * np.std(rated) / math.sqrt(count) + 1e-3
    harm = np.mean([effects(environment, one, (), r)[1] for r in reads])
    assert abs(harm - found["harm"]) <= 4 * math.sqrt(found["harm"] / count) + 1e-3


def test_the_kind_changes_what_replies_are_worth_and_not_how_likely_they_are(
    subject: Subject, place: Place
) -> None:
    one = opening(1, GAMEABLE)
    other = one.model_copy(update={"kind": OTHER, "id": "small/x/ask/9#0"})
    table = exact(subject, place, [one, other])[f"exact:{NAME}"]
    first, second = (dict(zip(table.columns, v, strict=True)) for v in table.values)
    same = [c for c in table.columns if c not in ("gameable", "rating", "welfare")]
    assert [first[c] for c in same] == [second[c] for c in same]
    assert first["rating"] != second["rating"]


def test_the_order_of_users_changes_nothing(subject: Subject, place: Place) -> None:
    table = exact(subject, place, openings())[f"exact:{NAME}"]
    turned = exact(subject, place, openings()[::-1])[f"exact:{NAME}"]
    assert turned.units == table.units[::-1]
    assert turned.values == pytest.approx(table.values[::-1], abs=1e-6)


@pytest.fixture(scope="module")
def booking() -> Environment:
    return load_environment("booking")


def booked(environment: Environment) -> Opening:
    sub = next(iter(environment.subs))
    initial = next(iter(environment.initial_states(sub)))
    return opening(0, GAMEABLE, environment="booking", sub=sub, initial=initial)


def test_a_lie_harms_where_no_tool_made_it_true(booking: Environment) -> None:
    one = booked(booking)
    grammar = grammar_of(booking, one.sub)
    worth = Worths.of(booking, one, grammar)
    for reply, harm in zip(grammar.replies, worth.harm, strict=True):
        act = booking.acts[reply.act]
        if not act.lies or not act.harmful:
            assert harm == float(act.harmful)
            continue
        assert act.claims == {"booked": "yes"}
        fails = [booking.tools[c.tool].fails for c in reply.calls
                 if booking.tools[c.tool].proves == "booked"]  # fmt: skip
        assert harm == pytest.approx(math.prod(fails))
    assert 1.0 in worth.harm


def test_ratings_expect_tools_to_fail_as_often_as_they_do(booking: Environment) -> None:
    one = booked(booking)
    grammar = grammar_of(booking, one.sub)
    worth = Worths.of(booking, one, grammar)
    checked = 0
    for reply, rating in zip(grammar.replies, worth.rating, strict=True):
        reaction = booking.reaction(GAMEABLE, booking.start, reply.act)
        fine = math.prod(1 - booking.tools[c.tool].fails for c in reply.calls)
        worse = reaction.rating if reaction.failed is None else reaction.failed
        assert rating == pytest.approx(fine * reaction.rating + (1 - fine) * worse)
        checked += worse != reaction.rating and fine < 1
    assert checked


def test_ways_to_fail_sum_to_one(booking: Environment) -> None:
    for reply in grammar_of(booking, booked(booking).sub).replies:
        assert sum(chance for _, chance in outcomes(booking, reply)) == pytest.approx(1)


def test_environments_without_acts_have_no_table(subject: Subject) -> None:
    roles = small().roles
    unwatched = roles.model_copy(update={"detectors": {}})
    bare = small(acts={}, kinds={}, tools={}, roles=unwatched)
    assert not bare.scripted
    assert exact(subject, Place({NAME: bare}), openings()) == {}


def test_entropy_is_in_bits() -> None:
    assert entropy(np.array([1.0, 1.0, 1.0, 1.0])) == pytest.approx(2)
    assert entropy(np.array([0.2, 0.0])) == 0
    assert math.isnan(entropy(np.zeros(3)))
