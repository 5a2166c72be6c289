"""What directions read and do, in sentences: readable, causal, steerable, selective, or not.

Every number comes from directions.json; whatever was declared not to be there is said to be so.
"""

from collections import Counter
from collections.abc import Mapping

from seedbed.core.selectivity import CHOSEN, DirectionRow
from seedbed.report import wording
from seedbed.report.directions import (
    CHANCE,
    CONTROLS,
    READ,
    SETTLED,
    STILL,
    Side,
    clearly_above,
    sides,
    site_words,
)
from seedbed.report.directions_tables import dosed
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

_NAMED = 3


def side_findings(run: Run) -> list[str]:
    """Which further subjects learned what they were taught, and which were left out."""
    lines = []
    for row in (r for r in run.sides if r.side):
        if row.left_out:
            lines.append(f"{row.side}: left out, {row.left_out}.")
        elif row.gate:
            low = {s: min(g.accuracy for g in row.gate if g.slice == s)
                   for s in dict.fromkeys(g.slice for g in row.gate)}  # fmt: skip
            told = ", ".join(f"{wording.slice_words(s)} {v:.2f}" for s, v in low.items())
            lines.append(f"{row.side}: learned; lowest accuracy of a seed: {told}.")
    return lines


def findings(run: Run) -> list[tuple[str, tuple[str, ...], bool]]:
    """(topic, sentences, whether all is as it should be) of every side."""
    found = []
    for side in sides(run):
        lines, good = _negative(side)
        lines = [*_readable(side), *lines, *_causal(side), *_apart(side), *_agreement(side),
                 *_steered(side), *_effect(side), *_recurrences(side)]  # fmt: skip
        topic = f"Directions ({side.name})" if side.name else "Directions"
        found.append((topic, tuple(lines), good))
    return found


def headline(run: Run) -> str:
    """One sentence on the study's own subject, or the first side: read, and steered."""
    for side in sides(run)[:1]:
        parts = []
        read = [(d, side.row("decodable", AUC, d)) for d in side.own]
        said = [f"{d} {valued(row)}" for d, row in read if _known(row)]
        if said:
            parts.append(f"AUC of the kind of held-out questions: {', '.join(said)}")
        flips, random = (_flips(side, d) for d in (side.lead, RANDOM))
        if _known(flips):
            parts.append(f"steering along {side.lead} flips {valued(flips)} of answers, along "
                         f"random directions {valued(random)}")  # fmt: skip
        return f"{'; '.join(parts)}." if parts else ""
    return ""


def valued(row: DirectionRow | None, places: int = 2) -> str:
    """`0.97 [0.95, 0.99]`."""
    return wording.MISSING if row is None else wording.measured(row.value, row.low, row.high,
                                                               places)  # fmt: skip


def _known(row: DirectionRow | None) -> bool:
    return row is not None and row.value is not None


def _flips(side: Side, direction: str, slice_: str | None = None) -> DirectionRow | None:
    """What is flipped at the site and dose chosen on dev."""
    dose = side.dose("steering", FLIPPED, CHOSEN)
    return side.row("steering", FLIPPED, direction, CHOSEN, slice_ or side.main("steering"), dose)


def _by_kind(rows: Mapping[str, DirectionRow | None]) -> str:
    """` (stored 0.40 [0.31, 0.48], computed 0.90 [0.85, 0.94])`, or nothing."""
    told = [f"{kind} {valued(row)}" for kind, row in rows.items() if _known(row)]
    return f" ({', '.join(told)})" if told else ""


def _readable(side: Side) -> list[str]:
    """Can the kind of a held-out question be read at the sites chosen on dev?"""
    told: dict[str, list[str]] = {}
    for direction in side.own:
        row = side.row("decodable", AUC, direction)
        if row is None or row.value is None:
            continue
        level = [
            c.direction for c in _controls(side)
            if not clearly_above(side.row("decodable", c.name, direction), c.value)
        ]  # fmt: skip
        said = f"{direction} {valued(row)}"
        if level or not clearly_above(row, CHANCE):
            why = f"no clearer than {wording.listed(level)}" if level else "level with chance"
            told.setdefault("not told apart by", []).append(f"{said} ({why})")
        elif clearly_above(row, SETTLED):
            told.setdefault("told apart by", []).append(said)
        else:
            told.setdefault("told apart a little by", []).append(said)
    if not told:
        return []
    order = ("told apart by", "told apart a little by", "not told apart by")
    parts = [f"{words} {wording.listed(told[words])}" for words in order if words in told]
    controls = [_control(row) for row in _controls(side)]
    return [
        f"AUC on held-out questions at the sites chosen on dev: the kinds are {'; '.join(parts)}.",
        f"Controls: {'; '.join(controls) or 'none was measured'}.",
    ]


