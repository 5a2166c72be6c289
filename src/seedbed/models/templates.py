"""Chat templates: a question as the user's message, up to where the assistant begins to speak.

An instruct model asked without its template is another, worse model.
"""

from collections.abc import Sequence
from typing import Any

from seedbed.core.errors import InputError
from seedbed.core.rows import Question


def has_template(tokenizer: Any) -> bool:
    """Whether the tokenizer knows how to lay out a conversation."""
    return bool(getattr(tokenizer, "chat_template", None))


def rendered(tokenizer: Any, messages: Sequence[dict[str, str]], begun: bool = True) -> str:
    """A conversation as text; with `begun` the assistant's turn is opened, without thinking aloud.

    Raises InputError where there is no template or it refuses the conversation.
    """
    from jinja2 import TemplateError

    if not has_template(tokenizer):
        raise InputError("the tokenizer has no chat template")
    try:
        text: str = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=begun, enable_thinking=False
        )
    except TemplateError as error:
        raise InputError(f"the chat template refuses the conversation: {error}") from error
    return text


def templated(tokenizer: Any, question: Question) -> Question:
    """The question with its prompt as the user's message, and its places moved along.

    Choices, and what rules say, lose the spaces around them, which belong to running text. The
    template writes the BOS token itself, and `encode_choices` adds none where one stands. Raises
    InputError if the template changes the prompt's words.
    """
    text = rendered(tokenizer, [{"role": "user", "content": question.prompt}])
    core = question.prompt.strip()
    start = text.rfind(core)
    if start < 0:
        raise InputError(f"question {question.id!r}: the chat template changes the prompt's words")
    blank = len(question.prompt) - len(question.prompt.lstrip())
    moved = {}
    for name, (begin, end) in question.places.items():
        place = (begin - blank + start, end - blank + start)
        if text[slice(*place)] != question.prompt[begin:end]:
            raise InputError(f"question {question.id!r}: the chat template cuts the place {name}")
        moved[name] = place
    choices = tuple(choice.strip() for choice in question.choices)
    rules = {name: said.strip() for name, said in question.rules.items()}
    return question.model_copy(
        update={"prompt": text, "places": moved, "choices": choices,
                "answer": question.answer.strip(), "rules": rules}
    )  # fmt: skip
