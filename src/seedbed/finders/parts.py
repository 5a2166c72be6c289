"""Parts of prompts as sites: which there are, what else could stand there, the prompt it gives.

Values come from the same-named place of the other questions, so nobody has to be told a world.
"""

import re
from collections.abc import Iterable, Sequence

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.seeds import stream

NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?")


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


def values_at(questions: Iterable[Question], part: str) -> list[str]:
    """The different texts at a place of all questions that have it, sorted."""
    return sorted({text_at(q, part) for q in questions if part in q.places})


def drawn(seed: int, question: str, values: Sequence[str], count: int) -> list[str]:
    """Up to `count` of different values, fixed by the seed, the question's id and the values."""
    ordered = sorted(values)
    if len(ordered) <= count:
        return ordered
    # By what there is to draw from and not by the place's name, which must not matter.
    return stream(seed, "parts", question, *ordered).sample(ordered, count)


def swept(own: str, seen: Sequence[str], points: int) -> list[str]:
    """Every value seen but `own`; of more than `points` numbers, as many along their axis.

    These stand evenly from the smallest to the largest number seen, written like `own`: as many
    decimals, and a plus or leading zeros if it has them.
    """
    numbers = [NUMBER.fullmatch(value) for value in seen]
    pattern = NUMBER.fullmatch(own)
    if len(seen) <= points or pattern is None or not all(numbers):
        return [value for value in seen if value != own]
    decimals = len(pattern[3] or "")
    whole = [round(float(value) * 10**decimals) for value in seen]
    low, high = min(whole), max(whole)
    steps = {low + round((high - low) * k / (points - 1)) for k in range(points)}
    plus = "+" if any(value.startswith("+") for value in seen) else "-"
    padded = len(pattern[2]) > 1 and pattern[2].startswith("0")
    digits = len(pattern[2]) if padded else 1
    found = [_written(step, decimals, digits, plus) for step in sorted(steps)]
    return [value for value in found if value != own]


def _written(scaled: int, decimals: int, digits: int, plus: str) -> str:
    whole, rest = divmod(abs(scaled), 10**decimals)
    sign = "-" if scaled < 0 else plus.replace("-", "")
    return f"{sign}{whole:0{digits}d}" + (f".{rest:0{decimals}d}" if decimals else "")


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