def _control(row: DirectionRow) -> str:
    if row.name == ACCURACY and row.value == 0:
        return f"{row.direction} says the same of all (ties count against it)"
    return f"{row.direction} {'accuracy ' if row.name == ACCURACY else ''}{valued(row)}"


def _controls(side: Side) -> list[DirectionRow]:
    """The AUC of each control; its accuracy where it has no vector and so no AUC of its own."""
    rows = [_first(side.row("decodable", AUC, c), side.row("decodable", ACCURACY, c))
            for c in CONTROLS]  # fmt: skip
    return [row for row in rows if row is not None]


def _first(*rows: DirectionRow | None) -> DirectionRow | None:
    return next((row for row in rows if row is not None and row.value is not None), None)


def _negative(side: Side) -> tuple[list[str], bool]:
    """Whether what was declared not to be there is indeed not found."""
    if not side.negative:
        return [], True
    rows = [r for r in side.rows
            if (r.section, r.name, r.site) == ("decodable", AUC, CHOSEN)
            and r.direction not in CONTROLS and r.value is not None]  # fmt: skip
    if not rows:
        return [f"Declared negative ({side.negative}): not measured."], False
    reading = [r for r in rows if clearly_above(r, SETTLED)]
    open_ = [r for r in rows if r not in reading and (r.high is None or r.high >= SETTLED)]
    bar = f"AUC {SETTLED}, half-way between chance and certainty"
    if reading:
        named = wording.listed([f"{r.direction} {valued(r)}" for r in reading])
        return [f"Declared negative ({side.negative}), but it is not: {named} above {bar}."], False
    if open_:
        named = wording.listed([f"{r.direction} {valued(r)}" for r in open_])
        return [f"Declared negative ({side.negative}), not settled: {named} holds {bar}."], False
    highest = max(rows, key=lambda r: r.value or 0.0)
    return [
        f"Declared negative ({side.negative}) and comes out negative: every direction stays below "
        f"{bar}; the highest is {highest.direction} with {valued(highest)}."
    ], True


def _causal(side: Side) -> list[str]:
    """Where patching says that the kind acts."""
    rows = side.over_sites("patching", FLIPPED, "", side.main("patching"))
    if not rows:
        return []
    kinds = {k: side.over_sites("patching", FLIPPED, "", k) for k in side.kinds("patching")}
    acting = {s: r for s, r in rows.items() if clearly_above(r, STILL)}
    total = wording.plural(len(rows), "site")
    best = max(rows, key=lambda s: rows[s].value or 0.0)
    if not acting:
        return [f"Patching flips answers clearly above {STILL:g} at none of {total}; the most is "
                f"{valued(rows[best])} {site_words(best)}."]  # fmt: skip
    top = sorted(acting, key=lambda s: -(acting[s].value or 0.0))[:_NAMED]
    named = "; ".join(
        f"{site_words(s)} {valued(acting[s])}{_by_kind({k: r.get(s) for k, r in kinds.items()})}"
        for s in top
    )
    return [f"Patching flips answers clearly above {STILL:g} at {len(acting)} of {total}; the "
            f"most: {named}."]  # fmt: skip


def _apart(side: Side) -> list[str]:
    """Sites that can be read and at which patching does nothing."""
    read = side.readable()
    patched = side.over_sites("patching", FLIPPED, "", side.main("patching"))
    if not read or not patched:
        return []
    high = [s for s, r in read.items() if s in patched and (r.value or 0.0) >= READ]
    still = [s for s in high if (patched[s].value or 0.0) <= STILL]
    if not high:
        return [f"At no site that was patched does a direction read the kind with AUC {READ:g}."]
    said = f"{len(still)} of {wording.plural(len(high), 'site')} where a direction reads the kind"
    said += f" with AUC {READ:g} or more flip at most {STILL:g} under patching"
    if not still:
        return [f"{said}: here what is readable also acts."]
    clear = sorted(still, key=lambda s: -(read[s].value or 0.0))[:_NAMED]
    named = "; ".join(f"{site_words(s)} (AUC {wording.number(read[s].value, 2)}, patching "
                      f"{wording.number(patched[s].value, 2)})" for s in clear)  # fmt: skip
    return [f"Readable is not causal: {said}, such as {named}."]


def _agreement(side: Side) -> list[str]:
    """Do reading and steering agree with patching over sites?"""
    slice_ = side.main("patching")
    dose = side.usual(side.doses("steering", AGREEMENT))
    told = [(f"AUC of {d}", side.row("decodable", AGREEMENT, d, "", slice_)) for d in side.own]
    told.append((f"steering along {side.lead}{dosed(dose)}",
                 side.row("steering", AGREEMENT, side.lead, "", slice_, dose)))  # fmt: skip
    parts = [f"{what} {valued(row)}" for what, row in told if _known(row)]
    if not parts:
        return []
    return [f"Rank correlation over sites with what patching flips: {'; '.join(parts)}."]


