"""A real server on this machine: faults, limits, forms, and a key that is never shown."""

import json
import logging
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.chat import Chat, Message, Reply, Request
from seedbed.core.errors import ConfigError, InputError
from seedbed.models.chat import chat_model
from seedbed.models.chat.http import Served

KEY = "sk-very-secret-0123456789"
FORM = {
    "type": "object",
    "properties": {"words": {"type": "array", "items": {"type": "string"}}},
    "required": ["words"],
    "additionalProperties": False,
}


def asking(text: str, **changes: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), **changes)


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)


def test_replies_come_in_order_with_tokens_and_dollars(chat_server: Any) -> None:
    chat: Chat = chat_model("openai:m", chat_server.url, prices=(1.0, 10.0))
    found = chat.ask([asking(f"number {i}") for i in range(20)])
    assert [r.text for r in found] == [f"you said number {i}" for i in range(20)]
    assert found[0].prompt_tokens == 10
    assert found[0].completion_tokens == 4
    assert found[0].dollars == pytest.approx(10e-6 + 40e-6)
    assert chat.name == "openai:m"
    path, _, body = chat_server.seen[0]
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "m", "max_tokens": 512, "temperature": 0.0, "messages": body["messages"]
    }  # fmt: skip


def test_no_prices_no_dollars(chat_server: Any) -> None:
    assert chat_model("openai:m", chat_server.url).ask([asking("x")])[0].dollars is None


def test_concurrency_is_used_and_bounded(chat_server: Any) -> None:
    chat_server.delay = 0.05
    chat = chat_model("openai:m", chat_server.url, concurrency=3)
    chat.ask([asking(str(i)) for i in range(9)])
    assert chat_server.most == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_faults_are_tried_again(chat_server: Any, status: int) -> None:
    chat_server.faults = [(status, {}, {"error": {"message": "busy"}})] * 2
    chat = chat_model("openai:m", chat_server.url, wait=0.01)
    assert chat.ask([asking("x")])[0] == Reply(
        text="you said x", prompt_tokens=10, completion_tokens=3
    )
    assert len(chat_server.seen) == 3


def test_retry_after_is_kept(chat_server: Any) -> None:
    chat_server.faults = [(429, {"Retry-After": "0.4"}, "slow down")]
    start = time.monotonic()
    assert not chat_model("openai:m", chat_server.url, wait=0.001).ask([asking("x")])[0].error
    assert time.monotonic() - start >= 0.4


def test_a_wait_that_is_too_long_is_an_error(chat_server: Any) -> None:
    chat_server.faults = [(429, {"Retry-After": "3600"}, "quota")]
    reply = chat_model("openai:m", chat_server.url).ask([asking("x")])[0]
    assert reply.error == "the server asks to wait 3600 s: 429 quota"
    assert not reply.text


def test_faults_that_last_are_an_error_of_that_reply(chat_server: Any) -> None:
    chat_server.faults = [(500, {}, {"error": {"message": "out of memory"}})] * 3
    chat = chat_model("openai:m", chat_server.url, retries=2, wait=0.001, concurrency=1)
    first, second = chat.ask([asking("x"), asking("y")])
    assert first.error == "500 out of memory (tried 3 times)"
    assert second.text == "you said y"


def test_slow_replies_are_given_up(chat_server: Any) -> None:
    chat_server.delay = 0.5
    chat = chat_model("openai:m", chat_server.url, timeout=0.05, retries=1, wait=0.001)
    assert chat.ask([asking("x")])[0].error == "no answer within 0.05 s (tried 2 times)"


def test_a_form_is_sent_as_a_schema(chat_server: Any) -> None:
    chat_model("openai:m", chat_server.url).ask([asking("x", form=FORM)])
    body = chat_server.seen[0][2]
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": FORM, "strict": True},
    }
    assert body["messages"][-1]["content"] == "x"


@pytest.mark.parametrize("refused", ["response_format", "temperature", "max_tokens"])
def test_what_a_server_refuses_is_left_out_from_then_on(chat_server: Any, refused: str) -> None:
    def strict(body: dict[str, Any]) -> str:
        return "{}"

    chat_server.says = strict
    chat_server.refuses = (refused,)
    if refused == "max_tokens":
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        chat_server.refuses = ()
        chat_server.faults = [(400, {}, {"error": {"message": message}})]
    chat = chat_model("openai:m", chat_server.url, concurrency=1)
    found = chat.ask([asking("x", form=FORM), asking("y", form=FORM)])
    assert [r.text for r in found] == ["{}", "{}"]
    assert len(chat_server.seen) == 3
    last = chat_server.seen[-1][2]
    assert refused not in last
    in_words = json.dumps(FORM, sort_keys=True) in last["messages"][-1]["content"]
    assert in_words == (refused == "response_format")
    assert ("max_completion_tokens" in last) == (refused == "max_tokens")


