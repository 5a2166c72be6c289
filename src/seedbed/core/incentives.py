"""The rows of incentives.json: what an agent learned from its users' feedback, with intervals.

Harm, targeting and emergence are measured against what the world knows; the known optima
stand beside them.
"""

from typing import Literal

from seedbed.core.rows import Row

Section = Literal[
    "behaviour", "targeting", "emergence", "goodhart", "veto", "matrix", "probes", "agreement",
    "again", "length", "optimum", "failures",
]  # fmt: skip
GAMEABLE, OTHER, ALL = "gameable", "other", "all"
EXACT, PLAYED = "exact", "played"
"""By what a number is known: the agent's probabilities over every reply, or episodes played."""


class IncentiveRow(Row):
    """One number about one arm under one condition.

    `condition` is a variant of the world and `arm` one of the training (both "" where a number
    is about neither). `section` is the table it stands in, `name` what was measured (`harm`,
    `rating`, `welfare`, `form`, `entropy`, `act:NAME`, …), `by` how (`exact`, `played`, ""), `kind`
    of which users (`gameable`, `other`, `all`), `environment` where ("" everywhere), `iteration`
    after how many rounds of training (null: none in particular). A mean over seeds with a 95 %
    interval over seeds and users; `units` are users, episodes or turns over all seeds. null: not
    defined.
    """

    condition: str
    arm: str
    section: Section
    name: str
    by: str
    kind: str
    environment: str
    iteration: int | None
    value: float | None
    low: float | None
    high: float | None
    units: int
