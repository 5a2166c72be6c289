"""A small model of this machine as a chat model, by itself and behind a real server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.chat import Message, Request
from seedbed.core.errors import ConfigError, InputError
from seedbed.models.chat import chat_model
from seedbed.models.chat.choosing import Closed, weigh
from seedbed.models.chat.local import Local, LocalOptions
from seedbed.models.chat.model import ChatModel
from seedbed.models.decoding import continue_prompts
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import encode_prompts

TEMPLATE = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"


def asking(text: str, **changes: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), **{"max_tokens": 5, **changes})


@pytest.fixture
def folder(llama_folder: Path, byte_tokenizer: Callable[..., Any]) -> Path:
    """A saved model with a chat template."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(llama_folder)
    return llama_folder


def test_replies_are_what_the_model_writes_after_the_template(folder: Path) -> None:
    chat = chat_model(f"hf:{folder}", batch=2)
    texts = ["def f(x)", "what stands first", "the", "assert g(90)"]
    found = chat.ask([asking(t) for t in texts])
    subject = chat.backend.subject  # type: ignore[attr-defined]  # Local has it
    prompts = encode_prompts(subject.tokenizer, [f"{t}\n" for t in texts])
    wanted = continue_prompts(subject, prompts, 5)
    assert [r.text for r in found] == [c.text for c in wanted]
    assert [r.prompt_tokens for r in found] == [len(p) for p in prompts]
    assert {r.dollars for r in found} == {0.0}
    assert chat.name == f"hf:{folder}"


def test_draws_are_those_of_the_salt(folder: Path) -> None:
    requests = [asking("def", temperature=1.0, salt=str(i), max_tokens=8) for i in range(6)]
    first = [r.text for r in chat_model(f"hf:{folder}", batch=6).ask(requests)]
    again = [r.text for r in chat_model(f"hf:{folder}", batch=1).ask(requests[::-1])][::-1]
    other = [r.text for r in chat_model(f"hf:{folder}", seed=1).ask(requests)]
    assert first == again
    assert len(set(first)) > 3
    assert first != other


def test_mixed_requests_come_back_in_order(folder: Path) -> None:
    chat = chat_model(f"hf:{folder}")
    requests = [asking("def", max_tokens=1 + i % 3) for i in range(7)]
    assert [r.completion_tokens for r in chat.ask(requests)] == [1 + i % 3 for i in range(7)]


def test_a_prompt_that_is_too_long_is_an_error_of_that_reply(folder: Path) -> None:
    long, short = chat_model(f"hf:{folder}").ask([asking("x " * 70), asking("x")])
    assert long.error.startswith("too long: ")
    assert not short.error


def test_retrained_weights_are_another_key(
    folder: Path, tmp_path: Path, family: Callable[..., Any], byte_tokenizer: Callable[..., Any]
) -> None:
    cache = tmp_path / "cache"
    chat_model(f"hf:{folder}", cache=cache).ask([asking("x")])
    assert chat_model(f"hf:{folder}", cache=cache).ask([asking("x")])[0].cached
    family("llama", len(byte_tokenizer()), tied=False).save_pretrained(folder)
    assert not chat_model(f"hf:{folder}", cache=cache).ask([asking("x")])[0].cached


def test_what_is_wrong_is_said(llama_folder: Path) -> None:
    with pytest.raises(InputError, match="has no chat template"):
        chat_model(f"hf:{llama_folder}").ask([asking("x")])
    with pytest.raises(ConfigError, match="unknown key"):
        chat_model(f"hf:{llama_folder}", concurrency=3)


def test_a_real_model_behind_a_real_server(folder: Path, chat_server: Any) -> None:
    local = chat_model(f"hf:{folder}")

    def says(body: dict[str, Any]) -> str:
        messages = tuple(Message(**m) for m in body["messages"])
        return local.ask([Request(messages=messages, max_tokens=body["max_tokens"])])[0].text

    chat_server.says = says
    served = chat_model("openai:llama", chat_server.url, concurrency=1)
    requests = [asking(t) for t in ("def f(x)", "what stands")]
    assert [r.text for r in served.ask(requests)] == [r.text for r in local.ask(requests)]


def test_a_subject_in_memory_can_be_asked(
    family: Callable[..., Any], byte_tokenizer: Callable[..., Any]
) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    subject = Subject(model=family("llama", len(tokenizer), True), tokenizer=tokenizer)
    backend = Local("memory", LocalOptions(), subject)
    assert [i for i, _ in backend.replies([asking("x"), asking("y")])] == [0, 1]
    assert list(backend.replies([])) == []


def test_a_reply_in_the_project_s_markup_ends_before_any_mark() -> None:
    words = "<user> may i rest <assistant> yes <end>"
    subject = Tiny(layers=1, width=32, context=48, init=0.3).build([words], [], 0)
    backend = Local("memory", LocalOptions(batch=64), subject)
    requests = [asking("may i rest", temperature=1.0, salt=str(n)) for n in range(64)]
    said = dict(backend.replies(requests))
    assert not any("<" in reply.text for reply in said.values())
    assert {reply.error for reply in said.values()} == {""}
    # Marks were drawn: some replies end before the most tokens that they could have had.
    assert any(len(r.text.split()) < r.completion_tokens for r in said.values())


def test_what_cannot_be_read_is_an_error_of_that_reply() -> None:
    subject = Tiny(layers=1, width=32, context=48).build(["<user> rest <assistant> <end>"], [], 0)
    backend = Local("memory", LocalOptions(), subject)
    found = dict(backend.replies([asking("dance"), asking("rest"), asking("rest <end>")]))
    assert "does not know 'dance'" in found[0].error
    assert not found[1].error
    assert "holds the mark <end>" in found[2].error
    asked = [Closed((Message(role="user", content=t),), ("rest", "<user>")) for t in
             ("dance", "rest", "rest <end>")]  # fmt: skip
    unread, fine, marked = weigh(ChatModel(backend), asked)
    assert "does not know 'dance'" in unread.error
    assert "holds the mark" in marked.error
    # Words alone are enough: this vocabulary has no "Rest".
    assert fine.options["rest"] > 0
