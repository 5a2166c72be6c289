"""Chat templates: nothing written twice, and every place still holds its words."""

from collections.abc import Callable
from typing import Any

import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.models.templates import has_template, rendered, templated
from seedbed.models.tokens import encode_choices, encode_prompts

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WITH_BOS = (
    "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] | trim }} [/INST]{% endfor %}"
)
LOUD = "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"
REFUSING = "{{ raise_exception('no user here') }}"
THINKING = (
    CHATML + "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)

QUESTION = Question(
    id="q",
    prompt=" List: a bc d. How many?  ",
    choices=(" 1", " 2"),
    answer=" 2",
    cause="c",
    slices={"k": "v"},
    places={"item1": (7, 8), "item2": (9, 11), "cue": (14, 23)},
    rules={"more": " 2", "less": " 1"},
)


def with_template(make: Callable[..., Any], template: str, bos: bool = False) -> Any:
    tokenizer = make(bos=bos)
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("template", [CHATML, WITH_BOS, THINKING])
def test_places_keep_their_words(byte_tokenizer: Callable[..., Any], template: str) -> None:
    found = templated(with_template(byte_tokenizer, template, bos=True), QUESTION)
    for name, (start, end) in QUESTION.places.items():
        begin, stop = found.places[name]
        assert found.prompt[begin:stop] == QUESTION.prompt[start:end]
    assert found.choices == ("1", "2")
    assert found.answer == "2"
    assert found.blind().rules == {"more": "2", "less": "1"}
    assert (found.id, found.cause, found.slices) == ("q", "c", {"k": "v"})


def test_the_assistant_s_turn_is_begun(byte_tokenizer: Callable[..., Any]) -> None:
    found = templated(with_template(byte_tokenizer, CHATML), QUESTION)
    assert found.prompt == (
        f"<|im_start|>user\n{QUESTION.prompt}<|im_end|>\n<|im_start|>assistant\n"
    )


def test_thinking_is_switched_off(byte_tokenizer: Callable[..., Any]) -> None:
    assert templated(with_template(byte_tokenizer, THINKING), QUESTION).prompt.endswith("</think>")


def test_the_beginning_token_stands_once(byte_tokenizer: Callable[..., Any]) -> None:
    tokenizer = with_template(byte_tokenizer, WITH_BOS, bos=True)
    found = templated(tokenizer, QUESTION)
    ids = encode_prompts(tokenizer, [found.prompt])[0]
    assert ids.count(tokenizer.bos_token_id) == 1
    assert encode_choices(tokenizer, [(found.prompt, "2")], 999)[0][0] == ids
    plain = encode_prompts(tokenizer, ["List"])[0]
    assert plain[0] == tokenizer.bos_token_id


def test_no_space_is_written_after_a_line_break(byte_tokenizer: Callable[..., Any]) -> None:
    tokenizer = with_template(byte_tokenizer, CHATML)
    found = templated(tokenizer, QUESTION)
    prompt, choice = encode_choices(tokenizer, [(found.prompt, "2")], 999)[0]
    assert tokenizer.decode([*prompt, *choice]).endswith("assistant\n2")
    assert tokenizer.decode(choice) == "2"


def test_a_template_that_changes_words_is_refused(byte_tokenizer: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="question 'q': the chat template changes"):
        templated(with_template(byte_tokenizer, LOUD), QUESTION)


def test_a_template_that_refuses_is_said(byte_tokenizer: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="refuses the conversation: no user here"):
        rendered(with_template(byte_tokenizer, REFUSING), [{"role": "user", "content": "x"}])


def test_without_a_template(byte_tokenizer: Callable[..., Any]) -> None:
    tokenizer = byte_tokenizer()
    assert not has_template(tokenizer)
    with pytest.raises(InputError, match="has no chat template"):
        templated(tokenizer, QUESTION)


def test_a_place_in_the_blanks_that_are_cut_is_refused(byte_tokenizer: Callable[..., Any]) -> None:
    n = len(QUESTION.prompt)
    question = QUESTION.model_copy(update={"places": {"blank": (n - 3, n)}})
    with pytest.raises(InputError, match="cuts the place blank"):
        templated(with_template(byte_tokenizer, WITH_BOS, bos=True), question)
