"""Is an example's number right? Word lists first; a chat model where they cannot decide.

A word that neither can place leaves the example undecided, which is no verdict of its own.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, ValidationError

from seedbed.core.chat import Request
from seedbed.core.rows import Row
from seedbed.worlds.counting.chatting import Asked, json_object, request
from seedbed.worlds.counting.examples import Example
from seedbed.worlds.counting.lists import load

Outcome = Literal["valid", "wrong count", "undecided"]
BATCH = 20
"""So many words of one category are asked about in one request."""
SYSTEM = (
    "You decide whether words belong to a category, in the everyday sense of the words. Say"
    " 'unsure' wherever reasonable people could disagree. Answer with JSON only."
)
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "verdicts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "word": {"type": "string"},
                    "belongs": {"type": "string", "enum": ["yes", "no", "unsure"]},
                    "reason": {"type": "string"},
                },
                "required": ["word", "belongs", "reason"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["verdicts"],
    "additionalProperties": False,
}


class WordVerdict(Row):
    """What a model says of one word."""

    word: str
    belongs: Literal["yes", "no", "unsure"]
    reason: str = ""


class Verdict(Row):
    """What was found of an example: the words that belong, those nobody could place, and why.

    `by` says who decided: the lists alone, or the chat model as well.
    """

    outcome: Outcome
    members: tuple[str, ...]
    by: Literal["lists", "chat"]
    reasons: dict[str, str] = Field(default_factory=dict)

    @property
    def why(self) -> str:
        """The outcome in one line."""
        if self.outcome == "undecided":
            return "; ".join(f"{word}: {why}" for word, why in self.reasons.items())
        return f"{len(self.members)} belong: {', '.join(self.members) or 'none'}"


class Judge:
    """Gives verdicts; a word of a category is asked about once, however often it comes."""

    def __init__(self, validator: Asked | None) -> None:
        self.validator, self.lists = validator, load()
        self.said: dict[tuple[str, str], WordVerdict] = {}

    def verdicts(self, examples: Sequence[Example]) -> list[Verdict]:
        """One verdict an example, in order."""
        if self.validator is not None:
            self._ask(self.validator, examples)
        return [self._verdict(example) for example in examples]

    def _verdict(self, example: Example) -> Verdict:
        category = self.lists.category(example.category)
        members, reasons, asked = [], {}, False
        for word in example.words:
            belongs = self.lists.verdict(category, word)
            if belongs is None:
                asked = True
                said = self.said.get((category.name, word))
                if said is None or said.belongs == "unsure":
                    reasons[word] = f"chat: {said.reason}" if said else self._unlisted(word)
                    continue
                belongs = said.belongs == "yes"
            if belongs:
                members.append(word)
        right = len(members) == example.num_target
        outcome: Outcome = "undecided" if reasons else "valid" if right else "wrong count"
        by: Literal["lists", "chat"] = "chat" if asked and self.validator else "lists"
        return Verdict(outcome=outcome, members=tuple(members), by=by, reasons=reasons)

    def _unlisted(self, word: str) -> str:
        if word in self.lists.fields:
            return "a meaning of it comes near the category"
        return "it is in no list"

    def _ask(self, validator: Asked, examples: Sequence[Example]) -> None:
        open_: dict[str, dict[str, None]] = {}
        for example in examples:
            category = self.lists.category(example.category)
            for word in example.words:
                known = self.lists.verdict(category, word) is not None
                if not known and (category.name, word) not in self.said:
                    open_.setdefault(category.name, {})[word] = None
        parts = [
            (name, list(words)[i : i + BATCH])
            for name, words in sorted(open_.items())
            for i in range(0, len(words), BATCH)
        ]
        requests = [_request(name, words) for name, words in parts]
        replies = validator.parsed(requests, lambda i, text: _read(text, parts[i][1]))
        for (name, words), reply in zip(parts, replies, strict=True):
            for word in words:
                missing = WordVerdict(word=word, belongs="unsure", reason="no usable reply")
                self.said[name, word] = reply[word] if reply else missing


def _request(category: str, words: Sequence[str]) -> Request:
    user = (
        f"Category: {category}\nWords: {', '.join(words)}\n"
        "For each word: does it belong to the category (yes, no or unsure), and a short reason."
    )
    return request(SYSTEM, user, FORM, 60 * len(words) + 100, "judge")


def _read(text: str, words: Sequence[str]) -> dict[str, WordVerdict]:
    rows = json_object(text).get("verdicts")
    if not isinstance(rows, list):
        raise ValueError("the reply has no list of verdicts")
    try:
        found = [WordVerdict.model_validate(row) for row in rows]
    except ValidationError as error:
        raise ValueError("a verdict is not of the form") from error
    by_word = {v.word.strip().lower(): v for v in found}
    if missing := [w for w in words if w not in by_word]:
        raise ValueError(f"no verdict on '{missing[0]}'")
    return {w: by_word[w] for w in words}
