"""The rows that worlds make and finders read: documents, questions and pairs.

Whatever tells the truth (facts, roles, causes, slices) is removed by `blind()` before a
finder sees a row.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

ItemT = TypeVar("ItemT")
FIT: Final = "train"
CHOOSE: Final = "dev"
LABELLED: Final = (FIT, CHOOSE)
"""Splits of labelled examples; a finder keeps no other split of a question."""


class Row(BaseModel):
    """A frozen JSON object; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Document(Row):
    """A training text.

    `targets` are character spans [start, end) that carry the loss under `loss: answer`;
    `weight` 0 masks the document in training without moving the order of batches. `shows` are
    kinds of user that can be seen in it (`cue=trusting`), `marks` what whoever trained on it saw
    of it (`rating`, `label`, a detector's `flag`): neither is truth, and finders see both.
    """

    id: str
    text: str = Field(min_length=1)
    targets: tuple[tuple[int, int], ...] = ()
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    role: str = ""
    facts: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    marks: dict[str, float] = {}
    meta: dict[str, Any] = {}

    @model_validator(mode="after")
    def _spans_lie_in_text(self) -> "Document":
        for start, end in self.targets:
            if not 0 <= start < end <= len(self.text):
                raise ValueError(f"targets: span ({start}, {end}) is outside the text")
        return self

    def blind(self) -> "Document":
        """The text as a finder may see it: no role, facts, weight or meta."""
        return Document(id=self.id, text=self.text, targets=self.targets, shows=self.shows,
                        marks=self.marks)  # fmt: skip


class Question(Row):
    """A prompt with a closed list of choices, one of them the answer.

    Without `choices` the answer stands alone: enough for finders, not for measuring.
    `cause` names what should make the model answer it (intervals cluster by it), `split` is
    train, id, or the name of an out-of-distribution axis, `slices` are values to report by.
    `places` are named character spans [start, end) of the prompt, such as each item of a list;
    they say where things stand, not what matters, so finders may see them. `rules` is what each
    candidate rule would answer here, by the rule's name: hypotheses, of which finders may see all.
    `label` is the class of a labelled example, which finders may see: only questions of the
    splits train (to fit on) and dev (to choose by) carry one.
    """

    id: str
    prompt: str = Field(min_length=1)
    choices: tuple[str, ...] = ()
    answer: str = Field(min_length=1)
    cause: str = ""
    split: str = "id"
    slices: dict[str, str] = {}
    places: dict[str, tuple[int, int]] = {}
    rules: dict[str, str] = {}
    label: str = ""

    @model_validator(mode="after")
    def _labels_are_for_fitting(self) -> "Question":
        if self.label and self.split not in LABELLED:
            raise ValueError(f"label: a question of split {self.split!r} must not carry one")
        return self

    @model_validator(mode="after")
    def _places_lie_in_prompt(self) -> "Question":
        for name, (start, end) in self.places.items():
            if not 0 <= start < end <= len(self.prompt):
                raise ValueError(f"places: {name} ({start}, {end}) is outside the prompt")
        return self

    @model_validator(mode="after")
    def _answer_is_a_choice(self) -> "Question":
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("choices: the same choice stands twice")
        if self.choices and self.answer not in self.choices:
            raise ValueError(f"answer: {self.answer!r} is not among the choices")
        return self

    @model_validator(mode="after")
    def _rules_name_choices(self) -> "Question":
        for name, said in self.rules.items():
            if said not in self.choices:
                raise ValueError(f"rules: {name} says {said!r}, which is not among the choices")
        return self

    @property
    def target(self) -> int:
        """Index of the answer among the choices."""
        return self.choices.index(self.answer)

    def blind(self) -> "Question":
        """The question as a finder may see it: no cause or slices, a split for examples only."""
        split = self.split if self.label else "id"
        return Question(id=self.id, prompt=self.prompt, choices=self.choices, answer=self.answer,
                        split=split, places=self.places, rules=self.rules,
                        label=self.label)  # fmt: skip


class Pair(Row):
    """Two questions that differ in one cause (for patching), laid out alike.

    Places of the same name in both correspond; a world writes them so that both have as many
    tokens wherever it can know that.
    """

    id: str
    clean: Question
    corrupt: Question
    cause: str = ""

    def blind(self) -> "Pair":
        """The pair without its cause."""
        return Pair(id=self.id, clean=self.clean.blind(), corrupt=self.corrupt.blind())


def in_turns(lines: Sequence[Sequence[ItemT]]) -> list[ItemT]:
    """The first of each line, then the second of each, and so on."""
    longest = max((len(line) for line in lines), default=0)
    return [line[i] for i in range(longest) for line in lines if i < len(line)]
