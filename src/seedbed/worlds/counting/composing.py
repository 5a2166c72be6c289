"""Examples from a chat model: asked for as planned, each checked against the form and the plan."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field, ValidationError

from seedbed.core.chat import Request
from seedbed.core.config import first_problem
from seedbed.core.rows import Row
from seedbed.worlds.counting.chatting import WARM, Asked, json_object, request
from seedbed.worlds.counting.examples import Example
from seedbed.worlds.counting.wanted import Plan

BATCH = 5
"""So many examples are asked for in one request."""
SYSTEM = (
    "You write word lists for a counting exercise. Every word is a single common lower-case"
    " English word without spaces, hyphens or digits. No word stands twice in a list. It must be"
    " beyond dispute which words belong to the category: leave out any word that could be argued"
    " about. Answer with JSON only."
)
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "examples": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "category": {"type": "string"},
                    "words": {"type": "array", "items": {"type": "string"}},
                    "num_target": {"type": "integer"},
                    "notes": {"type": "string"},
                },
                "required": ["category", "words", "num_target", "notes"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["examples"],
    "additionalProperties": False,
}


class Composed(Row):
    """An example as a model wrote it, before anything is checked but its types."""

    category: str
    words: list[str] = Field(min_length=1)
    num_target: int
    notes: str = ""


class Refused(Row):
    """Something a model wrote that is no example, and why."""

    category: str
    words: list[str]
    num_target: int | None
    why: str


def compose(asked: Asked, plans: Sequence[Plan], salt: str) -> tuple[list[Example], list[Refused]]:
    """Examples for the plans, and what came that is none; a reply without any is asked again."""
    parts = [plans[i : i + BATCH] for i in range(0, len(plans), BATCH)]
    requests = [_request(part, f"{salt}/{i}") for i, part in enumerate(parts)]
    replies = asked.parsed(requests, lambda i, text: _read(text, parts[i]))
    found: list[Example] = []
    refused: list[Refused] = []
    for reply in replies:
        if reply is not None:
            found += reply[0]
            refused += reply[1]
    return found, refused


def _request(plans: Sequence[Plan], salt: str) -> Request:
    lines = [
        f'{i}. category "{p.category}": {p.length} words, of which exactly {p.count} belong to'
        f" the category and {p.length - p.count} do not"
        for i, p in enumerate(plans, start=1)
    ]
    user = (
        "Write one example for each line, the words in random order. `num_target` is the number"
        " of words that belong, `notes` says in one sentence which ones.\n" + "\n".join(lines)
    )
    return request(SYSTEM, user, FORM, 200 * len(plans) + 100, salt, WARM)


def _read(text: str, plans: Sequence[Plan]) -> tuple[list[Example], list[Refused]]:
    rows = json_object(text).get("examples")
    if not isinstance(rows, list):
        raise ValueError("the reply has no list of examples")
    found: list[Example] = []
    refused: list[Refused] = []
    open_ = list(plans)
    for row in rows:
        try:
            one = Composed.model_validate(row)
        except ValidationError as error:
            refused.append(_refused(row, first_problem(error, Composed)))
            continue
        plan = next((p for p in open_ if p.category == one.category.strip().lower()), None)
        if plan is None:
            refused.append(_refused(row, f"category: '{one.category}' was not asked for"))
            continue
        try:
            example = Example(
                category=plan.category,
                words=tuple(w.strip().lower() for w in one.words),
                num_target=one.num_target,
                generation_method="llm",
                notes=one.notes,
            )
        except ValidationError as error:
            refused.append(_refused(row, first_problem(error, Example)))
            continue
        open_.remove(plan)
        found.append(example)
    if not found:
        raise ValueError("the reply holds no example that was asked for")
    return found, refused


def _refused(row: Any, why: str) -> Refused:
    values = row if isinstance(row, dict) else {}
    words, count = values.get("words"), values.get("num_target")
    return Refused(
        category=str(values.get("category", "")),
        words=[str(w) for w in words] if isinstance(words, list) else [],
        num_target=count if isinstance(count, int) else None,
        why=why,
    )
