"""Curves of directions: by dose at the chosen site, by depth, by recurrences at test."""

from collections.abc import Sequence
from typing import Any

from seedbed.core.cells import Cell
from seedbed.core.selectivity import CHOSEN, DirectionRow, Section
from seedbed.report import palette, wording
from seedbed.report.directions import ALL, Side, axis_words, edge, sides, site_words, titled
from seedbed.report.directions_maps import Made, maps
from seedbed.report.directions_tables import anchor
from seedbed.report.reader import Run
from seedbed.scoring.directions import FLIPPED, LARGEST, RANDOM

Points = Sequence[tuple[float, DirectionRow]]


def figures(run: Run) -> list[tuple[str, bool, Made]]:
    """(file name, whether it is folded on the page, figure), side by side."""
    every = sides(run)
    found: list[tuple[str, bool, Made | None]] = []
    for side in every:
        found += maps(side)
        found.append((anchor(side, "dose"), False, _doses(side)))
        found.append((anchor(side, "effect"), bool(side.name), _effect(side)))
    found.append(("directions-recurrences", False, _recurrences(every)))
    return [(name, folded, made) for name, folded, made in found if made is not None]


def _doses(side: Side) -> Made | None:
    """Panels over doses at the chosen site: flips by kind, unrelated, how far the output moved."""
    main = side.main("steering")
    doses = side.doses("steering", "changed", CHOSEN)
    if len(doses) < 2:
        return None

    def points(section: Section, name: str, direction: str, slice_: str) -> Points:
        rows = [(d, side.row(section, name, direction, CHOSEN, slice_, d)) for d in doses]
        return [(d, row) for d, row in rows if row is not None and row.value is not None]

    lead = [(f"{side.lead}, {k}", points("steering", FLIPPED, side.lead, k))
            for k in side.kinds("steering")]  # fmt: skip
    lead = [line for line in lead if line[1]]
    name = FLIPPED if lead or points("steering", FLIPPED, side.lead, main) else "changed"
    lead = lead or [(side.lead, points("steering", name, side.lead, main))]
    panels: list[tuple[str, str, list[tuple[str, Points]]]] = [
        ("Target", "Share flipped" if name == FLIPPED else "Share changed",
         [*lead, (RANDOM, points("steering", name, RANDOM, main)),
          (LARGEST, points("steering", name, LARGEST, main))]),
        ("Unrelated questions", "Share changed",
         [(d, points("selectivity", "unrelated", d, side.main("selectivity")))
          for d in (side.lead, RANDOM)]),
        ("How far the output moves", "KL (nats)",
         [(d, points("steering", "kl", d, main)) for d in (side.lead, RANDOM)]),
    ]  # fmt: skip
    panels = [p for p in panels if any(line for _, line in p[2])]

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (title, label, lines) in zip(axes, panels, strict=True):
            for i, (who, line) in enumerate(lines):
                _band(axis, line, who, i)
            axis.set_title(title)
            axis.set(xlabel="Dose", ylabel=label)
            axis.set_xticks(doses, [f"{d:g}" for d in doses])
            if label.startswith("Share"):
                axis.set_ylim(-0.03, 1.03)
            else:
                axis.set_ylim(bottom=0)
            _legend(axis, 2)

    note = (
        "At the site that each seed chose on dev for each direction, pushed towards the other "
        "kind; dose 1 moves a state by how far the means of the two kinds stand apart there. "
        f"Bands: 95 % intervals over seeds and causes ({RANDOM}: over draws too; {LARGEST}: each "
        "seed's draw with the largest mean)."
    )
    return _dose_title(side, lead, name), note, (9.2, 3.3), draw


def _dose_title(side: Side, lead: Sequence[tuple[str, Points]], name: str) -> str:
    parts = []
    for who, line in lead:
        dose, row = max(line, key=lambda p: p[1].value or 0.0)
        kind = who.partition(", ")[2]
        parts.append(f"{wording.percent(row.value)}{f' of {kind}' if kind else ''} (dose {dose:g})")
    what = "flips" if name == FLIPPED else "changes"
    return titled(side, f"Steering along {side.lead} {what} at most {' and '.join(parts)}.")


