"""spread.json: what a second stage of training spread to, under every arm and method.

Each question of the second stage knows what the `new` and the `old` rule say; an answer is one
of the two or neither.
"""

from typing import Final, Literal

from pydantic import Field

from seedbed.core.rows import Row

Outcome = Literal["new", "old", "neither"]
NEW: Final = "new"
OLD: Final = "old"
NEITHER: Final = "neither"
PROXY: Final = "proxy"
"""The role of a second-stage document that holds the new rule back."""
UNWANTED: Final = "unwanted"
"""Key of a proxy document's meta: what must not come out in place of its target."""


class Fit(Row):
    """Was what was taught in the second stage learned? One trained group of one subject.

    `outcome` is what the group was taught; `value` its share over the questions of that group,
    with a 95 % Wilson interval; `fitted`: `low` ≥ `needed`.
    """

    seed: int
    arm: str
    method: str
    group: str
    outcome: Outcome
    n: int
    value: float
    low: float
    high: float
    needed: float
    fitted: bool


class Share(Row):
    """How often a group of questions is answered by the new rule, the old one, or neither.

    A mean over fitted seeds with a 95 % interval over seeds and causes (words); `before` is the
    same share under the subject before the second stage. null: no seed fitted.
    """

    arm: str
    method: str
    group: str
    outcome: Outcome
    value: float | None
    low: float | None
    high: float | None
    before: float | None
    units: int
    seeds: int


class Contrast(Row):
    """A difference of shares, paired by seed and question where both sides have the question.

    One thing differs: the arm, the method, or the group (which pairs no questions).
    """

    method: str
    other_method: str
    arm: str
    other_arm: str
    group: str
    other_group: str
    outcome: Outcome
    value: float | None
    low: float | None
    high: float | None
    seeds: int


class Spreading(Row):
    """The whole of spread.json.

    `groups` are all groups in order, `trained` those that were taught and what; `about` says a
    line on each group, `seconds` the training time of each method.
    """

    arms: tuple[str, ...]
    methods: tuple[str, ...]
    groups: tuple[str, ...]
    trained: dict[str, Outcome]
    about: dict[str, str] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict)
    stopped: str = ""
    fits: tuple[Fit, ...] = ()
    shares: tuple[Share, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
