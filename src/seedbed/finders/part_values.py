"""What else could stand at a part of a prompt, told by the other questions alone.

Values come from the same-named place of questions that are written alike, so nobody has to be
told a world; what was seen nowhere cannot be tried.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from seedbed.core.rows import Question
from seedbed.core.seeds import stream
from seedbed.finders.parts import text_at

NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?")
# The frame of questions that share theirs with nobody: no prompt is empty.
ALL = ""


class PartValues:
    """The values at each place of `questions`, by the frame they stand in.

    A frame is the text around a prompt's places: a number written for one template is not put
    into another. A question that shares its frame with nobody draws from all.
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        frames = [frame(q) for q in questions]
        shared = {f for f, count in Counter(frames).items() if count > 1}
        self._frames = [f if f in shared else ALL for f in frames]
        self._mates: dict[tuple[str, str], list[int]] = {}
        for f in sorted(set(self._frames)):
            for j, question in enumerate(questions):
                for part in question.places if f in (ALL, frames[j]) else ():
                    self._mates.setdefault((f, part), []).append(j)
        self._seen = {
            (f, part): sorted({text_at(questions[j], part) for j in mates})
            for (f, part), mates in self._mates.items()
        }

    def mates(self, index: int, part: str) -> list[int]:
        """The questions that have this place, written like question `index`; itself too."""
        return self._mates[self._frames[index], part]

    def others(self, index: int, part: str, points: int = 0) -> list[str]:
        """Every value seen at a place but the question's own, sorted.

        Of more than `points` numbers (0: never) a grid of as many along their axis instead.
        A digit or sign that would take the number it is part of outside the range seen is no
        value of it.
        """
        question = self.questions[index]
        seen = self._seen[self._frames[index], part]
        found = swept(text_at(question, part), seen, points or len(seen))
        return [value for value in found if self._in_range(index, part, value)]

    def _in_range(self, index: int, part: str, value: str) -> bool:
        question = self.questions[index]
        start, end = question.places[part]
        for name, (a, b) in question.places.items():
            if not a <= start <= end <= b or (a, b) == (start, end):
                continue
            reach = self._ranges[self._frames[index], name]
            whole = question.prompt[a:start] + value + question.prompt[end:b]
            number = NUMBER.fullmatch(whole)
            if reach and not (number and reach[0] <= float(whole) <= reach[1]):
                return False
        return True

    @cached_property
    def _ranges(self) -> dict[tuple[str, str], tuple[float, float] | None]:
        return {
            key: (min(map(float, seen)), max(map(float, seen)))
            if all(NUMBER.fullmatch(value) for value in seen)
            else None
            for key, seen in self._seen.items()
        }


def frame(question: Question) -> str:
    """The prompt with a mark in place of each part that lies in no other."""
    spans = sorted(set(question.places.values()), key=lambda span: (span[0], -span[1]))
    text, done = "", 0
    for start, end in spans:
        if start >= done:
            text += question.prompt[done:start] + "\0"
        done = max(done, end)
    return text + question.prompt[done:]


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
    decimals, and a plus or leading zeros where those seen have them.
    """
    pattern = NUMBER.fullmatch(own)
    if len(seen) <= points or pattern is None or not all(map(NUMBER.fullmatch, seen)):
        return [value for value in seen if value != own]
    decimals = len(pattern[3] or "")
    whole = [round(float(value) * 10**decimals) for value in seen]
    low, high = min(whole), max(whole)
    steps = {low + round((high - low) * k / (points - 1)) for k in range(points)}
    plus = "+" if any(value.startswith("+") for value in seen) else ""
    padded = len(pattern[2]) > 1 and pattern[2].startswith("0")
    digits = len(pattern[2]) if padded else 1
    found = [_written(step, decimals, digits, plus) for step in sorted(steps)]
    return [value for value in found if value != own]


def _written(scaled: int, decimals: int, digits: int, plus: str) -> str:
    whole, rest = divmod(abs(scaled), 10**decimals)
    sign = "-" if scaled < 0 else plus
    return f"{sign}{whole:0{digits}d}" + (f".{rest:0{decimals}d}" if decimals else "")
