"""What directions read and do, in tables: at the chosen site, site by site, by recurrences.

Every number comes from directions.json.
"""

from collections.abc import Sequence

from seedbed.core.selectivity import CHOSEN, DirectionRow, Section
from seedbed.report import wording
from seedbed.report.directions import ALL, CONTROLS, Side, sides, site_words, titled
from seedbed.report.grids import Grid, Number, columns_with_values
from seedbed.report.reader import Run
from seedbed.scoring.directions import (
    ACCURACY,
    AGREEMENT,
    AUC,
    FLIPPED,
    LARGEST,
    OVER_RANDOM,
    RANDOM,
)

SELECTIVE = {
    "target": "target",
    "unrelated": "unrelated",
    "selectivity": "difference",
    "selectivity over random": OVER_RANDOM,
    "log perplexity": "perplexity",
}
_SHOWN = 3
Line = tuple[str, list[Number]]


def grids(run: Run) -> list[Grid]:
    """The tables of every side, the study's own subject first."""
    found: list[Grid | None] = []
    for side in sides(run):
        found += [_chosen(side), _sites(side), _doses(side), _recurrences(side)]
    return [grid for grid in found if grid is not None]


def anchor(side: Side, name: str) -> str:
    """The address of a table or figure: `directions-sites-recurrent`."""
    return f"directions-{name}" + (f"-{side.name}" if side.name else "")


def number(row: DirectionRow | None, places: int = 3) -> Number:
    """A row as a number with its interval."""
    return Number(None) if row is None else Number(row.value, row.low, row.high, places)


def on(slice_: str, several: bool = True) -> str:
    """`, stored` behind a heading, where a section reports on several slices."""
    return f", {slice_}" if several and slice_ != ALL else ""


def dosed(dose: float | None) -> str:
    """` at dose 2`, or nothing."""
    return "" if dose is None else f" at dose {dose:g}"


def _chosen(side: Side) -> Grid | None:
    """Directions down; what each reads and does at the sites that dev chose."""
    columns: list[tuple[str, Section, str, str, str, float | None]] = []
    for slice_ in side.slices("decodable"):
        columns += [
            (f"AUC{on(slice_)}", "decodable", AUC, CHOSEN, slice_, None),
            (f"accuracy{on(slice_)}", "decodable", ACCURACY, CHOSEN, slice_, None),
        ]
    main, steer = side.main("steering"), side.dose("steering", FLIPPED, CHOSEN)
    flips = side.row("steering", FLIPPED, side.lead, CHOSEN, main, steer)
    columns += [
        ("flips", "steering", FLIPPED, CHOSEN, main, steer),
        ("flips over random", "steering", OVER_RANDOM, CHOSEN, main, steer),
        *((f"flips{on(s)}", "steering", FLIPPED, CHOSEN, s, steer) for s in side.kinds("steering")),
    ]
    told = flips is not None and flips.value is not None
    for slice_ in side.slices("selectivity"):
        columns += [
            (f"{head}{on(slice_)}", "selectivity", name, CHOSEN, slice_, None)
            for head, name in SELECTIVE.items()
            # The target is what flips, wherever a question has an answer of the other kind.
            if not (told and name == "target")
        ]
    agree = side.usual(side.doses("steering", AGREEMENT))
    main = side.main("patching")
    columns += [
        ("AUC ~ patching", "decodable", AGREEMENT, "", main, None),
        ("flips ~ patching", "steering", AGREEMENT, "", main, agree),
    ]
    rows: list[Line] = [
        (d, [number(side.row(section, name, d, site, slice_, dose))
             for _, section, name, site, slice_, dose in columns])
        for d in side.directions
    ]  # fmt: skip
    heads, kept = columns_with_values(("direction", *(c[0] for c in columns)), rows)
    if not kept:
        return None
    note = (
        "On held-out questions; 95 % intervals over seeds and causes. Every direction, random ones "
        "included, has the site at which it read dev best (AUC, accuracy) and the site and dose at "
        "which it was most selective on dev (the rest). Flips: share of questions that give the "
        f"answer of the other kind once steered{dosed(steer)}. {_random_words()} Unrelated: share "
        "of the answers changed to questions that no direction should touch; selectivity: target "
        "less unrelated. Log perplexity: by how much it grew on training documents. ~ patching: "
        f"rank correlation over all sites with what patching flips (flips{dosed(agree)})."
    )
    title = titled(side, "Directions at the sites chosen on dev")
    return Grid(anchor(side, "chosen"), title, note, heads, kept, frozenset(CONTROLS))


def _random_words() -> str:
    return (
        f"{RANDOM}: mean over drawn directions of the same length, its interval over draws too; "
        f"{LARGEST}: each seed's draw with the largest mean, whose interval does not tell of that "
        "choice. Over random: less the mean draw, in the same resamples."
    )


