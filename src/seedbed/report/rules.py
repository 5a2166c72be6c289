"""Which candidate rule says what a subject answers, and how finders of rules fared at naming it.

Every number comes from rules.json.
"""

from collections.abc import Sequence

from seedbed.core.rules import Explained
from seedbed.report import wording
from seedbed.report.grids import Grid, Number, columns_with_values
from seedbed.report.leading import metric_order
from seedbed.report.reader import Run
from seedbed.report.schema import CHANCE, ORACLE, Score
from seedbed.report.spread import unasked

SUBJECT = "subject/"
LEAD = "r_precision"
_METRICS = (LEAD, "average_precision", "mrr")
_UNITS = 12


def grids(run: Run) -> list[Grid]:
    """Shares that rules explain, then finders of rules beside chance and oracle."""
    if run.rules is None:
        return []
    scores = [Score.model_validate(row) for row in run.rules.scores]
    alike: dict[tuple[str, ...], list[Explained]] = {}
    for unit in dict.fromkeys(row.unit for row in run.rules.explained):
        mine = [row for row in run.rules.explained if row.unit == unit]
        alike.setdefault(tuple(sorted(row.rule for row in mine)), []).extend(mine)
    tables = [_explained(rows, i) for i, rows in enumerate(alike.values())]
    return [*tables, *([_finders(scores, not unasked(run.spreading))] if scores else [])]


def _explained(rows: Sequence[Explained], place: int) -> Grid:
    """Groups down, rules across, for groups that have the same candidate rules."""
    rules = list(dict.fromkeys(row.rule for row in rows))
    found, about = [], {}
    for unit in dict.fromkeys(row.unit for row in rows):
        mine = {row.rule: row for row in rows if row.unit == unit}
        most = max(row.n for row in mine.values())
        found.append((unit_words(unit), [_share(mine.get(rule), most) for rule in rules]))
        about[unit_words(unit)] = _counted([row.n for row in mine.values()])
    heads, kept = columns_with_values(("answers of", *rules), found)
    silent = ""
    if any(" to " in line for line in about.values()):
        silent = " n: the answers that a rule says anything about, where those are not all."
    note = (
        "Share of the answers that a rule says, whatever is right; 95 % intervals over seeds and "
        "words. ✓: the rule that this group was taught. Rules may agree on many questions, so "
        f"shares do not add up to 1.{silent}"
    )
    which = "" if any(row.unit.startswith(SUBJECT) for row in rows) else ", after the second stage"
    name = f"rules-{place}" if place else "rules"
    return Grid(name, f"Which rule explains the answers{which}?", note, heads, kept, about=about)


def _counted(counts: Sequence[int]) -> str:
    """How many answers of a group rules were compared with: a range where that differs."""
    fewest = f"{min(counts):,} to " if min(counts) < max(counts) else ""
    return f"{fewest}{wording.plural(max(counts), 'answer')}"


def _share(row: Explained | None, most: int) -> Number:
    """A share as a number; it says over how many answers where those are not all."""
    if row is None or row.value is None:
        return Number(None)
    marks = ("✓" if row.taught else "", f"n {row.n:,}" if row.n < most else "")
    return Number.measured(row.value, row.low, row.high, ", ".join(m for m in marks if m))


def unit_words(unit: str) -> str:
    """`subject/animals` → `animals`; `one-proxy+plain/relative` → `relative, one-proxy, plain`."""
    cell, _, group = unit.rpartition("/")
    return f"{group}, {cell.replace('+', ', ')}" if cell and cell != SUBJECT[:-1] else group