def test_a_server_that_ignores_a_form_is_asked_in_words(chat_server: Any) -> None:
    def says(body: dict[str, Any]) -> str:
        return '{"words": []}' if "JSON schema" in body["messages"][-1]["content"] else "apple"

    chat_server.says = says
    chat = chat_model("openai:m", chat_server.url, concurrency=1)
    found = chat.ask([asking("x", form=FORM), asking("y", form=FORM), asking("z")])
    assert [r.text for r in found] == ['{"words": []}', '{"words": []}', "apple"]
    assert len(chat_server.seen) == 4


def test_json_that_was_cut_is_no_reason_to_ask_otherwise(chat_server: Any) -> None:
    chat_server.says = lambda body: '{"words": ["app'
    reply = chat_model("openai:m", chat_server.url).ask([asking("x", form=FORM)])[0]
    assert reply.text == '{"words": ["app'
    assert len(chat_server.seen) == 1


def test_a_400_that_nothing_can_mend_is_an_error_of_that_reply(chat_server: Any) -> None:
    chat_server.faults = [(400, {}, {"error": {"message": "context too long"}})]
    reply = chat_model("openai:m", chat_server.url).ask([asking("x")])[0]
    assert reply.error == "400 context too long"


def test_draws_differ_by_salt_and_are_seeded(chat_server: Any) -> None:
    chat = chat_model("openai:m", chat_server.url)
    chat.ask([asking("x", temperature=1, salt=s) for s in ("a", "b")])
    seeds = {body["seed"] for _, _, body in chat_server.seen}
    assert len(seeds) == 2


def test_requests_a_minute_are_limited(chat_server: Any) -> None:
    chat = chat_model("openai:m", chat_server.url, requests_per_minute=1200)
    start = time.monotonic()
    chat.ask([asking(str(i)) for i in range(5)])
    assert time.monotonic() - start >= 4 * 0.05


def test_extra_parameters_are_merged(chat_server: Any) -> None:
    chat_model("openai:m", chat_server.url, extra={"top_k": 3}).ask([asking("x")])
    assert chat_server.seen[0][2]["top_k"] == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_one_line_without_the_key(
    chat_server: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat_server.faults = [(status, {}, {"error": {"message": f"Incorrect key: {KEY}"}})] * 9
    with pytest.raises(InputError) as caught:
        chat_model("openai:m", chat_server.url).ask([asking("x")])
    assert str(caught.value) == (
        f"{chat_server.url}: does not take the key of OPENAI_API_KEY: {status} Incorrect key: [key]"
    )


def test_no_key_where_one_is_wanted(chat_server: Any) -> None:
    chat_server.faults = [(401, {}, "who are you")]
    with pytest.raises(InputError, match="OPENAI_API_KEY is not set: 401 who are you"):
        chat_model("openai:m", chat_server.url).ask([asking("x")])


def test_a_wrong_model_ends_everything_at_once(chat_server: Any) -> None:
    chat_server.faults = [(404, {}, {"error": {"message": "no model m"}})] * 99
    with pytest.raises(InputError, match="knows no model 'm'"):
        chat_model("openai:m", chat_server.url, concurrency=2).ask(
            [asking(str(i)) for i in range(50)]
        )
    assert len(chat_server.seen) < 10


def test_no_server() -> None:
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/v1: no server answers"):
        chat_model("openai:m", "http://127.0.0.1:9/v1", wait=0.001).ask([asking("x")])


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("not json", "the server sent no JSON"),
        ({"choices": []}, "the server sent no choices[0].message"),
        ({"choices": [{"message": {"content": None}}]}, "an empty message"),
        (
            {"choices": [{"message": {"content": None, "refusal": "I cannot"}}]},
            "refused: I cannot",
        ),
    ],
)
def test_nonsense_from_a_server_is_an_error(chat_server: Any, value: Any, error: str) -> None:
    chat_server.faults = [(200, {}, value)]
    assert chat_model("openai:m", chat_server.url).ask([asking("x")])[0].error == error


