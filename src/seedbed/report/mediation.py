"""What patching measured, as sentences and tables: effects, controls, the running state.

Every number comes from mediation.json; the first outcome of the study leads.
"""

from collections.abc import Sequence
from itertools import groupby

from seedbed.core.cells import Cell
from seedbed.core.mediation import Measurement
from seedbed.report import wording
from seedbed.report.grids import Grid, Number, columns_with_values
from seedbed.report.schema import CHANCE, Engine

OUTCOMES = {
    "expected": "expected answer (mean of the choices as numbers under their softmax)",
    "logit-difference": "logit of the corrupt answer less that of the clean one",
}
GROUPS = ("before", "swapped", "+1", "+2", "+3", "later")
CONTROL_NAMES = {
    "identity": "identity",
    "full": "full",
    "random-place": "random place",
    "random-donor": "random donor",
}
BEHIND = ("resid_pre", "resid_post")
_OUTCOME_WORDS = {"expected": "expected answer", "logit-difference": "logit difference"}
_EXACT = 1e-4
_SPELT = 8


def edge_words(cell: Cell) -> str:
    """Where in depth a cell is, as a reader would say it."""
    run = "" if cell.step is None else f", run {cell.step}"
    block = f"block {cell.layer}{run}"
    words = {"resid_pre": f"into {block}", "resid_post": f"out of {block}",
             "attn_out": f"attention of {block}", "mlp_out": f"MLP of {block}"}  # fmt: skip
    return words.get(cell.stream, f"head {cell.head} of {block}")


def cell_words(site: str) -> str:
    """A cell's name as a reader would say it: `into block 3 at item4`."""
    cell = Cell.parse(site)
    return f"{edge_words(cell)} at {cell.place}"


class Mediation:
    """Rows by section, outcome, name and cell."""

    def __init__(self, rows: Sequence[Measurement]) -> None:
        self.rows = rows
        self.outcomes = tuple(dict.fromkeys(r.outcome for r in self.rows if r.section == "total"))
        self.lead = self.outcomes[0] if self.outcomes else ""

    def of(self, section: str, name: str, outcome: str | None = None) -> dict[Cell, Measurement]:
        """Cell → row, in the order of the file; of the leading outcome where there are several."""
        wanted = self.lead if outcome is None else outcome
        return {
            Cell.parse(r.cell): r
            for r in self.rows
            if r.cell and (r.section, r.name) == (section, name) and r.outcome in (wanted, "")
        }

    def one(self, section: str, name: str, outcome: str = "") -> Measurement | None:
        """The row without a cell."""
        return next(
            (r for r in self.rows
             if (r.section, r.name, r.outcome, r.cell) == (section, name, outcome, "")), None
        )  # fmt: skip

    def edges(self, cells: Sequence[Cell]) -> list[Cell]:
        """One cell for each stream and depth, in order."""
        found: dict[tuple[str, int, int | None], Cell] = {}
        for cell in cells:
            found.setdefault((cell.stream, cell.layer, cell.head), cell)
        return list(found.values())


def groups_of(cells: Sequence[Cell]) -> list[str]:
    """Places in reading order: before the swap, the swap, items after it, what follows the list."""
    named = list(dict.fromkeys(c.place for c in cells))
    return [g for g in GROUPS if g in named] + [g for g in named if g not in GROUPS]


def grids(rows: Sequence[Measurement]) -> list[Grid]:
    """The tables of a mediation; none without one."""
    if not rows:
        return []
    found = Mediation(rows)
    made = [_effects(found), _controls(found), _running(found), _agreement(found)]
    return [grid for grid in made if grid is not None]


def _number(row: Measurement | None) -> Number:
    return Number(None) if row is None else Number(row.value, row.low, row.high)


def _effects(found: Mediation) -> Grid | None:
    cells = {c: r for c, r in found.of("effects", "indirect").items() if c.stream in BEHIND}
    groups = groups_of(list(cells))
    by_place = {(c.stream, c.layer, c.place): r for c, r in cells.items()}
    rows = [
        (edge_words(e), [_number(by_place.get((e.stream, e.layer, g))) for g in groups])
        for e in found.edges(list(cells))
    ]
    heads, kept = columns_with_values(("residual stream", *groups), rows)
    if not kept:
        return None
    total = found.one("total", "total", found.lead)
    note = (
        f"Indirect effect of each cell alone as a share of the total effect, a ratio of means over "
        f"{wording.plural(total.units if total else 0, 'pair')}, 95 % intervals over seeds and "
        f"causes. Outcome: {OUTCOMES.get(found.lead, found.lead)}. +1: the next item after the "
        "swapped one; before, later: the effects of all such items, each alone, added up."
    )
    return Grid("effects", "Indirect effects by place and depth", note, heads, kept)


