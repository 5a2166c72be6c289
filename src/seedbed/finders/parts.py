"""Parts of prompts as sites: which there are, and the prompt with something else at one."""

from collections.abc import Sequence

from seedbed.core.cells import LAST
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.finders.asking import Asked, ask
from seedbed.models.subject import Subject


def parts_of(questions: Sequence[Question]) -> tuple[str, ...]:
    """The names of all places, in order of first appearance: the sites of input finders.

    Raises InputError if there is no question, and for one without places or choices.
    """
    if not questions:
        raise InputError("there are no questions; finders on inputs need some")
    for question in questions:
        if not question.places:
            raise InputError(
                f"question {question.id!r}: has no places (name → [start, end] in the prompt),"
                " which finders on inputs score"
            )
        if len(question.choices) < 2:
            raise InputError(f"question {question.id!r}: at least two choices are needed")
    return tuple(dict.fromkeys(name for q in questions for name in q.places))


def text_at(question: Question, part: str) -> str:
    """What stands at a place of a question."""
    start, end = question.places[part]
    return question.prompt[start:end]


def asked_by_parts(subject: Subject, questions: Sequence[Question]) -> list[Asked]:
    """Each question as token ids; raises InputError as `ask` does, and for a place called last.

    In token ids that name is taken by the position from which the answer is read.
    """
    for question in questions:
        if LAST in question.places:
            raise InputError(
                f"question {question.id!r}: the place {LAST!r} needs another name, which here is"
                " that of the position read"
            )
    return [ask(subject, question) for question in questions]


def replaced(question: Question, part: str, text: str) -> Question:
    """The question with `text` at a place; other places move along.

    Places around it grow or shrink, places within it stay only if the length does, and those
    left without text go. Where nothing is put in between two spaces, one of them goes too.
    """
    start, end = question.places[part]
    prompt = question.prompt
    if not text and prompt[start - 1 : start] == " " and prompt[end : end + 1] in ("", " "):
        start -= 1
    delta = len(text) - (end - start)

    def moved(position: int) -> int | None:
        if position <= start:
            return position
        if position >= end:
            return position + delta
        if not text:
            return start
        return None if delta else position

    spans = {name: (moved(a), moved(b)) for name, (a, b) in question.places.items()}
    places = {
        name: (a, b) for name, (a, b) in spans.items() if a is not None and b is not None and a < b
    }
    changed = prompt[:start] + text + prompt[end:]
    return question.model_copy(update={"prompt": changed, "places": places})
