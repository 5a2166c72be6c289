"""The rows of directions.json by side: which leads, at which sites, at which dose.

What leads is settled on dev, never by what the tables show.
"""

from collections.abc import Sequence
from functools import cached_property
from statistics import mean

from seedbed.core.cells import Cell
from seedbed.core.selectivity import CHOSEN, UNRELATED, DirectionRow, Section
from seedbed.report.leading import BY_HOP, DECLARED
from seedbed.report.mediation import edge_words
from seedbed.report.reader import Run
from seedbed.report.schema import Steered
from seedbed.scoring.directions import ACCURACY, AUC, FLIPPED, LARGEST, RANDOM

CHANCE = 0.5
READ, STILL = 0.9, 0.1
"""From which AUC a site is said to read the kinds, and up to which share patching does nothing."""
SETTLED = 0.75
"""Half-way between chance and certainty: the bar that the whole interval of an AUC must pass."""
CONTROLS = (RANDOM, LARGEST, "shuffled", "shuffled-probe", "surface", "words", "familiarity")
ALL = "all"
_UNIT_DOSE = 1.0


class Side:
    """The rows of one subject; `name` is "" for the study's own.

    `negative` says why nothing should be found there, `choices` hold what dev chose in each seed.
    """

    def __init__(
        self, name: str, rows: Sequence[DirectionRow], negative: str = "",
        choices: Sequence[Steered] = (),
    ) -> None:  # fmt: skip
        self.name, self.negative, self.choices = name, negative, choices
        self.rows = [row for row in rows if row.side == name]
        self._index = {
            (r.section, r.name, r.direction, r.slice, r.dose, r.site): r for r in self.rows
        }

    def row(
        self, section: Section, name: str, direction: str = "", site: str = CHOSEN,
        slice_: str = ALL, dose: float | None = None,
    ) -> DirectionRow | None:  # fmt: skip
        """One row, or None."""
        return self._index.get((section, name, direction, slice_, dose, site))

    def over_sites(
        self, section: Section, name: str, direction: str = "", slice_: str = ALL,
        dose: float | None = None,
    ) -> dict[str, DirectionRow]:  # fmt: skip
        """Site → row with a value, in running order; cells alone."""
        wanted = (section, name, direction, slice_, dose)
        found = {
            r.site: r for r in self.rows
            if (r.section, r.name, r.direction, r.slice, r.dose) == wanted
            and "@" in r.site and r.value is not None
        }  # fmt: skip
        return {site: found[site] for site in self.sites if site in found}

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """All cells of decodable, patching and steering, in running order, places as they come."""
        names = {r.site: None for r in self.rows if "@" in r.site and r.section != "cosine"}
        places = list(dict.fromkeys(Cell.parse(name).place for name in names))
        loop = first_of_loop(list(names))
        return tuple(
            sorted(names, key=lambda n: (depth(Cell.parse(n), loop),
                                         places.index(Cell.parse(n).place)))
        )  # fmt: skip

    def slices(self, section: Section) -> tuple[str, ...]:
        """On which questions a section reports, without the unrelated ones."""
        found = dict.fromkeys(r.slice for r in self.rows if r.section == section)
        return tuple(s for s in found if s != UNRELATED)

    def main(self, section: Section) -> str:
        """The slice to tell of first: all questions, else the first there is; "" none."""
        found = self.slices(section)
        return ALL if ALL in found else next(iter(found), "")

    def kinds(self, section: Section) -> tuple[str, ...]:
        """The slices of a section beside the one to tell of first."""
        return tuple(s for s in self.slices(section) if s != self.main(section))

    def doses(self, section: Section, name: str, site: str | None = None) -> list[float]:
        """The doses of a section's rows, ascending (at one site, or anywhere)."""
        found = {
            r.dose for r in self.rows
            if (r.section, r.name) == (section, name) and r.dose is not None
            and r.value is not None and site in (None, r.site)
        }  # fmt: skip
        return sorted(found)

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """Directions with rows, those of finders before controls, each in the file's order."""
        # `A/B` is the cosine of two methods.
        found = dict.fromkeys(r.direction for r in self.rows if r.section != "cosine")
        found.pop("", None)
        own = [d for d in found if d not in CONTROLS]
        return (*own, *(c for c in CONTROLS if c in found))

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The directions of finders, controls left out."""
        return tuple(d for d in self.directions if d not in CONTROLS)

    @cached_property
    def lead(self) -> str:
        """Of the finders' directions the one that was most selective on dev, over all seeds.

        Where dev did not choose, the first that was steered along, else the first; "" without any.
        """
        margins = {d: [c.chosen[d].dev for c in self.choices if d in c.chosen] for d in self.own}
        if any(margins.values()):
            return max(self.own, key=lambda d: mean(margins[d]) if margins[d] else float("-inf"))
        steered = {r.direction for r in self.rows if r.section in ("steering", "selectivity")}
        return next((d for d in self.own if d in steered), next(iter(self.own), ""))

    def readable(self) -> dict[str, DirectionRow]:
        """Site → the AUC of the finders' direction that reads it best there."""
        found: dict[str, DirectionRow] = {}
        for direction in self.own:
            for site, row in self.over_sites("decodable", AUC, direction).items():
                if site not in found or (row.value or 0.0) > (found[site].value or 0.0):
                    found[site] = row
        return {site: found[site] for site in self.sites if site in found}

    def dose(self, section: Section, name: str, site: str | None = None) -> float | None:
        """The dose to tell of; None, each seed's own choice on dev, where rows have that.

        Else the one that most seeds chose, else the one nearest to 1, the lower of two.
        """
        plain = any(
            (r.section, r.name, r.dose) == (section, name, None) and site in (None, r.site)
            and r.value is not None for r in self.rows
        )  # fmt: skip
        return None if plain else self.usual(self.doses(section, name, site))

    def usual(self, doses: Sequence[float]) -> float | None:
        """Of some doses the one that most seeds chose on dev, else the one nearest to 1."""
        picked = [c.chosen[self.lead].dose for c in self.choices if self.lead in c.chosen]
        known = [d for d in doses if d > 0]
        if not known:
            return None
        return min(known, key=lambda d: (-picked.count(d), abs(d - _UNIT_DOSE), d))

    @cached_property
    def swept(self) -> float | None:
        """The dose at which steering is shown site by site."""
        return self.usual(self.doses("steering", FLIPPED, None))