def _controls(found: Mediation) -> Grid | None:
    tables = {name: found.of("controls", name) for name in CONTROL_NAMES}
    edges = found.edges(list(tables["full"]))
    by_depth = [{(c.stream, c.layer): r for c, r in t.items()} for t in tables.values()]
    rows = [(edge_words(e), [_number(t.get((e.stream, e.layer))) for t in by_depth]) for e in edges]
    heads, kept = columns_with_values(("residual stream", *CONTROL_NAMES.values()), rows)
    note = (
        "As shares of the total effect. Identity puts a run's own states back and must be exactly "
        "0, full puts all of the donor's and must be 1; a random place is any other; a random "
        "donor comes from a question of the same cause and, where states are known, with the same "
        "state before and after the item it replaces, so it should move nothing."
    )
    return Grid("controls", "Controls of patching", note, heads, kept)


_READ = (
    ("interchange", "nothing", "item", "item: nothing"),
    ("interchange", "membership", "item", "item: its own part"),
    ("interchange", "running", "item", "item: running state"),
    ("interchange", "mirror", "item", "its mirror (control)"),
    ("interchange", "answer", "last", "last: whole answer"),
    ("probes", "probe", "item", "probe"),
    ("probes", "shuffled", "item", "shuffled labels"),
)


def _running(found: Mediation) -> Grid | None:
    tables = [
        {(c.stream, c.layer): r for c, r in found.of(section, name).items() if c.place == place}
        for section, name, place, _ in _READ
    ]
    edges = found.edges([c for s, n, _, _ in _READ for c in found.of(s, n)])
    if not edges:
        return None
    rows = [(edge_words(e), [_number(t.get((e.stream, e.layer))) for t in tables]) for e in edges]
    heads, kept = columns_with_values(("residual stream", *(h for *_, h in _READ)), rows)
    number = found.one("probes", "number")
    level = "" if number is None else (
        f" The item's number alone names it in {wording.number(number.value, 2)}."
    )  # fmt: skip
    note = (
        "Interchange: share of trials in which the answer is what a donor's state at an item would "
        "give if the item held nothing that matters, its own part, or the running state (trials in "
        "which the three differ), and at the last place if that held the whole answer; mirror: an "
        "answer as far off as the running state would make it, on the other side. Probe: "
        f"share of items whose running state ridge regression reads on held-out questions.{level}"
    )
    return Grid("running", "Is a running state carried along?", note, heads, kept)


def _agreement(found: Mediation) -> Grid | None:
    """Finders on cells against exact patching; in this section `cell` holds a finder's name."""
    marks = {(r.name, r.outcome, r.cell): r for r in found.rows if r.section == "agreement"}
    finders = list(dict.fromkeys(finder for *_, finder in marks))
    finders.sort(key=lambda f: -(marks["pearson", found.lead, f].value or 0.0))
    heads = [(n, o) for o in found.outcomes for n in ("pearson", "recall")]
    rows = [(f, [_number(marks.get((n, o, f))) for n, o in heads]) for f in finders]
    words = {"pearson": "Pearson r", "recall": "recall of the top 2 %"}
    titles = [f"{words[n]}, {o.replace('-', ' ')}" for n, o in heads]
    if not rows:
        return None
    named, kept = columns_with_values(("finder", *titles), rows)
    note = (
        "Sizes of a finder's scores against exact noising effects of the same cells, question by "
        "question, without the cells that cannot matter; recall counts at least two cells."
    )
    return Grid(
        "agreement", "Finders against exact patching (measured truth)", note, named, kept,
        frozenset({CHANCE}),
    )  # fmt: skip


def findings(rows: Sequence[Measurement], engines: Sequence[Engine]) -> list[str]:
    """What patching says, sentence by sentence; empty without a mediation."""
    if not rows:
        return []
    found = Mediation(rows)
    lines = [
        _total(found),
        *_patched(engines),
        *_where(found),
        *_certain(found),
        *_running_said(found),
    ]
    return [line for line in lines if line]


def _total(found: Mediation) -> str:
    row = found.one("total", "total", found.lead)
    if row is None:
        return ""
    return (
        f"One swapped item moves the {_OUTCOME_WORDS.get(found.lead, found.lead)} by "
        f"{_valued(row)} towards the corrupt answer ({wording.plural(row.units, 'pair')})."
    )


