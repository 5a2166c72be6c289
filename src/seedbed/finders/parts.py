"""Parts of prompts as sites: which there are, and the prompt with something else at one."""

from collections.abc import Sequence
from dataclasses import replace

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.finders.asking import Asked, ask
from seedbed.models.blocks import blocks_of
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
    """Each question as token ids with the positions of its own parts alone; raises as `ask` does.

    A part may be called `last`, which `ask` keeps for the position that is read.
    """
    found = []
    for question in questions:
        marked = {f"part {name}": span for name, span in question.places.items()}
        one = ask(subject, question.model_copy(update={"places": marked}))
        places = {name: one.places[f"part {name}"] for name in question.places}
        found.append(replace(one, places=places))
    return found


def block_of(subject: Subject, layer: int | None, default: float) -> int:
    """The block meant by a knob `layer`; without one that at the share `default` of the depth.

    Raises InputError for a block that the model lacks.
    """
    count = len(blocks_of(subject.model))
    found = min(int(default * count), count - 1) if layer is None else layer
    if found >= count:
        raise InputError(f"layer: {found} is none of the model's blocks 0 to {count - 1}")
    return found


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