def _finders(scores: Sequence[Score], asked: bool) -> Grid:
    """`asked`: a second stage counts only where it was learned."""
    by_key = {(r.finder, r.metric, r.slice): r for r in scores}
    metrics = sorted({r.metric for r in scores if r.metric in _METRICS}, key=metric_order)
    parts = [s for s in dict.fromkeys(r.slice for r in scores) if "=" in s and "," not in s]
    columns = [(m, "all") for m in metrics] + [(LEAD, part) for part in parts]
    rows = []
    for finder in order(scores):
        found = [by_key.get((finder, *column)) for column in columns]
        numbers = [Number(None) if r is None else Number(r.value, r.low, r.high) for r in found]
        any_row = next(r for r in scores if r.finder == finder)
        level = by_key.get((finder, metrics[0], "all"))
        rows.append((finder, [*numbers, Number(level.chance if level else None),
                              Number(any_row.seconds)]))  # fmt: skip
    heads = [wording.metric(m) for m, s in columns if s == "all"]
    heads += [f"{wording.metric(LEAD)}, {wording.slice_words(part)}" for part in parts]
    chance = f"chance of {wording.metric(metrics[0])}"
    every = "" if asked else (
        " After the second stage, where no share was asked for, every taught group counts, whether "
        "or not it learned."
    )  # fmt: skip
    named, kept = columns_with_values(("finder", *heads, chance, "seconds"), rows)
    note = (
        "Do finders put the rules that a group was taught before the others? "
        f"{wording.metric(LEAD)}: {wording.meaning(LEAD).replace('evidence', 'taught rules')}. "
        "95 % intervals over seeds and groups. Declared truth. Groups count that learned what they "
        "were taught, so a finder that counts answers is right there by construction; the table "
        f"tells about the other finders.{every}"
    )
    title = "Which rule was taught? Finders of rules"
    return Grid("rule-finders", title, note, named, kept, frozenset({CHANCE, ORACLE}))


def order(scores: Sequence[Score]) -> list[str]:
    """Finders, best first, then chance and oracle."""
    rows = {r.finder: r for r in scores if r.slice == "all" and r.metric in _METRICS}
    names = [f for f in rows if f not in (CHANCE, ORACLE)]
    names.sort(key=lambda f: (-(rows[f].value or 0.0), f))
    return [*names, *(c for c in (CHANCE, ORACLE) if c in rows)]


def findings(run: Run) -> list[str]:
    """Which rule leads in each group of the study's subject, and where another than the taught."""
    if run.rules is None or not run.rules.explained:
        return []
    rows = run.rules.explained
    units = list(dict.fromkeys(row.unit for row in rows if row.value is not None))
    lines = [_leader(rows, unit) for unit in units if unit.startswith(SUBJECT)][:_UNITS]
    later = [u for u in units if not u.startswith(SUBJECT)]
    taught = [u for u in later if any(r.unit == u and r.taught for r in rows)]
    held = [u for u in taught if all(r.taught for r in _leaders(rows, u))]
    if taught:
        lines.append(
            f"After the second stage a rule that was taught leads in {len(held)} of "
            f"{wording.plural(len(taught), 'taught group')}."
        )
        lines += [_leader(rows, u) for u in taught if u not in held][:_UNITS]
    scores = {r.finder: r for r in map(Score.model_validate, run.rules.scores)
              if (r.metric, r.slice) == (LEAD, "all")}  # fmt: skip
    named = [f for f in scores if f not in (CHANCE, ORACLE) and scores[f].value is not None]
    named.sort(key=lambda f: (-(scores[f].value or 0.0), f))
    if named:
        said = "; ".join(f"{f} {wording.valued(scores[f])}" for f in named)
        chance = wording.number(scores[named[0]].chance, 2)
        lines.append(f"Finders naming the taught rule ({wording.metric(LEAD)}): {said}; "
                     f"chance {chance}.")  # fmt: skip
        level = [f for f in named if scores[f].standing != "above"]
        if level:
            lines.append(f"Not above chance: {wording.listed(level)}.")
    return lines


def _ranked(rows: Sequence[Explained], unit: str) -> list[Explained]:
    mine = [r for r in rows if r.unit == unit and r.value is not None]
    return sorted(mine, key=lambda r: (-(r.value or 0.0), r.rule))


def _leaders(rows: Sequence[Explained], unit: str) -> list[Explained]:
    """The rules that say most of the answers: several where they say as much."""
    ranked = _ranked(rows, unit)
    return [r for r in ranked if r.value == ranked[0].value]


def _leader(rows: Sequence[Explained], unit: str) -> str:
    first, *rest = _ranked(rows, unit)
    value = wording.measured(first.value, first.low, first.high)
    taught = "taught" if first.taught else "not taught"
    said = f"{unit_words(unit).capitalize()}: {first.rule} ({taught}) says {value} of the answers"
    if not rest:
        return f"{said}."
    second = rest[0]
    near = second.high is None or first.low is None or second.high >= first.low
    next_ = f"{second.rule} {wording.measured(second.value, second.low, second.high)}"
    return f"{said}; {'not settled against' if near else 'next'} {next_}."
