from collections.abc import Callable, Sequence
from typing import Any

import pytest

from seedbed.core.chat import Message
from seedbed.core.conversation import TEMPLATE, markup, own_turns
from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.models.conversations import (
    laid_out,
    layout,
    prompt_of,
    relaid_document,
    relaid_question,
    reply_after,
    turn_end,
)
from seedbed.models.scratch import word_tokenizer
from seedbed.models.templates import rendered
from seedbed.models.tokens import encode_document

# As SmolLM2: begins with a system prompt of its own where there is none.
SYSTEM = "You are a helpful assistant"
CHATML = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\n"
    + SYSTEM
    + "<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As Llama 2: no mark opens the reply, blanks around messages go.
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %} "
    "{{ m['content'] | trim }}{{ eos_token }}{% else %}[INST] {{ m['content'] | trim }} [/INST]"
    "{% endif %}{% endfor %}"
)
# As Qwen 3 without thinking: the opened turn holds an empty thought, a finished one does not.
THOUGHT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n"
    "{% endif %}"
)
SHOUTS = "{% for m in messages %}{{ m['role'] }} {{ m['content'] | upper }}\n{% endfor %}"


def _said(*contents: str, system: str = "") -> list[Message]:
    roles: list[Any] = ["user", "assistant"] * len(contents)
    said = [Message(role=r, content=c) for r, c in zip(roles, contents, strict=False)]
    return ([Message(role="system", content=system)] if system else []) + said


TALK = _said("help me", "help", "what now", "You are a helpful assistant")


@pytest.fixture
def tokenizer(byte_tokenizer: Callable[..., Any]) -> Callable[[str], Any]:
    """Makes a byte-level tokenizer with the marks of ChatML and the template given."""

    def make(template: str) -> Any:
        found = byte_tokenizer(bos=template == INST)
        found.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
        found.chat_template = template
        return found

    return make


@pytest.mark.parametrize(
    ("template", "system"),
    # Llama 2's has no place for a system prompt.
    [(CHATML, ""), (CHATML, "be kind"), (INST, ""), (THOUGHT, ""), (THOUGHT, "be kind")],
)
def test_spans_are_the_assistants_words_and_their_end(
    tokenizer: Callable[[str], Any], template: str, system: str
) -> None:
    made = tokenizer(template)
    messages = [*([Message(role="system", content=system)] if system else []), *TALK]
    text, spans = laid_out(made, messages)
    end = "<|end|>" if template == INST else "<|im_end|>"
    assert [text[s:e] for s, e in spans] == [f"help{end}", f"You are a helpful assistant{end}"]
    plain = [{"role": m.role, "content": m.content} for m in messages]
    assert text == rendered(made, plain, begun=False)


def test_words_of_the_template_are_not_taken_for_the_assistants(
    tokenizer: Callable[[str], Any],
) -> None:
    text, spans = laid_out(tokenizer(CHATML), TALK)
    assert text.count(SYSTEM) == 2
    assert spans[1][0] == text.rindex(SYSTEM)
    # A reply laid out alone would get the system prompt again.
    assert laid_out(tokenizer(CHATML), TALK[-1:])[0].count(SYSTEM) == 2


def test_only_one_system_prompt_comes_before_a_reply(tokenizer: Callable[[str], Any]) -> None:
    text, (start, end) = reply_after(tokenizer(CHATML), TALK[:3], "go on")
    assert text.count("<|im_start|>system") == 1
    assert text[start:end] == "go on<|im_end|>"


@pytest.mark.parametrize("template", [CHATML, INST, THOUGHT])
def test_a_reply_stands_where_the_model_wrote_it(
    tokenizer: Callable[[str], Any], template: str
) -> None:
    made = tokenizer(template)
    text, (start, end) = reply_after(made, TALK[:3], "go on")
    prompt = prompt_of(made, TALK[:3])
    assert text.startswith(prompt)
    assert text[len(prompt) : start].strip() == ""
    assert end == len(text)


