"""What subjects answered after an intervention on their documents, and its saved form.

One row an intervention: which documents were trained on, and what each retraining answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seedbed.core.arrays import save_arrays, saved_arrays

InterventionKind = Literal["none", "subset", "group", "single", "top"]


@dataclass(frozen=True)
class Intervention:
    """One set of documents to train on: all but `left_out` (indices, sorted).

    `kind`: nothing left out, a random subset, all documents of a fact, one document, or the
    top documents of a finder for one question. `name` tells interventions of a kind apart.
    """

    kind: InterventionKind
    name: str
    left_out: tuple[int, ...]


@dataclass(frozen=True)
class Outcomes:
    """Interventions and outputs[r, k, q]: nats, of question q after retraining k of row r.

    `kept[r, d]` says whether document d was trained on; higher outputs = answer more likely.
    """

    kinds: tuple[InterventionKind, ...]
    names: tuple[str, ...]
    questions: tuple[str, ...]
    sites: tuple[str, ...]
    kept: NDArray[np.bool_]
    outputs: NDArray[np.float64]

    def __post_init__(self) -> None:
        rows = len(self.names)
        wanted = (rows, len(self.sites)), (rows, self.outputs.shape[1], len(self.questions))
        if (self.kept.shape, self.outputs.shape) != wanted or len(self.kinds) != rows:
            raise ValueError(f"shapes {self.kept.shape}, {self.outputs.shape} are not {wanted}")

    def of(self, kind: InterventionKind) -> "Outcomes":
        """The interventions of one kind."""
        rows = [i for i, k in enumerate(self.kinds) if k == kind]
        names = tuple(self.names[i] for i in rows)
        return Outcomes((kind,) * len(rows), names, self.questions, self.sites,
                        self.kept[rows], self.outputs[rows])  # fmt: skip

    def select(self, questions: Sequence[str]) -> "Outcomes":
        """The columns of `questions`, in that order."""
        place = {q: i for i, q in enumerate(self.questions)}
        index = [place[q] for q in questions]
        return Outcomes(self.kinds, self.names, tuple(questions), self.sites,
                        self.kept, self.outputs[:, :, index])  # fmt: skip

    def save(self, path: Path) -> None:
        """Write as .npz, whose bytes depend on the values only."""
        meta = {"kinds": self.kinds, "names": self.names, "questions": self.questions,
                "sites": self.sites}  # fmt: skip
        save_arrays(path, meta, {"kept": self.kept, "outputs": self.outputs})

    @classmethod
    def load(cls, path: Path) -> "Outcomes":
        """Read what `save` wrote; raises DataError if it is not such a file."""
        with saved_arrays(path, "saved outcomes of retraining") as (meta, file):
            named: dict[str, Any] = {
                k: tuple(meta[k]) for k in ("kinds", "names", "questions", "sites")
            }
            return cls(**named, kept=file["kept"], outputs=file["outputs"])
