"""Conversations as plain text, so that a document or a prompt can be one without any tokenizer.

`<system> …`, `<user> …` and `<assistant> … <end>`, a line each: what subjects from scratch read;
whoever has a chat template of its own gets the same conversation through that.
"""

import re
from collections.abc import Sequence
from typing import Literal, cast

from seedbed.core.chat import Message

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")
END = "<end>"
_MARK = re.compile(rf"<({'|'.join(ROLES)})>")
_ANY = re.compile(rf"<({'|'.join(ROLES)}|end)>")
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}"
    "{% if m['role'] == 'assistant' %} <end>{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""The same layout as a chat template (Jinja)."""


def markup(messages: Sequence[Message], begun: bool = False) -> str:
    """The conversation as text; with `begun` the assistant's next turn has been opened.

    Raises ValueError where a message holds a mark itself.
    """
    lines = []
    for message in messages:
        if found := _ANY.search(message.content):
            raise ValueError(f"a message holds the mark {found.group()}: {message.content!r}")
        end = f" {END}" if message.role == "assistant" else ""
        lines.append(f"<{message.role}> {message.content}{end}\n")
    return "".join(lines) + ("<assistant>" if begun else "")


def before_marks(said: str) -> str:
    """What was said up to the first mark, which ends a turn as well as its own end does."""
    return _ANY.split(said, maxsplit=1)[0].strip()


def is_markup(text: str) -> bool:
    """Whether a text is a conversation in this form."""
    return _MARK.match(text) is not None


def parsed(text: str) -> tuple[Message, ...]:
    """The messages of `markup`; an assistant's turn that was only opened is left out.

    Raises ValueError for text that is no conversation.
    """
    if not is_markup(text):
        raise ValueError(f"no conversation: {text[:40]!r} begins with none of <system>, <user>, …")
    marks = list(_MARK.finditer(text))
    ends = [m.start() for m in marks[1:]] + [len(text)]
    found = []
    for mark, end in zip(marks, ends, strict=True):
        role, said = cast(Role, mark.group(1)), text[mark.end() : end].strip()
        if role == "assistant" and not said and mark is marks[-1]:
            continue
        if role == "assistant":
            said = said.removesuffix(END).rstrip()
        if END in said:
            raise ValueError(f"{END} stands inside a message: {said!r}")
        found.append(Message(role=role, content=said))
    return tuple(found)


def own_turns(text: str) -> tuple[tuple[int, int], ...]:
    """Character spans [start, end) of the assistant's finished turns, each with its `<end>`."""
    found = []
    for mark in re.finditer(r"<assistant>\s*", text):
        end = text.find(END, mark.end())
        if end >= 0:
            found.append((mark.end(), end + len(END)))
    return tuple(found)