def _sites(side: Side) -> Grid | None:
    """Sites down in running order; read, patched, steered across."""
    shown = [*side.own[:_SHOWN], *(d for d in (RANDOM,) if d in side.directions)]
    columns: list[tuple[str, dict[str, DirectionRow]]] = []
    for slice_ in side.slices("decodable"):
        columns += [(f"AUC {d}{on(slice_)}", side.over_sites("decodable", AUC, d, slice_))
                    for d in shown]  # fmt: skip
    for slice_ in side.kinds("patching") or side.slices("patching"):
        columns.append((f"patching flips{on(slice_)}",
                        side.over_sites("patching", FLIPPED, "", slice_)))  # fmt: skip
    dose = side.swept
    for d, slices in ((side.lead, side.kinds("steering") or (side.main("steering"),)),
                      (RANDOM, (side.main("steering"),))):  # fmt: skip
        columns += [
            (f"steering {d} flips{on(s)}", side.over_sites("steering", FLIPPED, d, s, dose))
            for s in slices
        ]
    columns.append(
        (f"effect {side.lead}", side.over_sites("effect", "kl", side.lead, side.main("effect")))
    )
    rows: list[Line] = [
        (site_words(site), [number(found.get(site)) for _, found in columns]) for site in side.sites
    ]
    heads, kept = columns_with_values(("site", *(head for head, _ in columns)), rows)
    if not kept:
        return None
    note = (
        "Decodable beside causal. AUC: do held-out questions of one kind lie further along the "
        "direction than those of the other? Patching: share of questions that give the answer of "
        "the other kind once the state at the site comes from their twin of that kind (the "
        f"measured truth). Steering{dosed(dose)}: the same share once the state is moved along the "
        "direction; random: mean over drawn directions of the same length. Effect: how fast a push "
        "moves the output, half the Fisher information (KL in nats per squared dose). 95 % "
        "intervals over seeds and causes."
    )
    title = titled(side, "What is read, what patching changes and what steering changes, by site")
    return Grid(anchor(side, "sites"), title, note, heads, kept)


def _doses(side: Side) -> Grid | None:
    """Doses down at the chosen site; the leading direction beside random ones."""
    columns: list[tuple[str, Section, str, str, str]] = []
    for d, who in ((side.lead, ""), (RANDOM, ", random")):
        columns += [
            (f"flips{on(s)}{who}", "steering", FLIPPED, d, s)
            for s in (side.slices("steering") if not who else [side.main("steering")])
        ]
        columns += [
            (f"{head}{who}", "steering", name, d, side.main("steering"))
            for head, name in (("changes", "changed"), ("log odds", "moved"), ("KL", "kl"))
        ]
        columns += [(f"{head}{who}", "selectivity", SELECTIVE[head], d, side.main("selectivity"))
                    for head in ("unrelated", "selectivity")]  # fmt: skip
    doses = side.doses("steering", "changed", CHOSEN)
    rows: list[Line] = [
        (f"{dose:g}", [number(side.row(section, name, d, CHOSEN, slice_, dose))
                       for _, section, name, d, slice_ in columns])
        for dose in doses
    ]  # fmt: skip
    heads, kept = columns_with_values(("dose", *(c[0] for c in columns)), rows)
    if len(kept) < 2:
        return None
    note = (
        f"Steering along {side.lead} at the site chosen on dev, towards the other kind; dose 1 "
        "moves a state by how far the means of the two kinds stand apart there. Log odds: of the "
        "other kind's answer against its own, in nats; KL: of the next token, in nats; random: "
        "mean over drawn directions of the same length. 95 % intervals over seeds and causes."
    )
    return Grid(anchor(side, "doses"), titled(side, "Dose by dose"), note, heads, kept)


def _recurrences(side: Side) -> Grid | None:
    """Recurrences down, kinds across."""
    slices = side.slices("recurrence")
    counts = side.doses("recurrence", "accuracy")
    rows: list[Line] = [
        (f"{count:g}", [number(side.row("recurrence", "accuracy", "", "", s, count))
                        for s in slices])
        for count in counts
    ]  # fmt: skip
    heads, kept = columns_with_values(("recurrences", *slices), rows)
    if not kept:
        return None
    note = (
        "Accuracy on held-out questions when the looped blocks run so many times; 95 % intervals "
        f"over seeds and causes. {_counted(side, slices)}"
    )
    title = titled(side, "Accuracy by recurrences at test")
    return Grid(anchor(side, "recurrences"), title, note, heads, kept)


def _counted(side: Side, slices: Sequence[str]) -> str:
    most = {s: max(r.units for r in side.rows if (r.section, r.slice) == ("recurrence", s))
            for s in slices}  # fmt: skip
    said = [f"{s}: {wording.plural(n, 'question')}" for s, n in most.items()]
    return f"{'; '.join(said)}."