def test_a_reply_that_cannot_be_unpacked_is_an_error_of_that_reply(chat_server: Any) -> None:
    chat_server.faults = [(200, {"Content-Encoding": "gzip"}, "no gzip at all")]
    chat = chat_model("openai:m", chat_server.url, concurrency=1, retries=0)
    first, second = chat.ask([asking("x"), asking("y")])
    assert first.error.endswith("(tried 1 times)")
    assert second.text == "you said y"


@pytest.mark.parametrize(
    "usage", ["many", [1], {"prompt_tokens": "ten", "completion_tokens": None}]
)
def test_counts_that_are_none_count_nothing(chat_server: Any, usage: Any) -> None:
    message = {"choices": [{"message": {"content": "hello"}}], "usage": usage}
    chat_server.faults = [(200, {}, message)]
    assert chat_model("openai:m", chat_server.url).ask([asking("x")]) == [Reply(text="hello")]


def test_the_key_is_sent_and_stands_nowhere(
    chat_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    chat = chat_model("openai:m", chat_server.url, cache=tmp_path / "cache", wait=0.001, retries=1)
    replies = chat.ask([asking("x", form=FORM), asking("y")])
    assert chat_server.seen[0][1]["Authorization"] == f"Bearer {KEY}"
    chat_server.faults = [(500, {}, f"you sent {KEY}")] * 2
    replies += chat.ask([asking("z")])
    assert replies[-1].error == "500 you sent [key] (tried 2 times)"
    chat_server.faults = [(401, {}, f"you sent {KEY}")]
    try:
        chat.ask([asking("u")])
    except InputError:
        shown = traceback.format_exc()
    files = [p.read_text() for p in (tmp_path / "cache").rglob("*.json")]
    assert len(files) == 2
    out = capfd.readouterr()
    said = [*files, shown, repr(chat), repr(chat.backend), repr(replies), caplog.text,
            str(chat.backend.identity), out.out, out.err]  # fmt: skip
    assert not [text for text in said if KEY in text]


@pytest.mark.parametrize(
    ("spec", "url", "message"),
    [
        ("openai:m", None, "OPENAI_API_KEY is not set"),
        ("anthropic:m", None, "ANTHROPIC_API_KEY is not set"),
        ("openai:m", "localhost:80", "write it as http://HOST:PORT/v1"),
        ("openai:m", "http://me:pw@host/v1", "holds a password"),
        ("opena:m", None, "write it as one of openai:NAME"),
        ("openai:", None, "write it as one of"),
        ("hf:x", "http://host/v1", "has no server"),
    ],
)
def test_what_is_wrong_is_said(spec: str, url: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chat_model(spec, url)


def test_unknown_options_are_named(chat_server: Any) -> None:
    with pytest.raises(ConfigError, match="did you mean 'concurrency'"):
        chat_model("openai:m", chat_server.url, concurency=3)


def test_anthropic_speaks_messages(chat_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    tool = {"type": "tool_use", "name": "reply", "input": {"words": ["a"]}}
    usage = {"input_tokens": 7, "output_tokens": 3}
    chat_server.faults = [
        (200, {}, {"content": [tool], "usage": usage}),
        (200, {}, {"content": [{"type": "text", "text": "hello"}], "usage": usage}),
        (200, {}, {"content": [], "stop_reason": "refusal"}),
    ]
    chat = chat_model("anthropic:m", chat_server.url, concurrency=1)
    system = Message(role="system", content="be brief")
    found = chat.ask(
        [
            Request(messages=(system, Message(role="user", content="x")), form=FORM),
            asking("y"),
            asking("z"),
        ]
    )
    assert json.loads(found[0].text) == {"words": ["a"]}
    assert (found[0].prompt_tokens, found[0].completion_tokens) == (7, 3)
    assert found[1].text == "hello"
    assert found[2].error == "no text (refusal)"
    path, headers, body = chat_server.seen[0]
    assert path == "/v1/messages"
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2023-06-01"
    assert body["system"] == "be brief"
    assert body["messages"] == [{"role": "user", "content": "x"}]
    assert body["tools"][0]["input_schema"] == FORM
    assert "tools" not in chat_server.seen[1][2]


def test_a_backend_can_be_asked_by_itself(chat_server: Any) -> None:
    chat = chat_model("openai:m", chat_server.url)
    assert isinstance(chat.backend, Served)
    assert list(chat.backend.replies([])) == []
