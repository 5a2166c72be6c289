"""The rows of directions.json: what directions read, what steering along them does, and patching.

Decodable is not causal: what a direction tells apart stands beside what an intervention at the
same site changes.
"""

from typing import Literal, NamedTuple

from seedbed.core.rows import Row

Section = Literal[
    "decodable", "patching", "steering", "selectivity", "effect", "cosine", "recurrence"
]


class DirectionRow(Row):
    """One number about directions.

    `side` is the subject it is about ("" the study's own), `section` the table it stands in,
    `direction` whose direction (a finder's name or a control's, such as `random`; "" none),
    `site` the cell's name ("" none, `chosen`: each seed's own choice on dev), `name` what was
    measured, `slice` on which questions (a class, `unrelated`, `all`), `dose` the strength or the
    number of recurrences (null: neither). A mean over seeds with a 95 % interval over seeds and
    causes; `units` are questions or pairs over all seeds. null: not defined.
    """

    side: str
    section: Section
    direction: str
    site: str
    name: str
    slice: str
    dose: float | None
    value: float | None
    low: float | None
    high: float | None
    units: int


class Column(NamedTuple):
    """What a column of a measured table holds; the table itself is called SECTION:SLICE.

    Tables are `Units`: one row a question or pair, so that intervals can follow causes.
    """

    name: str
    direction: str = ""
    site: str = ""
    dose: float | None = None

    @property
    def key(self) -> str:
        """The column's name in a table of units, such as `flipped|difference|resid_pre.1@b|2.0`."""
        return "|".join([self.name, self.direction, self.site,
                         "" if self.dose is None else repr(float(self.dose))])  # fmt: skip

    @classmethod
    def parse(cls, key: str) -> "Column":
        """The column of a `key`; raises ValueError if it is none."""
        parts = key.split("|")
        if len(parts) != 4:
            raise ValueError(f"{key!r} names no column such as flipped|difference|resid_pre.1@b|2")
        name, direction, site, dose = parts
        return cls(name, direction, site, float(dose) if dose else None)


CHOSEN = "chosen"
"""The site of a column that speaks of each seed's own choice on dev."""
UNRELATED = "unrelated"
"""The split, and the slice of rows, of questions that no direction should touch."""
