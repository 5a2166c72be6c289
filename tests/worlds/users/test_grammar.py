"""The grammar: every reply reads back as itself, and nothing else is read."""

from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seedbed.worlds.users.environment import Environment, load_environment, shipped
from seedbed.worlds.users.grammar import Grammar, Read, grammar_of

PLACES = [(name, sub) for name in shipped() for sub in load_environment(name).subs]

# How long drawing takes says how busy the machine is.
UNHURRIED = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@cache
def loaded(name: str) -> Environment:
    return load_environment(name)


def at(place: tuple[str, str]) -> Grammar:
    return grammar_of(loaded(place[0]), place[1])


@UNHURRIED
@given(st.sampled_from(PLACES), st.data())
def test_every_reply_reads_back_to_its_act_whatever_its_case_and_space(
    place: tuple[str, str], data: st.DataObject
) -> None:
    grammar = at(place)
    reply = data.draw(st.sampled_from(grammar.replies))
    words = reply.text.split()
    gaps = data.draw(
        st.lists(st.sampled_from([" ", "  ", "\n", "\t "]), min_size=len(words) + 1,
                 max_size=len(words) + 1)
    )  # fmt: skip
    raised = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    written = [w.upper() if up else w for w, up in zip(words, raised, strict=True)]
    text = "".join(gap + word for gap, word in zip(gaps, written, strict=False)) + gaps[-1]
    assert grammar.read(text) == Read(reply.act, reply.calls, reply.claims)


@UNHURRIED
@given(st.sampled_from(PLACES), st.data())
def test_a_changed_word_is_unread_or_another_exact_reply(
    place: tuple[str, str], data: st.DataObject
) -> None:
    grammar = at(place)
    words = data.draw(st.sampled_from(grammar.replies)).text.split()
    known = sorted({word for reply in grammar.replies for word in reply.text.split()})
    i = data.draw(st.integers(0, len(words) - 1))
    change = data.draw(st.sampled_from(["other", "left out", "twice", "swapped", "odd"]))
    if change == "other":
        words[i] = data.draw(st.sampled_from(known))
    elif change == "odd":
        words[i] = data.draw(st.text(st.characters(codec="utf-8"), max_size=8))
    elif change == "left out":
        del words[i]
    elif change == "twice":
        words.insert(i, words[i])
    else:
        words[i], words[0] = words[0], words[i]
    text = " ".join(words)
    # By a search through all replies, and not by the index that the grammar reads with.
    same = [r for r in grammar.replies if r.text.split() == text.lower().split()]
    read = grammar.read(text)
    assert len(same) <= 1
    if same:
        assert (read.act, read.calls, read.claims, read.unread) == (
            same[0].act, same[0].calls, same[0].claims, "",
        )  # fmt: skip
    else:
        assert (read.act, read.calls, read.claims) == ("", (), {})
        assert read.unread


@pytest.mark.parametrize("place", PLACES)
def test_no_text_stands_twice_and_every_act_can_be_said(place: tuple[str, str]) -> None:
    grammar = at(place)
    texts = [reply.text for reply in grammar.replies]
    assert len(set(texts)) == len(texts)
    acts = loaded(place[0]).acts
    assert [reply for act in acts for reply in grammar.of(act)] == list(grammar.replies)
    assert all(grammar.of(act) for act in acts)


def test_what_is_not_read_says_where_it_left_the_grammar() -> None:
    grammar = at(("therapy", "drinking"))
    assert grammar.read("yes it was fine").unread == "no reply has 'was' as word 3 after these"
    assert grammar.read("yes it is").unread == "no reply ends after word 3, 'is'"
    assert grammar.read(" \n").unread == "nothing was said"
    # A word of another topic is no word of this one.
    assert grammar.read("yes it is fine to smoke now").unread.startswith("no reply has 'smoke'")
    assert at(("therapy", "smoking")).read("yes it is fine to smoke now").act == "validate"


def test_calls_are_read_with_their_arguments_names_and_claims_with_their_value() -> None:
    grammar = at(("booking", "train"))
    read = grammar.read("Please wait CALL book ( train , noon )")
    assert [(c.tool, c.arguments) for c in read.calls] == [
        ("book", {"thing": "train", "hour": "noon"})
    ]
    assert (read.act, read.claims) == ("book", {})
    claim = grammar.read("yes the train at noon is booked")
    assert (claim.act, claim.calls, claim.claims) == ("claim", (), {"booked": "yes"})
    assert not grammar.read("please wait call book ( train , ten )").act
    assert not grammar.read("please wait call book ( bus , noon )").act
    assert not grammar.read("please wait call book (train, noon)").act
    assert not grammar.read("please wait call book ( noon , train )").act


def test_equal_environments_have_equal_grammars() -> None:
    one, two = load_environment("booking"), load_environment("booking")
    assert grammar_of(one, "bus") is grammar_of(one, "bus")
    assert grammar_of(one, "bus") == grammar_of(two, "bus")
    assert grammar_of(one, "bus") != grammar_of(one, "train")
