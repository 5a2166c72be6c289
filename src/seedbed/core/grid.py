"""Decision maps: what a model answers over a grid of points, panel by panel, and what is right.

The form in which they travel from measuring to the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.core.arrays import save_arrays, saved_arrays
from seedbed.core.rows import Question

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int16]


@dataclass(frozen=True)
class DecisionGrid:
    """Answers over `x1` (columns) and `x2` (rows), both ascending, for each of `panels`.

    `said` and `right` [panels, x2, x1] index `choices`; `probability` is that of what was said
    among the choices. `about[panel]` are slices of the panel's questions that do not vary in it.
    """

    panels: tuple[str, ...]
    x1: tuple[float, ...]
    x2: tuple[float, ...]
    choices: tuple[str, ...]
    said: Labels
    right: Labels
    probability: Floats
    about: tuple[dict[str, str], ...]

    @classmethod
    def of(
        cls, questions: Sequence[Question], said: Sequence[str], probability: Sequence[float]
    ) -> "DecisionGrid":
        """From the questions of `World.grid` and what was answered to each.

        Raises ValueError if a panel lacks a point or choices differ.
        """
        panels = tuple(dict.fromkeys(q.slices["panel"] for q in questions))
        axes = [sorted({float(q.slices[x]) for q in questions}) for x in ("x1", "x2")]
        choices = questions[0].choices
        shape = (len(panels), len(axes[1]), len(axes[0]))
        labels = np.full((2, *shape), -1, dtype=np.int16)
        p = np.full(shape, np.nan, dtype=np.float32)
        about: dict[str, dict[str, str]] = {}
        for question, answer, share in zip(questions, said, probability, strict=True):
            if question.choices != choices:
                raise ValueError("all questions of a grid must have the same choices")
            panel = question.slices["panel"]
            mine = about.setdefault(panel, dict(question.slices))
            about[panel] = {k: v for k, v in mine.items() if question.slices.get(k) == v}
            at = (panels.index(panel), axes[1].index(float(question.slices["x2"])),
                  axes[0].index(float(question.slices["x1"])))  # fmt: skip
            labels[(0, *at)] = choices.index(answer)
            labels[(1, *at)] = question.target
            p[at] = share
        if (labels < 0).any():
            raise ValueError("a panel of the grid lacks a point")
        own = tuple({k: v for k, v in about[p].items() if k != "panel"} for p in panels)
        return cls(panels, tuple(axes[0]), tuple(axes[1]), choices, labels[0], labels[1], p, own)

    def save(self, path: Path) -> None:
        """Write as .npz."""
        meta = {"panels": self.panels, "x1": self.x1, "x2": self.x2, "choices": self.choices,
                "about": self.about}  # fmt: skip
        arrays = {"said": self.said, "right": self.right, "probability": self.probability}
        save_arrays(path, meta, arrays)

    @classmethod
    def load(cls, path: Path) -> "DecisionGrid":
        """Read what `save` wrote; raises DataError if it is not such a file."""
        with saved_arrays(path, "a saved decision map") as (meta, file):
            return cls(
                tuple(meta["panels"]), tuple(meta["x1"]), tuple(meta["x2"]),
                tuple(meta["choices"]), file["said"], file["right"], file["probability"],
                tuple(meta["about"]),
            )  # fmt: skip
