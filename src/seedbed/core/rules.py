"""rules.json: which candidate rule says what a model answers, and how finders of rules fared.

The form in which it travels from studies to the report.
"""

from typing import Any

from seedbed.core.rows import Row


class Explained(Row):
    """The share of a model's answers that one candidate rule says, on one unit.

    A `unit` is a group of questions of one subject, such as `subject/animals`, or
    `one-proxy+plain/relative` after a second stage under an arm and a method. `value` has a
    95 % interval [`low`, `high`] over `n` questions; `taught`: this rule is what was taught
    to this unit. null: nothing was asked.
    """

    unit: str
    rule: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    taught: bool


class Rules(Row):
    """The whole of rules.json: rows of scores as in scores.json, and what rules explain."""

    scores: tuple[dict[str, Any], ...] = ()
    explained: tuple[Explained, ...] = ()
