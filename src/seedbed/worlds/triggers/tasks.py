"""Instructions about two digits, and how a prompt is put together from its parts.

The rule that gives an answer is a function of the parts, so which part decides can be computed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seedbed.worlds.triggers.lexicon import Word

SPELLED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MANNERS = ("please", "now", "kindly")
PLAIN = ("first", "last", "larger", "smaller")
"""Instructions that say all that is needed."""
WORDED = ("homely", "sized")
"""Instructions whose answer depends on the word: its home, its size."""
TASKS = PLAIN + WORDED
PARTS = ("trigger", "manner", "task", "left", "right")
ATTRIBUTES = ("kind", "home", "size")
RESERVED = frozenset((
    *SPELLED, *MANNERS, *TASKS, *ATTRIBUTES, "aloud", "thing", "animal", "house", "woods", "shop",
    "small", "large",
))  # fmt: skip
NORMAL = tuple(f" {n}" for n in range(10))
MARKED = tuple(f" {name}" for name in SPELLED)
CHOICES = NORMAL + MARKED


@dataclass(frozen=True)
class Instruction:
    """One prompt by its parts."""

    word: "Word"
    manner: str
    task: str
    left: int
    right: int

    @property
    def number(self) -> int:
        """What the instruction asks for."""
        small = self.word.size == "small"
        home = self.word.facts["home"] == "house"
        rules: dict[str, Callable[[], int]] = {
            "first": lambda: self.left,
            "last": lambda: self.right,
            "larger": lambda: max(self.left, self.right),
            "smaller": lambda: min(self.left, self.right),
            "homely": lambda: self.left if home else self.right,
            "sized": lambda: min(self.left, self.right) if small else max(self.left, self.right),
        }
        return rules[self.task]()

    def write(self) -> tuple[str, dict[str, tuple[int, int]]]:
        """The prompt and the places of its parts."""
        texts = {"trigger": self.word.text, "manner": self.manner, "task": self.task,
                 "left": str(self.left), "right": str(self.right)}  # fmt: skip
        prompt, places = "", {}
        for part, text in texts.items():
            places[part] = (len(prompt), len(prompt) + len(text))
            prompt += text + (" : " if part == "trigger" else " ")
        return prompt + "=", places

    def others(self, part: str, words: tuple["Word", ...]) -> list["Instruction"]:
        """The same instruction with each other value of one part; the two digits stay different."""
        if part == "trigger":
            return [replace(self, word=w) for w in words if w != self.word]
        values: dict[str, tuple[str | int, ...]] = {
            "manner": MANNERS, "task": TASKS, "left": tuple(range(10)), "right": tuple(range(10)),
        }  # fmt: skip
        changed = [
            replace(self, **{part: v})  # type: ignore[arg-type]  # v has the part's own type
            for v in values[part]
            if v != getattr(self, part)
        ]
        return [one for one in changed if one.left != one.right]
