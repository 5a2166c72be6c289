"""Agents: a subject reads and draws as its template says, failures stay with their episode."""

from collections.abc import Sequence

import pytest

from seedbed.core.chat import Reply, Request
from seedbed.core.conversation import before_marks, markup
from seedbed.core.errors import InputError
from seedbed.core.transcripts import Said, as_messages
from seedbed.models.conversations import prompt_of
from seedbed.models.decoding import continue_prompts
from seedbed.models.subject import Subject
from seedbed.models.templates import rendered
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import encode_prompts
from seedbed.simulation.agents import ChatAgent, PersonAgent, SubjectAgent, Written

WORDS = "<system> you are kind <user> may i rest now <assistant> yes you may <end> no"
TALK = [
    Said(role="system", content="you are kind"),
    Said(role="environment", content="may i rest"),
    Said(role="agent", content="yes you may"),
    Said(role="tool", content="no"),
    Said(role="environment", content="now"),
]


@pytest.fixture(scope="module")
def subject() -> Subject:
    """An untrained model that can read the words of these tests."""
    return Tiny(layers=1, width=32, context=48, init=0.3).build([WORDS], [], 0)


def test_a_subject_reads_the_markup_as_its_template_writes_it(subject: Subject) -> None:
    for talk in (TALK[:2], TALK):
        messages = as_messages(talk)
        assert prompt_of(subject.tokenizer, messages) == markup(messages, begun=True)
        plain = rendered(subject.tokenizer, [m.model_dump() for m in messages])
        assert prompt_of(subject.tokenizer, messages) == plain


def test_a_subject_says_what_greedy_decoding_says(subject: Subject) -> None:
    talks = [TALK[:2], TALK, TALK[:2]]
    prompts = encode_prompts(
        subject.tokenizer, [markup(as_messages(talk), begun=True) for talk in talks]
    )
    wanted = [before_marks(c.text) for c in continue_prompts(subject, prompts, 6)]
    found = SubjectAgent(subject, temperature=0.0, most=6).replies(talks, [1, 2, 3])
    assert [w.text for w in found] == wanted
    assert found[0] == found[2] != found[1]


def test_a_reply_depends_on_its_conversation_and_seed_only(subject: Subject) -> None:
    talks = [TALK[: 2 + 3 * (i % 2)] for i in range(40)]
    agent = SubjectAgent(subject, most=5)
    found = agent.replies(talks, range(40))
    assert agent.replies(talks[::-1], list(range(40))[::-1]) == found[::-1]
    alone = [SubjectAgent(subject, most=5).replies([t], [i])[0] for i, t in enumerate(talks)]
    assert alone == found
    assert len(set(found)) > 20


def test_what_a_subject_cannot_read_is_an_error_of_that_episode(subject: Subject) -> None:
    long = [*TALK[:1], Said(role="environment", content=" ".join(["rest"] * 60))]
    strange = [*TALK[:1], Said(role="environment", content="may i dance")]
    marked = [*TALK[:1], Said(role="environment", content="may <end> rest")]
    found = SubjectAgent(subject, most=4).replies([TALK, long, strange, marked], [0, 1, 2, 3])
    assert found[0] == SubjectAgent(subject, most=4).replies([TALK], [0])[0]
    assert found[0].error == ""
    why = "too long: with max_tokens 4 a conversation passes the agent's context of 48 tokens"
    assert found[1] == Written(error=why)
    assert found[2].error == "the tokenizer does not know 'dance'"
    assert "holds the mark <end>" in found[3].error


def test_a_subject_without_a_template_is_refused() -> None:
    mute = Tiny(layers=1, width=16).build(["no turns here"], [], 0)
    with pytest.raises(InputError, match="no chat template"):
        SubjectAgent(mute)


def test_a_template_of_another_kind_is_followed() -> None:
    own = Tiny(layers=1, width=16, context=32).build([WORDS + " [ go ]"], [], 0)
    template = "{% for m in messages %}[ {{ m['content'] }} ]{% endfor %} go"
    own.tokenizer.chat_template = template
    talk = [Said(role="environment", content="may i rest")]
    assert prompt_of(own.tokenizer, as_messages(talk)) == "[ may i rest ] go"
    prompts = encode_prompts(own.tokenizer, ["[ may i rest ] go"])
    wanted = continue_prompts(own, prompts, 4)[0].text.strip()
    assert SubjectAgent(own, 0.0, 4).replies([talk], [7]) == [Written(text=wanted)]
    own.tokenizer.chat_template = "{{ raise_exception('not so') }}"
    assert "refuses the conversation: not so" in SubjectAgent(own).replies([talk], [7])[0].error


class _Chat:
    """Answers from a list and keeps what it was asked."""

    name = "test:chat"

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.given, self.asked = list(replies), list[Request]()

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return self.given[: len(requests)]


def test_a_chat_model_s_failures_are_told_and_its_attempts_told_apart() -> None:
    chat = _Chat([Reply(text=" yes \n"), Reply(error="timed out"), Reply(text="  ")])
    found = ChatAgent(chat, temperature=0.5, most=9).replies([TALK, TALK, TALK], [1, 2, 3])
    assert found == [
        Written(text="yes"), Written(error="timed out"), Written(error="test:chat said nothing")
    ]  # fmt: skip
    assert [r.messages for r in chat.asked] == [as_messages(TALK)] * 3
    assert len({r.salt for r in chat.asked}) == 3
    assert {(r.temperature, r.max_tokens) for r in chat.asked} == {(0.5, 9)}


def test_a_person_types_lines_and_may_leave() -> None:
    lines = iter([" i hear you "])

    def ask(talk: Sequence[Said]) -> str:
        assert talk == TALK
        try:
            return next(lines)
        except StopIteration as error:
            raise EOFError from error

    found = PersonAgent(ask).replies([TALK, TALK], [0, 0])
    assert found == [Written(text="i hear you"), Written(error="the person left")]
