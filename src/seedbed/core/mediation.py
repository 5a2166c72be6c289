"""The rows of mediation.json: what patching measured, each number with its interval."""

from typing import Literal

from seedbed.core.rows import Row

Section = Literal["total", "effects", "map", "controls", "interchange", "probes", "agreement"]


class Measurement(Row):
    """One number of a mediation.

    `section` says which table it stands in, `outcome` of what (`expected`: the expected count
    under the softmax over choices, `difference`: the logit of the corrupt answer minus that of
    the clean one), `name` what was measured and `cell` where ("" = nowhere in particular).
    Effects are shares of the total effect, a ratio of means; `units` are pairs, trials or
    questions over all seeds. null: not defined.
    """

    section: Section
    outcome: str
    name: str
    cell: str
    value: float | None
    low: float | None
    high: float | None
    units: int