def sides(run: Run) -> list[Side]:
    """The sides that have rows, the study's own first, then in the order of the file."""
    negatives = {row.side: row.negative for row in run.sides}
    rows = [*run.directions, *_beside(run)] if run.directions else []
    names = sorted(dict.fromkeys(row.side for row in rows), key=bool)
    return [Side(name, rows, negatives.get(name, ""), run.steered(name)) for name in names]


def _beside(run: Run) -> list[DirectionRow]:
    """The accuracies of controls that have no vector in the model, from scores.json.

    Of two kinds a question's ROC-AUC is 1 where the right one has the higher score.
    """
    known = {row.direction for row in run.directions if row.section == "decodable"}
    scores = [run.score(name, DECLARED, BY_HOP, "all") for name in CONTROLS if name not in known]
    return [
        DirectionRow(
            side="", section="decodable", direction=row.finder, site=CHOSEN, name=ACCURACY,
            slice=ALL, dose=None, value=row.value, low=row.low, high=row.high, units=0,
        )
        for row in scores
        if row is not None
    ]  # fmt: skip


def first_of_loop(sites: Sequence[str]) -> int | None:
    """The first block that runs several times; None where every block runs once."""
    cells = [Cell.parse(site) for site in sites]
    return min((c.layer for c in cells if c.step is not None), default=None)


def depth(cell: Cell, loop: int | None) -> tuple[int, int, int, bool]:
    """Where in running order a cell stands: blocks of a loop follow one another run by run."""
    inside = cell.step is not None and loop is not None
    within = (loop or 0, (cell.step or 0) + 1, cell.layer) if inside else (cell.layer, 0, 0)
    return (*within, cell.stream == "resid_post")


def edge(site: str) -> str:
    """A cell without its place: the key of a line of a map."""
    return site.partition("@")[0]


def site_words(site: str) -> str:
    """A cell's name as a reader would say it: `into block 1, run 3 at b`."""
    cell = Cell.parse(site)
    return f"{edge_words(cell)} at {cell.place}"


def axis_words(site: str) -> str:
    """The shortest name of a depth on an axis: `1`, `1.3` (block.run), `out` of a block."""
    cell = Cell.parse(site)
    run = "" if cell.step is None else f".{cell.step}"
    after = {"resid_post": "out ", "attn_out": "attn ", "mlp_out": "MLP "}.get(cell.stream, "")
    head = "" if cell.head is None else f" head {cell.head}"
    return f"{after}{cell.layer}{run}{head}"


def clearly_above(row: DirectionRow | None, other: DirectionRow | float | None) -> bool:
    """Whether the whole interval lies above a level or another's interval."""
    if row is None or row.low is None:
        return False
    level = other.high if isinstance(other, DirectionRow) else other
    return level is not None and row.low > level


def titled(side: Side, text: str) -> str:
    """`text`, said of a side where that is not the study's own subject."""
    return f"{side.name}: {text}" if side.name else text
