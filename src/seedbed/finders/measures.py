"""Finders with several measures of one piece of work: a row for each, the work done once."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import model_validator

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.models.subject import Subject


class ByMeasure(Finder):
    """Base of finders whose `measure` is one name or several; they override `find_all`."""

    measure: Any = ""

    @model_validator(mode="after")
    def _some_measure(self) -> Self:
        if not self.measure:
            raise ValueError("measure: at least one is needed")
        if len(set(self.measures)) < len(self.measures):
            raise ValueError("measure: one stands twice")
        return self

    @property
    def measures(self) -> tuple[Any, ...]:
        """The measures asked for, as a list."""
        return (self.measure,) if isinstance(self.measure, str) else tuple(self.measure)

    def variants(self) -> tuple[Self, ...]:
        """One finder a measure; their names end in it where there is a list."""
        if isinstance(self.measure, str):
            return (self,)
        return tuple(
            self.model_copy(update={"measure": m, "label": f"{self.name}-{m}"})
            for m in self.measure
        )

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """The first of `find_all`."""
        return self.find_all(subject, documents, questions, pairs)[0]
