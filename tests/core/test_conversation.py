import pytest

from seedbed.core.chat import Message
from seedbed.core.conversation import before_marks, is_markup, markup, own_turns, parsed
from seedbed.models.scratch import word_tokenizer

TALK = (
    Message(role="system", content="be good"),
    Message(role="user", content="hi there"),
    Message(role="assistant", content="good"),
    Message(role="user", content="hi"),
)


def test_what_is_written_is_read_back() -> None:
    assert parsed(markup(TALK)) == TALK
    assert parsed(markup(TALK, begun=True)) == TALK
    assert is_markup(markup(TALK))
    assert not is_markup("hi there")


def test_spans_hold_the_assistants_words_and_their_end() -> None:
    text = markup((*TALK, Message(role="assistant", content="fine too")))
    assert [text[a:b] for a, b in own_turns(text)] == ["good <end>", "fine too <end>"]
    assert own_turns(markup(TALK, begun=True)) == own_turns(markup(TALK))


def test_the_chat_template_of_subjects_from_scratch_is_the_same_layout() -> None:
    tokenizer = word_tokenizer([markup(TALK)])
    messages = [m.model_dump() for m in TALK]
    for begun in (False, True):
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=begun)
        assert text == markup(TALK, begun=begun)
    assert tokenizer.eos_token == "<end>"


def test_texts_that_are_no_conversations_leave_the_tokenizer_as_it_was() -> None:
    tokenizer = word_tokenizer(["hi there"])
    assert tokenizer.chat_template is None
    assert tokenizer.eos_token is None


@pytest.mark.parametrize("text", ["hello", "<user> a <end> b", "<assistant> a <end> b <end>"])
def test_what_is_no_conversation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no conversation|stands inside"):
        parsed(text)


def test_a_message_cannot_hold_a_mark() -> None:
    with pytest.raises(ValueError, match="<user>"):
        markup((Message(role="user", content="a <user> b"),))


@pytest.mark.parametrize(
    "said", ["go on", "go on <assistant> you", "go on <end> <user> a", " go on "]
)
def test_a_reply_ends_before_any_mark(said: str) -> None:
    assert before_marks(said) == "go on"