def test_an_empty_reply_still_ends(tokenizer: Callable[[str], Any]) -> None:
    text, (start, end) = reply_after(tokenizer(CHATML), TALK[:1], "")
    assert text[start:end] == "<|im_end|>"


def test_blanks_that_a_template_takes_away_move_nothing(tokenizer: Callable[[str], Any]) -> None:
    found = layout(tokenizer(INST), _said("  help me \n", " go on "))
    assert [found.text[s:e] for s, e in found.contents] == ["help me", "go on"]


def test_a_template_that_changes_words_is_refused(tokenizer: Callable[[str], Any]) -> None:
    with pytest.raises(InputError, match="changes the words"):
        laid_out(tokenizer(SHOUTS), TALK)


@pytest.fixture
def canonical() -> Any:
    return word_tokenizer([markup(TALK), "go on"])


def test_the_canonical_template_gives_the_markup(canonical: Any) -> None:
    assert canonical.chat_template == TEMPLATE
    text, spans = laid_out(canonical, TALK)
    assert text == markup(TALK)
    assert spans == own_turns(text)
    # The general way finds the same.
    found = layout(canonical, TALK)
    assert (found.text, found.turns) == (text, spans)


def test_a_canonical_reply_reads_as_in_the_markup(canonical: Any) -> None:
    text, span = reply_after(canonical, TALK[:3], "go on")
    whole = markup([*TALK[:3], Message(role="assistant", content="go on")])
    assert whole.startswith(text)
    assert text[slice(*span)] == "go on <end>"
    empty, span = reply_after(canonical, TALK[:1], "")
    assert empty[slice(*span)] == "<end>"


def test_documents_are_laid_out_anew(tokenizer: Callable[[str], Any], canonical: Any) -> None:
    text = markup(TALK)
    document = Document(id="d", text=text, targets=own_turns(text)[1:], weight=2.0)
    assert relaid_document(canonical, document) == document
    made = tokenizer(CHATML)
    again = relaid_document(made, document)
    assert again.text == laid_out(made, TALK)[0]
    assert [again.text[s:e] for s, e in again.targets] == [f"{SYSTEM}<|im_end|>"]
    assert again.weight == 2.0
    predicted = encode_document(made, again, "answer", 1000)
    ids = [i for i, p in zip(predicted.ids, predicted.predicted, strict=True) if p]
    assert made.decode(ids) == f"{SYSTEM}<|im_end|>"
    plain = Document(id="p", text="no conversation")
    assert relaid_document(made, plain) == plain


def test_questions_are_laid_out_anew(tokenizer: Callable[[str], Any]) -> None:
    prompt = markup(TALK[:3], begun=True)
    start = prompt.index("what now")
    question = Question(id="q", prompt=prompt, choices=("go on <end>", "no <end>"),
                        answer="no <end>", places={"cue": (start, start + 4)})  # fmt: skip
    made = tokenizer(CHATML)
    again = relaid_question(made, question)
    assert again.prompt == prompt_of(made, TALK[:3])
    assert again.prompt[slice(*again.places["cue"])] == "what"
    assert again.prompt.index("what now") == again.places["cue"][0]
    assert (again.choices, again.answer) == (("go on<|im_end|>", "no<|im_end|>"), "no<|im_end|>")


def test_a_place_across_messages_is_refused(tokenizer: Callable[[str], Any]) -> None:
    prompt = markup(TALK[:3], begun=True)
    question = Question(id="q", prompt=prompt, answer="no", places={"all": (0, len(prompt))})
    with pytest.raises(InputError, match="place all does not lie within one message"):
        relaid_question(tokenizer(CHATML), question)


def _ends(makers: Sequence[str], make: Callable[[str], Any]) -> list[str]:
    return [turn_end(make(template)) for template in makers]


def test_ends_of_turns(tokenizer: Callable[[str], Any], canonical: Any) -> None:
    assert _ends([CHATML, INST, THOUGHT], tokenizer) == ["<|im_end|>", "<|end|>", "<|im_end|>"]
    assert turn_end(canonical) == " <end>"