def _effect(side: Side) -> Made | None:
    """By depth, a line a place: how fast a small push moves the output and the log-odds."""
    slice_ = side.main("effect")
    panels = [(label, {d: side.over_sites("effect", name, d, slice_) for d in (side.lead, RANDOM)})
              for name, label in (("kl", "KL (nats per squared dose)"),
                                  ("logit", "Log odds (nats per dose)"))]  # fmt: skip
    panels = [panel for panel in panels if panel[1][side.lead]]
    if not panels:
        return None
    sites = [s for s in side.sites if any(s in rows[side.lead] for _, rows in panels)]
    depths = list(dict.fromkeys(edge(s) for s in sites))
    places = list(dict.fromkeys(Cell.parse(s).place for s in sites))

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (label, rows) in zip(axes, panels, strict=True):
            for i, place in enumerate(places):
                lines = {
                    who: [(float(x), found[site]) for x, d in enumerate(depths)
                          if (site := f"{d}@{place}") in found]
                    for who, found in rows.items()
                }  # fmt: skip
                _band(axis, lines[side.lead], f"at {place}", i)
                _band(axis, lines[RANDOM], "", i, thin=True)
            ticks = list(range(0, len(depths), -(-len(depths) // 10)))
            names = [axis_words(f"{depths[i]}@last") for i in ticks]
            axis.set_xticks(ticks, names, fontsize=8)
            axis.set(xlabel="Into block", ylabel=label)
            axis.set_ylim(bottom=0)
            axis.grid(axis="y")
        _legend(axes[0], len(places))

    best = panels[0][1][side.lead]
    top = max(best, key=lambda s: best[s].value or 0.0)
    note = (
        "How fast the output moves with a small push at one site, on held-out questions; means "
        "over seeds with 95 % bands. Left, by finite differences: half the Fisher information; "
        f"right: mean size of the slope. Dashed: {RANDOM} directions of the same length at the "
        "same place. x: what each block takes in, in running order."
    )
    title = titled(side, f"A small push along {side.lead} moves the output most {site_words(top)}.")
    return title, note, (9.2, 3.5), draw


def _recurrences(every: Sequence[Side]) -> Made | None:
    """A panel a side with recurrences: accuracy by kind."""
    told = [side for side in every if len(side.doses("recurrence", "accuracy")) > 1]
    if not told:
        return None

    def line(side: Side, kind: str) -> Points:
        found = [(c, side.row("recurrence", "accuracy", "", "", kind, c))
                 for c in side.doses("recurrence", "accuracy")]  # fmt: skip
        return [(c, row) for c, row in found if row is not None and row.value is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, len(told), squeeze=False, sharey=True)[0]
        for axis, side in zip(axes, told, strict=True):
            for i, kind in enumerate(side.slices("recurrence")):
                _band(axis, line(side, kind), kind, i)
            counts = side.doses("recurrence", "accuracy")
            axis.set_xscale("log", base=2)
            axis.set_xticks(counts, [f"{c:g}" for c in counts])
            axis.minorticks_off()
            axis.set(ylim=(-0.03, 1.03), xlabel="Recurrences at test")
            axis.set_title(side.name or "the study's own subject")
            axis.grid(axis="y")
            _legend(axis, 2)
        axes[0].set_ylabel("Accuracy")

    parts = []
    for side in told:
        for kind in side.slices("recurrence"):
            rows = line(side, kind)
            if rows:
                (least, first), (most, last) = rows[0], rows[-1]
                name = "" if kind == ALL else f" ({kind})"
                parts.append(f"{side.name}{name} {wording.number(first.value, 2)} at {least:g} "
                             f"to {wording.number(last.value, 2)} at {most:g}")  # fmt: skip
    note = "Held-out questions; bands: 95 % intervals over seeds and causes."
    title = f"Accuracy by recurrences: {'; '.join(part.strip() for part in parts)}."
    return title, note, (min(9.2, 1.2 + 3.8 * len(told)), 3.2), draw


def _band(axis: Any, points: Points, label: str, i: int, thin: bool = False) -> None:
    """A line with its interval as a band; random directions in grey, thin ones dashed."""
    if not points:
        return
    control = label in (RANDOM, LARGEST)
    colour = palette.MUTED if control else palette.SERIES[i % len(palette.SERIES)]
    xs = [x for x, _ in points]
    values = [row.value for _, row in points]
    dashed = thin or label == LARGEST
    axis.plot(
        xs, values, color=colour, lw=0.9 if thin else 1.6, ls=(0, (4, 3)) if dashed else "-",
        marker="" if thin else palette.MARKERS[i % len(palette.MARKERS)], ms=4, label=label or None,
    )  # fmt: skip
    if not dashed:
        low = [row.low if row.low is not None else row.value for _, row in points]
        high = [row.high if row.high is not None else row.value for _, row in points]
        axis.fill_between(xs, low, high, color=colour, alpha=0.18, lw=0)


def _legend(axis: Any, columns: int) -> None:
    axis.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=columns,
                labelcolor=palette.INK)  # fmt: skip
