"""Shares of options by scoring, by walking a server's tokens and by draws: they agree."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.models.conftest import places, weighing

from seedbed.core.chat import Message
from seedbed.core.errors import ConfigError
from seedbed.models.chat import chat_model
from seedbed.models.chat.choosing import Closed, Weights, read_option, weigh
from seedbed.models.chat.local import Local, LocalOptions
from seedbed.models.chat.model import ChatModel
from seedbed.models.subject import Subject

TEMPLATE = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"
RATINGS = tuple(str(n) for n in range(1, 11))


def closed(text: str, options: tuple[str, ...] = RATINGS, salt: str = "") -> Closed:
    return Closed((Message(role="user", content=text),), options, salt)


@pytest.fixture
def local(family: Callable[..., Any], byte_tokenizer: Callable[..., Any]) -> ChatModel:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    subject = Subject(model=family("llama", len(tokenizer), False), tokenizer=tokenizer)
    return ChatModel(Local("memory", LocalOptions(), subject))


def subject_of(chat: ChatModel) -> Subject:
    assert isinstance(chat.backend, Local)
    return chat.backend.subject


def test_a_walked_server_and_the_same_model_here_agree(local: ChatModel, chat_server: Any) -> None:
    chat_server.says = weighing(subject_of(local), most=999)
    served = chat_model("openai:m", chat_server.url, continues=True, concurrency=1)
    asked = [closed(text) for text in ("def f(x)", "the output of", "assert g(90)")]
    for here, there in zip(weigh(local, asked), weigh(served, asked), strict=True):
        # A walk counts a digit after a space as well, which is rare here.
        for option in RATINGS:
            assert -1e-6 <= there.options[option] - here.options[option] <= 0.1 * 0.003
    assert any(body.get("continue_final_message") for _, _, body in chat_server.seen)


def test_a_beginning_is_followed_where_the_server_can(chat_server: Any) -> None:
    first = {"1": 0.5, "9": 0.3, "x": 0.1}

    def says(body: dict[str, Any]) -> dict[str, Any]:
        if body.get("continue_final_message"):
            assert body["messages"][-1] == {"role": "assistant", "content": "1"}
            assert body["add_generation_prompt"] is False
            return places({"0": 0.8, ".": 0.2})
        return places(first)

    chat_server.says = says
    (found,) = weigh(chat_model("openai:m", chat_server.url, continues=True), [closed("rate")])
    assert found.options["10"] == pytest.approx(0.4)
    assert found.options["1"] == pytest.approx(0.1)
    assert found.options["9"] == pytest.approx(0.3)
    assert sum(found.options.values()) == pytest.approx(0.8)
    body = chat_server.seen[0][2]
    assert (body["logprobs"], body["top_logprobs"], body["temperature"]) == (True, 20, 0.0)


@pytest.mark.parametrize(
    ("tops", "wanted"),
    [
        # The reply went that way itself.
        ([{"1": 0.6, "2": 0.4}, {"0": 0.9, ".": 0.1}], {"10": 0.54, "1": 0.06, "2": 0.4}),
        # "10" is a token of its own, so nobody writes it as two.
        ([{"1": 0.6, "10": 0.3}], {"10": 0.3, "1": 0.6}),
        # The end of a reply is no beginning of another.
        ([{"1": 0.6, "": 0.4}, {"": 0.9, "0": 0.1}], {"10": 0.06, "1": 0.54}),
        # A space changes nothing.
        ([{" ": 0.7, " 3": 0.2}, {"3": 0.5, "4": 0.5}], {"3": 0.55, "4": 0.35}),
    ],
)
def test_one_reply_is_enough(
    chat_server: Any, tops: list[dict[str, float]], wanted: dict[str, float]
) -> None:
    chat_server.says = lambda body: places(*tops)
    (found,) = weigh(chat_model("openai:m", chat_server.url), [closed("rate")])
    assert not found.error
    assert found.options == pytest.approx({**dict.fromkeys(RATINGS, 0.0), **wanted})


def test_yes_and_no_are_read_with_capitals(chat_server: Any) -> None:
    chat_server.says = lambda body: places({"Yes": 0.5, "yes": 0.1, "No": 0.3, "Maybe": 0.1})
    (found,) = weigh(chat_model("openai:m", chat_server.url), [closed("so?", ("yes", "no"))])
    assert found.options == pytest.approx({"yes": 0.6, "no": 0.3})


def test_what_cannot_be_told_apart_is_an_error(chat_server: Any) -> None:
    chat_server.says = lambda body: places({"9": 0.5, "1": 0.3})
    (found,) = weigh(chat_model("openai:m", chat_server.url), [closed("rate")])
    assert not found.options
    assert found.error.startswith("what follows '1' (probability 0.3) is not known")


HALF = '{"choices": [{"message": {"content": "7"}, "logprobs": {"content": [{"tok'


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (HALF, "the server sent no JSON"),
        ("<html>", "the server sent no JSON"),
        (places(), "the server sent no log-probabilities"),
        ({"choices": [{"message": {"content": "7"}, "logprobs": None}]},
         "the server sent no log-probabilities"),
        ({"choices": [{"message": {"content": "7"}, "logprobs": {"content": ["7"]}}]},
         "the server's log-probabilities cannot be read"),
        ({"choices": [{"message": {"content": "7"}, "logprobs": {"content": [
            {"token": "7", "logprob": None, "top_logprobs": []}]}}]},
         "the server's log-probabilities cannot be read"),
        (places({"7": 0.9, "8": 0.9}),
         "the server's log-probabilities are none: together 1.8 at a token"),
        ('{"choices": [{"message": {"content": "7"}, "logprobs": {"content": ['
         '{"token": "7", "logprob": NaN, "top_logprobs": []}]}}]}',
         "the server's log-probabilities are none: together nan at a token"),
        ({"choices": [], "usage": "many"}, "the server sent no choices[0].message"),
        ([1], "the server sent no choices[0].message"),
    ],
)  # fmt: skip
def test_nonsense_is_an_error_and_no_share(chat_server: Any, value: Any, error: str) -> None:
    good = places({"7": 1.0})
    chat_server.faults = [(200, {}, value), (200, {}, good)]
    chat = chat_model("openai:m", chat_server.url, concurrency=1)
    found = weigh(chat, [closed("a"), closed("b")])
    assert found[0] == Weights(error=error)
    assert found[1].options["7"] == pytest.approx(1.0)


def test_what_is_impossible_has_no_share_and_can_be_kept(chat_server: Any, tmp_path: Path) -> None:
    said = (
        '{"choices": [{"message": {"content": "7"}, "logprobs": {"content": [{"token": "7",'
        ' "logprob": 0.0, "top_logprobs": [{"token": "8", "logprob": -Infinity}]}]}}]}'
    )
    chat_server.faults = [(200, {}, said)]
    for _ in range(2):
        chat = chat_model("openai:m", chat_server.url, tmp_path / "cache")
        (found,) = weigh(chat, [closed("rate")])
        assert found.options == pytest.approx({**dict.fromkeys(RATINGS, 0.0), "7": 1.0})
    assert len(chat_server.seen) == 1


def test_faults_that_last_are_an_error_of_that_question(chat_server: Any) -> None:
    chat_server.says = lambda body: places({"7": 1.0})
    chat_server.faults = [(500, {}, "broken")] * 2
    chat = chat_model("openai:m", chat_server.url, concurrency=1, retries=1, wait=0.001)
    found = weigh(chat, [closed("a"), closed("b")])
    assert found[0].error == "500 broken (tried 2 times)"
    assert not found[1].error


def test_a_server_that_refuses_log_probabilities_says_so(chat_server: Any) -> None:
    chat_server.refuses = ("logprobs",)
    (found,) = weigh(chat_model("openai:m", chat_server.url), [closed("a")])
    assert found.error == "400 Unsupported parameter: 'logprobs'"


def test_draws_are_counted(chat_server: Any) -> None:
    said = iter(["7", " 8.", "**", "7", "10", "I would say 7", "1", "seven"])
    chat_server.says = lambda body: next(said)
    chat = chat_model("openai:m", chat_server.url, concurrency=1)
    (found,) = weigh(chat, [closed("rate", salt="s")], draws=8)
    assert found.options == {**dict.fromkeys(RATINGS, 0.0), "7": 2 / 8, "8": 1 / 8, "10": 1 / 8,
                             "1": 1 / 8}  # fmt: skip
    assert len({body["seed"] for _, _, body in chat_server.seen}) == 8
    assert all(body["temperature"] == 1 for _, _, body in chat_server.seen)


def test_draws_that_fail_lower_the_mass(chat_server: Any) -> None:
    chat_server.says = lambda body: "yes"
    chat_server.faults = [(500, {}, "broken")] * 3
    chat = chat_model("openai:m", chat_server.url, concurrency=1, retries=0)
    (found,) = weigh(chat, [closed("so?", ("yes", "no"))], draws=4)
    assert found.options == {"yes": 0.25, "no": 0.0}
    chat_server.faults = [(500, {}, "broken")] * 4
    (found,) = weigh(chat, [closed("so?", ("yes", "no"))], draws=4)
    assert found == Weights(error="500 broken (tried 1 times)")


def test_draws_approach_the_share_they_are_drawn_with(chat_server: Any) -> None:
    def says(body: dict[str, Any]) -> str:
        draw = random.Random(body["seed"]).random()
        return "yes" if draw < 0.6 else "No." if draw < 0.9 else "it depends"

    chat_server.says = says
    chat = chat_model("openai:m", chat_server.url)
    asked = [closed("so?", ("yes", "no"), salt=str(n)) for n in range(4)]
    found = weigh(chat, asked, draws=100)
    assert len({weights.options["yes"] for weights in found}) > 1
    for option, share in {"yes": 0.6, "no": 0.3}.items():
        mean = sum(weights.options[option] for weights in found) / 4
        assert abs(mean - share) < 4 * (share * (1 - share) / 400) ** 0.5


def test_anthropic_needs_draws(chat_server: Any) -> None:
    chat = chat_model("anthropic:m", chat_server.url)
    with pytest.raises(ConfigError, match="anthropic:m: gives no log-probabilities; set 'draws'"):
        weigh(chat, [closed("a")])
    chat_server.says = lambda body: {"content": [{"type": "text", "text": "7"}]}
    (found,) = weigh(chat, [closed("rate")], draws=3)
    assert found.options["7"] == 1.0


@pytest.mark.parametrize(
    ("text", "option"),
    [("yes", "yes"), (" Yes.\n", "yes"), ("NO", "no"), ("yes and no", None), ("", None),
     ('"no"', "no")],
)  # fmt: skip
def test_only_an_option_alone_is_one(text: str, option: str | None) -> None:
    assert read_option(text, ("yes", "no")) == option
