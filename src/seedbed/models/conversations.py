"""Conversations through a tokenizer's chat template, and where in the text the agent speaks.

A whole conversation is laid out at once: a template that is handed a reply alone may begin
anew with a system prompt. Texts in canonical markup are laid out again for such tokenizers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seedbed.core.chat import Message
from seedbed.core.conversation import END, TEMPLATE, is_markup, markup, own_turns, parsed
from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.models.templates import has_template, rendered

Span = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """A conversation as text: `contents` [message] are the spans of what each message says,
    `turns` [assistant message] those of the agent's turns, each with the mark that ends it.
    """

    text: str
    contents: tuple[Span, ...]
    turns: tuple[Span, ...]


def is_canonical(tokenizer: Any) -> bool:
    """Whether the tokenizer's template is the project's own markup."""
    return has_template(tokenizer) and tokenizer.chat_template == TEMPLATE


def laid_out(tokenizer: Any, messages: Sequence[Message]) -> tuple[str, tuple[Span, ...]]:
    """(text, character spans [start, end) of the assistant's turns, each with its end mark).

    Raises InputError where there is no template, or it refuses the conversation or changes
    its words.
    """
    if is_canonical(tokenizer):
        # The same text, without the template's machinery.
        text = markup(messages)
        return text, own_turns(text)
    found = layout(tokenizer, messages)
    return found.text, found.turns


def prompt_of(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The conversation up to where the assistant begins to speak; raises as `laid_out`."""
    if is_canonical(tokenizer):
        return markup(messages, begun=True)
    return rendered(tokenizer, _plain(messages))


def reply_after(tokenizer: Any, before: Sequence[Message], reply: str) -> tuple[str, Span]:
    """(text, span of the reply with its end mark) of one reply after what was said before.

    The text begins with `prompt_of(before)`, so the reply stands where the model wrote it.
    """
    head = prompt_of(tokenizer, before)
    if is_canonical(tokenizer):
        text = f"{head} {reply} {END}" if reply else f"{head} {END}"
        return text, (len(head) + 1, len(text))
    whole = layout(tokenizer, [*before, Message(role="assistant", content=reply)])
    start, end = whole.turns[-1]
    # A template may open a turn in another way than it lays out one that is finished.
    lead = whole.text[:start] if whole.text[:start].startswith(head) else head
    return lead + whole.text[start:end], (len(lead), len(lead) + end - start)


def layout(tokenizer: Any, messages: Sequence[Message], begun: bool = False) -> Layout:
    """Where everything stands in the template's text; with `begun` the next turn is opened.

    Found by laying out the same roles with names for contents, so that words of the template
    are never taken for words of a message. Raises InputError as `laid_out`.
    """
    names = [f"⟦{i}⟧" for i in range(len(messages))]
    blank = [m.model_copy(update={"content": n}) for m, n in zip(messages, names, strict=True)]
    frame = rendered(tokenizer, _plain(blank), begun)
    text = rendered(tokenizer, _plain(messages), begun)
    made, cursor = "", 0
    spans: list[Span] = []
    turns: list[Span] = []
    ends = sorted(_special(tokenizer), key=len, reverse=True)
    for message, name in zip(messages, names, strict=True):
        place = frame.find(name, cursor)
        if place < 0:
            raise InputError(f"the chat template leaves out a message of the {message.role}")
        made += frame[cursor:place]
        # Many templates take the blanks around a message away.
        said = next((s for s in (message.content, message.content.strip())
                     if text.startswith(s, len(made))), None)  # fmt: skip
        if said is None:
            raise InputError(f"the chat template changes the words of {message.content!r}")
        spans.append((len(made), len(made) + len(said)))
        made += said
        cursor = place + len(name)
        if message.role == "assistant":
            turns.append((spans[-1][0], len(made) + _ending(frame[cursor:], ends)))
    made += frame[cursor:]
    if made != text:
        raise InputError("the chat template changes the words of the conversation")
    return Layout(text, tuple(spans), tuple(turns))


def relaid_document(tokenizer: Any, document: Document) -> Document:
    """A document in canonical markup, laid out for `tokenizer`; any other as it is.

    Its targets become those of the assistant's turns that they touch.
    """
    if is_canonical(tokenizer) or not is_markup(document.text):
        return document
    text, turns = laid_out(tokenizer, parsed(document.text))
    own = own_turns(document.text)
    if len(own) != len(turns):
        raise InputError(f"document {document.id!r}: an assistant's turn has no {END}")
    targets = tuple(
        new for old, new in zip(own, turns, strict=True)
        if any(start < old[1] and old[0] < end for start, end in document.targets)
    )  # fmt: skip
    return document.model_copy(update={"text": text, "targets": targets})


def relaid_question(tokenizer: Any, question: Question) -> Question:
    """A question in canonical markup, laid out for `tokenizer`; any other as it is.

    Places move along; replies lose the canonical end mark for the template's own. Raises
    InputError where a place does not lie within one message.
    """
    if is_canonical(tokenizer) or not is_markup(question.prompt):
        return question
    messages = parsed(question.prompt)
    found = layout(tokenizer, messages, begun=True)
    old = _contents(question.prompt, messages)
    moved = {name: _moved(place, old, found.contents, f"question {question.id!r}: place {name}")
             for name, place in question.places.items()}  # fmt: skip
    ending = turn_end(tokenizer)

    def said(choice: str) -> str:
        bare = choice.strip()
        return bare.removesuffix(END).rstrip() + ending if bare.endswith(END) else bare

    return question.model_copy(
        update={"prompt": found.text, "places": moved, "answer": said(question.answer),
                "choices": tuple(map(said, question.choices)),
                "rules": {name: said(rule) for name, rule in question.rules.items()}}
    )  # fmt: skip


def turn_end(tokenizer: Any) -> str:
    """What stands after the assistant's words when its turn is over, such as `<|im_end|>`."""
    if is_canonical(tokenizer):
        return f" {END}"
    asked = [Message(role="user", content="a"), Message(role="assistant", content="b")]
    found = layout(tokenizer, asked)
    return found.text[found.contents[-1][1] : found.turns[-1][1]]


def _contents(text: str, messages: Sequence[Message]) -> list[Span]:
    spans, cursor = [], 0
    for message in messages:
        mark = f"<{message.role}>"
        start = text.index(message.content, text.index(mark, cursor) + len(mark))
        spans.append((start, start + len(message.content)))
        cursor = spans[-1][1]
    return spans


def _moved(place: Span, old: Sequence[Span], new: Sequence[Span], what: str) -> Span:
    for (start, end), (at, _) in zip(old, new, strict=True):
        if start <= place[0] and place[1] <= end:
            return place[0] - start + at, place[1] - start + at
    raise InputError(f"{what} does not lie within one message")


def _ending(after: str, ends: Sequence[str]) -> int:
    """Length of the mark at the beginning of `after`, blanks before it included; 0: none."""
    bare = after.lstrip()
    mark = next((e for e in ends if bare.startswith(e)), "")
    return len(after) - len(bare) + len(mark) if mark else 0


def _special(tokenizer: Any) -> set[str]:
    added = {str(token) for token in tokenizer.get_added_vocab()}
    return {token for token in {*tokenizer.all_special_tokens, *added} if token.strip()}


def _plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in messages]
