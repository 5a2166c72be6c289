"""The matrix of worlds × kinds of site: in each cell one run's best finder, or why there is none.

A cell shows one run, never a mean over runs: the finished one with most seeds, then the newest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from seedbed.core.sites import SiteKind
from seedbed.report.leading import DECLARED
from seedbed.report.site_entries import Entry, Number, newest_first, noun
from seedbed.worlds.base import WORLDS, World

MAIN = (SiteKind.DOCUMENT, SiteKind.CELL, SiteKind.INPUT, SiteKind.DIRECTION)
APART = (SiteKind.LAYER, SiteKind.RULE, SiteKind.USER)
FIRST = ("hops", "counting", "users", "quadrants", "recall")
RULE = (
    "A cell shows one run: of the finished runs of that world with a score there, the one with "
    "most seeds, then the newest; the others are counted and never averaged in. Its best finder "
    "is the one with the highest value of the leading metric: average precision under the declared "
    "truth (ROC-AUC for directions, where two classes of questions are told apart); under the "
    "measured truth LDS for documents and the correlation with exact patching for cells; where a "
    "run has none of these, the first metric that it has. Of equals it is the cheapest, and the "
    "others are counted (=). Controls "
    "(chance, oracle, labels, random, shuffled and randomised finders; of directions and input "
    "parts surface baselines too) are never best."
)


@dataclass(frozen=True)
class Cell:
    """One world and one kind of site.

    `score`: `number` is the best of `entry`, `others` further runs that have a score here.
    `none`: the world has no such site, `reason` says why. `ended`: runs there are, but none with
    a finder's score, `reason` is the newest one's (`entry`). `open`: no run covers it.
    """

    world: str
    sites: str
    state: Literal["score", "none", "ended", "open"]
    reason: str = ""
    entry: Entry | None = None
    number: Number | None = None
    others: int = 0


@dataclass(frozen=True)
class Row:
    """A world and its cells, one for each column."""

    world: str
    about: str
    first: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Matrix:
    """Under one truth: `columns` are kinds of site, those `apart` stand behind the others."""

    truth: str
    columns: tuple[str, ...]
    apart: tuple[str, ...]
    rows: tuple[Row, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        """How many cells of the main columns are in each state."""
        states = [c.state for row in self.rows for c in row.cells if c.sites in self.columns]
        return {state: states.count(state) for state in ("score", "ended", "open", "none")}


@cache
def known_worlds() -> Mapping[str, type[World]]:
    """Worlds of this package and its plug-ins, found once."""
    return WORLDS.names()


def matrix(entries: Sequence[Entry], truth: str = DECLARED) -> Matrix:
    """The matrix of these runs under one truth; the five worlds first, then all others."""
    known = known_worlds()
    more = sorted({e.run.world for e in entries if e.run.world} | set(known) - set(FIRST))
    seen = {n.line.sites for e in entries for n in e.numbers if n.line.truth == truth}
    apart = tuple(str(kind) for kind in APART if kind in seen)
    # The world declares; what is measured, only runs tell.
    columns = tuple(str(kind) for kind in MAIN if truth == DECLARED or kind in seen)
    rows = []
    for world in (*FIRST, *(w for w in more if w not in FIRST)):
        own = [e for e in entries if e.run.world == world]
        cells = tuple(_cell(world, own, kind, truth) for kind in (*columns, *apart))
        rows.append(Row(world, about(world), world in FIRST, cells))
    return Matrix(truth, columns, apart, tuple(rows))


def about(world: str) -> str:
    """A line on a world of this package; "" of another one."""
    known = known_worlds().get(world)
    return (known.__doc__ or "").strip().split("\n")[0].replace("`", "") if known else ""


def chosen(entries: Sequence[Entry], sites: str, truth: str) -> list[Entry]:
    """Finished runs with a best finder there: most seeds first, then the newest."""
    found = [e for e in newest_first(entries)
             if e.run.state == "finished" and e.best(sites, truth)]  # fmt: skip
    return sorted(found, key=lambda e: -len(e.run.seeds))


def _cell(world: str, own: Sequence[Entry], sites: str, truth: str) -> Cell:
    found = chosen(own, sites, truth)
    if found:
        entry = found[0]
        number = entry.best(sites, truth)
        return Cell(world, sites, "score", "", entry, number, len(found) - 1)
    has, reason = site_of(world, own, sites)
    if not has:
        return Cell(world, sites, "none", reason.replace("`", ""))
    if has == "unsaid" or truth != DECLARED:
        return Cell(world, sites, "open", f"no run here has a {truth} truth about {noun(sites)}")
    ended = [e for e in newest_first(own) if e.run.state != "finished" and e.run.sites == sites]
    if ended:
        run = ended[0].run
        return Cell(world, sites, "ended", f"{run.state}: {run.reason}", ended[0], None,
                    len(ended) - 1)  # fmt: skip
    told = next((e for e in newest_first(own) if sites in dict(e.run.lacking)), None)
    if told is not None:
        return Cell(world, sites, "ended", dict(told.run.lacking)[sites], told)
    return Cell(world, sites, "open", "the site exists, no run covers it")


def site_of(
    world: str, own: Sequence[Entry], sites: str
) -> tuple[Literal["", "yes", "unsaid"], str]:
    """Whether a world has a kind of site, and the reason if not.

    A world of this package says so itself; of another one its runs do, or nobody.
    """
    known = known_worlds().get(world)
    lacking = {kind: why for e in own for kind, why in e.run.lacking}
    if known is not None:
        if sites == known.sites or sites in known.crossings:
            return "yes", ""
        lacking |= {str(kind): why for kind, why in known.lacking.items()}
    if sites in lacking:
        return "", lacking[sites]
    if any(e.run.sites == sites or (sites, DECLARED) in e.parts for e in own):
        return "yes", ""
    return "unsaid", ""
