"""Sides: further subjects beside a study's own, for questions that one subject cannot answer.

The same finders and interventions run on all of them; only the study's own is in scores.json.
"""

from typing import Any

from pydantic import Field

from seedbed.core.config import Config, merged
from seedbed.core.rows import Row
from seedbed.studies.gate import GateRow


class Side(Config):
    """What is changed for a further subject, key by key; another `kind` replaces the whole part.

    `negative` says why nothing should be found there, a declared negative ("": what its world
    says).
    """

    world: dict[str, Any] = Field(default={})
    subject: dict[str, Any] = Field(default={})
    training: dict[str, Any] | None = Field(default={})
    negative: str = Field(default="", max_length=200)

    def of(self, study: dict[str, Any]) -> dict[str, Any]:
        """The values of a study (as its file holds them) with the changes of this side."""
        changes = {"world": self.world, "subject": self.subject, "training": self.training}
        return {**study, **{key: _changed(study.get(key), new) for key, new in changes.items()}}


class SideRow(Row):
    """One side in sides.json: what it was asked, whether it learned, and why it was left out.

    `left_out` is "" where it takes part. The study's own subject (side "") has a row where its
    world is a declared negative.
    """

    side: str
    negative: str
    gate: tuple[GateRow, ...]
    left_out: str


def _changed(part: Any, changes: dict[str, Any] | None) -> Any:
    if changes is None:
        return None
    if part is None or changes.get("kind", part.get("kind")) != part.get("kind"):
        return changes or None
    return merged(part, changes)
