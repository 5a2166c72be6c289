"""Asking for numbers: choices as they are scored elsewhere, replies as they are written."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.measuring.choices import score_choices
from seedbed.measuring.generation import write_answers
from seedbed.measuring.numbers import ask_chat, ask_subject
from seedbed.models.chat import chat_model
from seedbed.models.scratch import word_tokenizer
from seedbed.models.subject import Subject
from seedbed.models.templates import templated

TEXT = "user : how many of a b c d e are there ? 0 1 2 3 4 5 6 7 8 9"
TEMPLATE = "{% for m in messages %}user : {{ m['content'] }} are there ? {% endfor %}"


@pytest.fixture
def subject(model_of: Callable[..., Any]) -> Subject:
    """A random model that knows digits."""
    tokenizer = word_tokenizer([TEXT])
    return Subject(model=model_of("untied", len(tokenizer)), tokenizer=tokenizer, batch=4)


def asking(prompt: str, most: int = 5, truth: int = 2) -> Question:
    choices = tuple(f" {n}" for n in range(most + 1))
    return Question(id=prompt, prompt=prompt, choices=choices, answer=f" {truth}")


QUESTIONS = [asking("how many of a b c"), asking("how many of d", truth=0), asking("how many")]


def test_choices_and_expected_count_are_those_of_the_softmax(subject: Subject) -> None:
    found = ask_subject(subject, QUESTIONS, template=False, most=3)
    for answer, score, q in zip(found, score_choices(subject, QUESTIONS), QUESTIONS, strict=True):
        p = np.exp(score.logprobs) / np.exp(score.logprobs).sum()
        assert answer.choice == int(np.argmax(p))
        assert answer.expected == pytest.approx(sum(n * p[n] for n in range(6)))
        assert answer.probability == pytest.approx(p[q.target])
        assert answer.entropy == pytest.approx(-(p * np.log(p)).sum())
        assert answer.truth == int(q.answer)
    # It knows no end, and every choice is one token.
    written = write_answers(subject, QUESTIONS, most=1)
    assert [a.text for a in found] == [w.text for w in written]
    assert [a.number for a in found] == [w.number for w in written]


def test_batches_and_order_change_nothing(subject: Subject) -> None:
    asked = [asking(f"how many of {' '.join(w)}") for w in ("a", "ab", "abc", "edc", "bbbb")]
    one = ask_subject(replace(subject, batch=1), asked, template=False, most=4)
    many = ask_subject(replace(subject, batch=16), asked[::-1], template=False, most=4)[::-1]
    for a, b in zip(one, many, strict=True):
        assert a.model_dump(exclude={"expected", "probability", "entropy"}) == b.model_dump(
            exclude={"expected", "probability", "entropy"}
        )
        assert a.expected == pytest.approx(b.expected, abs=1e-4)


def test_with_the_template_the_question_is_a_message(subject: Subject) -> None:
    subject.tokenizer.chat_template = TEMPLATE
    told = [templated(subject.tokenizer, q) for q in QUESTIONS]
    found = ask_subject(subject, QUESTIONS, template=True, most=3)
    scores = score_choices(subject, told)
    assert [a.choice for a in found] == [int(np.argmax(s.logprobs)) for s in scores]
    plain = ask_subject(subject, QUESTIONS, template=False, most=3)
    assert [a.expected for a in found] != [a.expected for a in plain]


@pytest.fixture
def ending(model_of: Callable[..., Any]) -> Subject:
    """A model of digits and an end, each likeliest after what it says here."""
    tokenizer = word_tokenizer([TEXT, "<end>"])
    tokenizer.eos_token = "<end>"
    tokenizer.chat_template = TEMPLATE
    likeliest = {"?": "1", "1": "0", "0": "<end>"}
    model = model_of("untied", len(tokenizer))
    code = tokenizer.convert_tokens_to_ids
    with torch.no_grad():
        size = model.config.hidden_size
        for p in (
            model.model.layers[0].self_attn.o_proj,
            model.model.layers[0].mlp.down_proj,
            model.model.layers[1].self_attn.o_proj,
            model.model.layers[1].mlp.down_proj,
        ):
            p.weight.zero_()  # so that the next token depends on this one only  # fmt: skip
        basis = torch.eye(size)
        model.model.embed_tokens.weight.zero_()
        model.lm_head.weight.zero_()
        for i, (before, after) in enumerate(likeliest.items()):
            model.model.embed_tokens.weight[code(before)] = basis[i]
            model.lm_head.weight[code(after)] = 5 * basis[i]
    return Subject(model=model, tokenizer=tokenizer, batch=4)


def test_one_does_not_win_because_ten_begins_with_it(ending: Subject) -> None:
    found = ask_subject(ending, [asking("how many", most=12, truth=10)], template=True, most=4)[0]
    assert found.text == "1 0"
    assert found.choice == 10
    assert found.probability is not None
    assert found.probability > 0.9


def test_choices_that_cannot_be_told_apart_are_refused(subject: Subject) -> None:
    with pytest.raises(InputError, match="the tokens of one choice begin another's"):
        ask_subject(subject, [asking("how many", most=12)], template=False)


def test_words_for_answers_are_refused(subject: Subject) -> None:
    question = Question(id="q", prompt="how many", choices=(" a", " b"), answer=" a")
    with pytest.raises(InputError, match="question 'q': its answer ' a' is no whole number"):
        ask_subject(subject, [question], template=False)


def test_a_chat_model_answers_in_words_only(chat_server: Any, tmp_path: Path) -> None:
    chat_server.says = lambda body: "There are **3**."
    chat_server.faults = [(400, {}, "too long")]
    chat = chat_model("openai:m", chat_server.url, tmp_path, prices=(1, 1), concurrency=1)
    found, dollars = ask_chat(chat, QUESTIONS, most=9)
    assert [(a.number, a.outcome) for a in found] == [(None, "error"), (3, "number"), (3, "number")]
    assert found[0].text == "400 too long"
    assert {(a.choice, a.expected) for a in found} == {(None, None)}
    assert dollars == pytest.approx(2 * (10 + 3) / 1e6)
    assert chat_server.seen[0][2]["max_tokens"] == 9
    assert chat_server.seen[0][2]["messages"] == [{"role": "user", "content": "how many of a b c"}]
    assert ask_chat(chat, QUESTIONS[1:], most=9)[1] == 0
    free = chat_model("openai:m", chat_server.url)
    assert ask_chat(free, QUESTIONS, most=9)[1] is None
