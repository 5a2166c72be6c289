"""Organisms in a report: which counted, and which finders named the block that was trained.

Every number comes from organisms.json.
"""

from collections.abc import Sequence

from seedbed.report import wording
from seedbed.report.grids import Grid, Number, columns_with_values
from seedbed.report.reader import Run
from seedbed.report.schema import CHANCE, ORACLE, Organisms, Score

FIRST, MRR = "r_precision", "mrr"
_RULE = "rule="


def grids(run: Run) -> list[Grid]:
    """The tables: finders of layers, then organisms; none without organisms."""
    found = run.organisms
    if found is None:
        return []
    scores = [_scores(found)] if found.scores else []
    return [*scores, _made(found, len(run.seeds))]


def _scores(found: Organisms) -> Grid:
    by_key = {(r.finder, r.metric, r.slice): r for r in found.scores}
    rules = sorted({r.slice for r in found.scores if r.slice.startswith(_RULE)})
    columns = [(FIRST, "all"), (MRR, "all"), *((FIRST, rule) for rule in rules)]
    heads = ["finder", "named first", "MRR", *(f"first, {wording.slice_words(r)}" for r in rules)]
    rows = []
    for finder in _order(found.scores):
        numbers = [_number(by_key.get((finder, m, s))) for m, s in columns]
        row = by_key[finder, FIRST, "all"]
        rows.append((finder, [*numbers, Number(row.seconds), Number(row.chance)]))
    named, kept = columns_with_values((*heads, "seconds", "chance"), rows)
    admitted = sum(not v.reason for v in found.verdicts)
    note = (
        f"Share of {wording.plural(admitted, 'organism')} in which a finder ranks the block that "
        f"was trained first among {found.blocks}, ties against the finder; 95 % intervals over "
        "seeds and organisms. Seconds are for all organisms of a seed. Declared truth."
    )
    title = "Which block was trained? Finders of layers against the planted layer"
    return Grid("layers", title, note, named, kept, frozenset({CHANCE, ORACLE}))


def _made(found: Organisms, seeds: int) -> Grid:
    names = list(dict.fromkeys(v.organism for v in found.verdicts))
    rows = []
    for name in names:
        mine = [v for v in found.verdicts if v.organism == name]
        changed = [v.changed for v in mine if v.changed is not None]
        rows.append(
            (
                name,
                (
                    Number(float(sum(not v.reason for v in mine)), places=0),
                    Number(min(v.every.accuracy for v in mine)),
                    Number(min((c.accuracy for c in changed), default=None)),
                    Number(min((c.low for c in changed), default=None)),
                ),
            )
        )
    heads = (
        "organism", f"counts, of {wording.plural(seeds, 'seed')}", "lowest accuracy",
        "lowest on what is new", "lower end",
    )  # fmt: skip
    note = (
        "An organism is the subject trained further on its own world (drift) and then, in one "
        "block alone, on a changed one; name: change@block. It counts if it passes the world's "
        "gate on all held-out questions and on those that the subject before did not answer as "
        "the change wants."
    )
    return Grid("organisms", "Organisms", note, heads, tuple(rows))


def findings(run: Run) -> list[str]:
    """What was planted, who named it, and what did not count."""
    found = run.organisms
    if found is None:
        return []
    admitted = sum(not v.reason for v in found.verdicts)
    lines = [
        f"{admitted} of {wording.plural(len(found.verdicts), 'organism')} learned the change in "
        "the one block that was trained."
    ]
    if found.stopped:
        return [*lines, f"{found.stopped[0].upper()}{found.stopped[1:]}."]
    rows = {r.finder: r for r in found.scores if (r.metric, r.slice) == (FIRST, "all")}
    named = [f for f in _order(found.scores) if f not in (CHANCE, ORACLE)]
    if named:
        parts = [f"{f} {wording.valued(rows[f])}" for f in named]
        lines.append(
            f"Share in which the trained block is named first: {'; '.join(parts)}; chance "
            f"{wording.number(rows[named[0]].chance, 2)}."
        )
        level = [f for f in named if rows[f].standing != "above"]
        if level:
            lines.append(f"Not above chance: {wording.listed(level)}.")
    left = [v for v in found.verdicts if v.reason]
    for name in dict.fromkeys(v.organism for v in left):
        mine = [v for v in left if v.organism == name]
        seeds = wording.listed([str(v.seed) for v in mine])
        lines.append(f"Left out: {name} (seed {seeds}): {mine[0].reason}.")
    return lines


def _order(scores: Sequence[Score]) -> list[str]:
    """Finders, best first, then chance and oracle."""
    rows = {r.finder: r for r in scores if (r.metric, r.slice) == (FIRST, "all")}
    names = [f for f in rows if f not in (CHANCE, ORACLE)]
    names.sort(key=lambda f: (-(rows[f].value or 0.0), f))
    return [*names, *(c for c in (CHANCE, ORACLE) if c in rows)]


def _number(row: Score | None) -> Number:
    return Number(None) if row is None else Number(row.value, row.low, row.high)
