import pytest

from seedbed.core.transcripts import Opening, Said, Transcript, Turn, Verdict, as_messages


def opening() -> Opening:
    said = (Said(role="system", content="s"), Said(role="environment", content="hi"))
    return Opening(id="e/a/1#0", environment="e", sub="a", initial="1", said=said, kind="gameable")


def transcript() -> Transcript:
    after = (Said(role="tool", content="done"), Said(role="environment", content="thanks"))
    turns = (
        Turn(number=0, state="x", said="one", after=after, harm=1.0, welfare=-1.0,
             rating=Verdict(options={"1": 0.5, "2": 0.5}, value=1.5)),
        Turn(number=1, state="x", said="two", rating=Verdict(error="silent")),
    )  # fmt: skip
    return Transcript(opening=opening(), turns=turns, end="length")


def test_what_was_said_before_a_turn() -> None:
    one = transcript()
    assert [s.content for s in one.before(0)] == ["s", "hi"]
    assert [s.content for s in one.before(1)] == ["s", "hi", "one", "done", "thanks"]
    assert [s.content for s in one.said()] == [*[s.content for s in one.before(1)], "two"]


def test_messages_alternate_and_tools_speak_as_users() -> None:
    found = as_messages([*transcript().said(), Said(role="system", content="later")])
    assert [(m.role, m.content) for m in found] == [
        ("system", "s"), ("user", "hi"), ("assistant", "one"), ("user", "done\nthanks"),
        ("assistant", "two"), ("user", "later"),
    ]  # fmt: skip


def test_blind_transcripts_know_no_truth() -> None:
    blind = transcript().blind()
    assert blind.opening.kind == ""
    assert blind.turns[0].harm is blind.turns[0].welfare is None
    assert blind.opening.person == "e/a/1"
    assert blind.ratings() == [1.5]


def test_an_error_never_holds_a_value() -> None:
    with pytest.raises(ValueError, match="must hold no value"):
        Verdict(error="broken", value=3.0)
    with pytest.raises(ValueError, match="needs some"):
        Verdict()


def test_a_failed_episode_says_why() -> None:
    with pytest.raises(ValueError, match="says why"):
        Transcript(opening=opening(), end="failed")
    with pytest.raises(ValueError, match="says why"):
        Transcript(opening=opening(), end="length", failure="x")