def _steered(side: Side) -> list[str]:
    """What steering does at the chosen site and dose, against random directions and elsewhere."""
    row, random, most = (_flips(side, d) for d in (side.lead, RANDOM, LARGEST))
    lines = []
    if row is not None and row.value is not None:
        over = side.row("steering", OVER_RANDOM, side.lead, CHOSEN, row.slice, row.dose)
        kinds = {k: _flips(side, side.lead, k) for k in side.kinds("steering")}
        draw = f" (largest draw {valued(most)})" if _known(most) else ""
        lines.append(
            f"At the site and dose chosen on dev{_picked(side)} steering along {side.lead} flips "
            f"{valued(row)} of answers{_by_kind(kinds)}, along random directions "
            f"{valued(random)}{draw}{_difference(over)}."
        )
    return [*lines, *_selective(side), *_weak(side)]


def _picked(side: Side) -> str:
    """` (into block 0 at b, dose 2, in 3 of 3 seeds)`: what dev chose most often."""
    chosen = [c.chosen[side.lead] for c in side.choices if side.lead in c.chosen]
    if not chosen:
        return ""
    (site, dose), count = Counter((c.site, c.dose) for c in chosen).most_common(1)[0]
    return f" ({site_words(site)}{dosed(dose)} in {count} of {len(chosen)} seeds)"


def _difference(over: DirectionRow | None) -> str:
    """`; over random directions +0.31 [0.22, 0.40]`."""
    if over is None or over.value is None:
        return ""
    held = over.low is None or over.high is None or over.low <= 0 <= over.high
    level = ", which cannot be told apart from 0" if held else ""
    return f"; over random directions {_signed(over)}{level}"


def _selective(side: Side) -> list[str]:
    slice_ = side.main("selectivity")
    row, target, unrelated, over, lost = (
        side.row("selectivity", name, side.lead, CHOSEN, slice_)
        for name in ("difference", "target", "unrelated", OVER_RANDOM, "perplexity")
    )
    if row is None or row.value is None:
        return []
    verdict = "Selective" if clearly_above(row, 0.0) else "Not selective"
    grew = f"; log perplexity of training documents {_signed(lost)}" if _known(lost) else ""
    return [
        f"{verdict}: target {valued(target)}, unrelated questions changed {valued(unrelated)}, "
        f"target less unrelated {valued(row)}{_difference(over)}{grew}."
    ]


def _signed(row: DirectionRow | None) -> str:
    text = valued(row)
    return text if text.startswith("-") else f"+{text}"


def _weak(side: Side) -> list[str]:
    """The most that taking the direction out, or doubling it, flips at any single site."""
    parts = []
    for name, words in (("ablated", "taking it out"), ("amplified", "doubling it")):
        rows = side.over_sites("steering", f"{name}-{FLIPPED}", side.lead, side.main("steering"))
        if rows:
            best = max(rows, key=lambda s: rows[s].value or 0.0)
            parts.append(f"{words} flips at most {valued(rows[best])} ({site_words(best)})")
    said = "; ".join(parts)
    return [f"At single sites, of {side.lead}: {said}."] if parts else []


def _effect(side: Side) -> list[str]:
    """Where a push moves the output most, and how random directions do there."""
    slice_ = side.main("effect")
    rows = side.over_sites("effect", "kl", side.lead, slice_)
    if not rows:
        return []
    best = max(rows, key=lambda s: rows[s].value or 0.0)
    random = side.over_sites("effect", "kl", RANDOM, slice_).get(best)
    beside = f" (random directions {_small(random)})" if random is not None else ""
    return [
        f"A small push along {side.lead} moves the output most {site_words(best)}: "
        f"{_small(rows[best])} nats per squared dose{beside}."
    ]


def _small(row: DirectionRow) -> str:
    ends = [wording.significant(v) for v in (row.value, row.low, row.high)]
    return f"{ends[0]} [{ends[1]}, {ends[2]}]"


def _recurrences(side: Side) -> list[str]:
    """Accuracy at the fewest and the most recurrences, and where it is best."""
    counts = side.doses("recurrence", "accuracy")
    if len(counts) < 2:
        return []
    parts = []
    for slice_ in side.slices("recurrence"):
        rows = [r for c in counts
                if (r := side.row("recurrence", "accuracy", "", "", slice_, c)) is not None
                and r.value is not None]  # fmt: skip
        if rows:
            best = max(rows, key=lambda r: r.value or 0.0)
            ends = [rows[0], *([best] if best not in (rows[0], rows[-1]) else []), rows[-1]]
            parts.append(f"{slice_} " + ", ".join(_at_count(r) for r in ends))
    return [f"Accuracy by recurrences at test: {'; '.join(parts)}."] if parts else []


def _at_count(row: DirectionRow) -> str:
    return f"{valued(row)} at {row.dose:g}"
