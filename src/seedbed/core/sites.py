"""Truth and Claim: the same axes, questions × sites, so that one can mark the other.

Arrays are saved as .npz, whose bytes depend on the values only.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from seedbed.core.arrays import save_arrays, saved_arrays

Floats = NDArray[np.floating[Any]]


class SiteKind(StrEnum):
    """Where a cause can live."""

    DOCUMENT = "document"
    CELL = "cell"
    LAYER = "layer"
    DIRECTION = "direction"
    INPUT = "input"
    RULE = "rule"
    USER = "user"


ANNOTATED = "annotated"
"""The role of what somebody said of a question where nothing was planted."""


@dataclass(frozen=True)
class Truth:
    """What is known about causes.

    `labels[q, s]` indexes `names`: the role that site s plays for question q (evidence:0,
    supporting, mention, …). `values[q, s]` is 1 (a cause), 0 (none) or NaN (nobody knows).
    `declared` truths hold by construction (with the role `annotated`: by somebody's word),
    `measured` ones by intervention.
    """

    questions: tuple[str, ...]
    sites: tuple[str, ...]
    values: Floats
    labels: NDArray[np.int16]
    names: tuple[str, ...]
    site_kind: SiteKind = SiteKind.DOCUMENT
    kind: Literal["declared", "measured"] = "declared"

    def __post_init__(self) -> None:
        _check_axes(self.questions, self.sites, self.values.shape)
        _check_axes(self.questions, self.sites, self.labels.shape)

    def select(self, questions: tuple[str, ...]) -> "Truth":
        """The rows of `questions`, in that order."""
        row = {q: i for i, q in enumerate(self.questions)}
        index = [row[q] for q in questions]
        return Truth(questions, self.sites, self.values[index], self.labels[index],
                     self.names, self.site_kind, self.kind)  # fmt: skip

    def save(self, path: Path) -> None:
        """Write as .npz."""
        meta = {"names": self.names, "site_kind": self.site_kind, "kind": self.kind}
        _save(path, self.questions, self.sites, meta, values=self.values, labels=self.labels)

    @classmethod
    def load(cls, path: Path) -> "Truth":
        """Read what `save` wrote; raises DataError if it is not such a file."""
        questions, sites, meta, arrays = _load(path, "values", "labels")
        return cls(questions, sites, arrays["values"], arrays["labels"], tuple(meta["names"]),
                   SiteKind(meta["site_kind"]), meta["kind"])  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """What a finder says: `scores[q, s]`, higher = more of a cause. All values are finite.

    `notes` is free text for the reader (which path was taken, what was left out).
    """

    questions: tuple[str, ...]
    sites: tuple[str, ...]
    scores: Floats
    site_kind: SiteKind = SiteKind.DOCUMENT
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_axes(self.questions, self.sites, self.scores.shape)
        if not np.isfinite(self.scores).all():
            bad = int((~np.isfinite(self.scores)).sum())
            raise ValueError(f"{bad} of {self.scores.size} scores are not finite")

    def among(self, questions: tuple[str, ...]) -> Self:
        """The rows of `questions`, in that order; everything else stays."""
        row = {q: i for i, q in enumerate(self.questions)}
        return replace(self, questions=questions, scores=self.scores[[row[q] for q in questions]])

    def arranged(self, sites: tuple[str, ...]) -> "Claim":
        """The same claim with its sites in another order."""
        place = {s: i for i, s in enumerate(self.sites)}
        scores = self.scores[:, [place[s] for s in sites]]
        return Claim(self.questions, sites, scores, self.site_kind, self.notes)

    def save(self, path: Path) -> None:
        """Write as .npz."""
        meta = {"site_kind": self.site_kind, "notes": self.notes}
        _save(path, self.questions, self.sites, meta, scores=self.scores)

    @classmethod
    def load(cls, path: Path) -> "Claim":
        """Read what `save` wrote; raises DataError if it is not such a file."""
        questions, sites, meta, arrays = _load(path, "scores")
        kind = SiteKind(meta["site_kind"])
        return cls(questions, sites, arrays["scores"], kind, meta["notes"])

    @classmethod
    def load_notes(cls, path: Path) -> dict[str, str]:
        """The notes alone of what `save` wrote; the scores, which may be large, stay unread."""
        notes: dict[str, str] = _load(path)[2]["notes"]
        return notes


def _check_axes(questions: tuple[str, ...], sites: tuple[str, ...], shape: tuple[int, ...]) -> None:
    if shape != (len(questions), len(sites)):
        raise ValueError(
            f"shape {shape} does not fit {len(questions)} questions × {len(sites)} sites"
        )


def _save(
    path: Path,
    questions: tuple[str, ...],
    sites: tuple[str, ...],
    meta: dict[str, Any],
    **arrays: NDArray[Any],
) -> None:
    save_arrays(path, {"questions": questions, "sites": sites, **meta}, arrays)


def _load(
    path: Path, *names: str
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Any], dict[str, NDArray[Any]]]:
    with saved_arrays(path, "a saved matrix of seedbed") as (meta, file):
        arrays = {name: file[name] for name in names}
        return tuple(meta.pop("questions")), tuple(meta.pop("sites")), meta, arrays