def _patched(engines: Sequence[Engine]) -> list[str]:
    ran, of = sum(e.ran for e in engines), sum(e.patches for e in engines)
    if ran == 0:
        return ["Nothing was patched, so every effect is exactly 0 and says nothing."]
    worst = max(e.checked for e in engines)
    tiers = wording.listed(sorted({e.tier for e in engines}))
    return [
        f"{ran:,} of {wording.plural(of, 'patch')[:-1]}es were run ({tiers}), the others cannot"
        f" matter; one a seed was checked against a plain forward pass: logits within {worst:.0e}."
    ]


def _where(found: Mediation) -> list[str]:
    cells = {c: r for c, r in found.of("effects", "indirect").items() if c.stream in BEHIND}
    largest: list[tuple[Cell, Measurement]] = []
    for edge in found.edges(list(cells)):
        here = [
            (c, r)
            for c, r in cells.items()
            if (c.stream, c.layer) == (edge.stream, edge.layer) and r.value is not None
        ]
        if here:
            largest.append(max(here, key=lambda x: abs(x[1].value or 0.0)))
    if not largest:
        return []
    parts = [f"{edge_words(c)} at {c.place} {_valued(r)}" for c, r in largest]
    if len(largest) > _SPELT:
        runs = [list(rows) for _, rows in groupby(largest, key=lambda x: x[0].place)]
        parts = [_span(rows) for rows in runs]
    return [f"Largest indirect effect, as a share of the total: {'; '.join(parts)}."]


def _span(rows: Sequence[tuple[Cell, Measurement]]) -> str:
    """Neighbouring depths whose largest effect is at one place, with its range."""
    (first, row), last = rows[0], rows[-1][0]
    if len(rows) == 1:
        return f"{edge_words(first)} at {first.place} {_valued(row)}"
    values = sorted(r.value or 0.0 for _, r in rows)
    low, high = (wording.number(v, 2) for v in (values[0], values[-1]))
    return f"{edge_words(first)} to {edge_words(last)} at {first.place} {low} to {high}"


def _certain(found: Mediation) -> list[str]:
    before = [r for c, r in found.of("effects", "indirect").items() if c.place == "before"]
    identity = list(found.of("controls", "identity").values())
    full = [r.value for r in found.of("controls", "full").values() if r.value is not None]
    lines = []
    if before:
        worst = max(abs(v) for r in before for v in (r.low or 0.0, r.high or 0.0, r.value or 0.0))
        said = "exactly 0" if worst == 0 else f"up to {worst:.1e}, which must not be"
        lines.append(f"Places before the swap: {said}.")
    if identity:
        worst = max(abs(v) for r in identity for v in (r.low or 0, r.high or 0, r.value or 0))
        said = "exactly 0" if worst == 0 else f"up to {worst:.1e}, which must not be"
        lines.append(f"Own states put back (identity): {said}.")
    if full:
        off = max(abs(v - 1) for v in full)
        said = "equals the total effect" if off <= _EXACT else "misses the total effect"
        lines.append(f"All of the donor's states (full): {said} within {off:.0e}.")
    return lines


def _running_said(found: Mediation) -> list[str]:
    def best(name: str) -> tuple[Cell, Measurement] | None:
        rows = [(c, r) for c, r in found.of("interchange", name).items() if c.place == "item"]
        return max(rows, key=lambda x: x[1].value or 0.0, default=None)

    running, own = best("running"), best("membership")
    if running is None or own is None:
        return []
    mirror = found.of("interchange", "mirror").get(running[0])
    aside = f"; as far off on the other side: {_valued(mirror)}" if mirror else ""
    lines = [
        f"With a donor's state at one item the answer follows the running state in at most "
        f"{_valued(running[1])} of trials ({edge_words(running[0])}{aside}), the item's own part "
        "in up to "
        f"{_valued(own[1])} ({edge_words(own[0])})."
    ]
    read = [(c, r) for c, r in found.of("probes", "probe").items() if r.value is not None]
    if read:
        cell, row = max(read, key=lambda x: x[1].value or 0.0)
        control = found.of("probes", "shuffled").get(cell)
        lines.append(
            f"A probe reads the running state in {_valued(row)} of items ({edge_words(cell)}; "
            f"shuffled labels {_valued(control)}): that it can be read does not say it is used."
        )
    return lines


def _valued(row: Measurement | None) -> str:
    if row is None or row.value is None:
        return wording.MISSING
    return f"{wording.number(row.value, 2)} {wording.interval(row.low, row.high)}".strip()
