"""The tables of the site as rows of cells: leaderboards, a finder over worlds, versions.

Every table is drawn by one template; a cell with `at` opens what is behind its number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seedbed.core.sites import SiteKind
from seedbed.report import svg, wording
from seedbed.report.leading import BY_HOP, CORRELATIONS, DECLARED, DROP, RANKING, called
from seedbed.report.leading import metric_order as order_of
from seedbed.report.reader import TOP_TEN
from seedbed.report.site_entries import (
    Addresses,
    Entry,
    Number,
    leading_metric,
    newest_first,
    noun,
    plain,
    standing_order,
)
from seedbed.scoring.crossed import PEARSON, RECALL

MARKS = {"finished": "✓ finished", "stopped": "■ stopped", "unfinished": "… unfinished",
         "damaged": "! damaged"}  # fmt: skip
FEW = (SiteKind.INPUT, SiteKind.RULE, SiteKind.USER, SiteKind.LAYER)
"""Of so few sites the top ten are all of them."""


_FURTHER = 4
"""Metrics on a finder's page; the panel behind a number has them all."""


@dataclass(frozen=True)
class Cell:
    """What stands in a table: text that may lead somewhere, and what it sorts by.

    `at` is the address of a number, `href` one within the site; `small` stands below. `spark` is
    a small plot, and `plot` its numbers, of which a page can draw it.
    """

    text: str = ""
    sort: float | str | None = None
    href: str = ""
    at: str = ""
    slug: str = ""
    small: str = ""
    css: str = ""
    spark: str = ""
    plot: str = ""
    anchor: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row: its heading, its cells, and what filters ask of it (`text` for words)."""

    head: Cell
    cells: tuple[Cell, ...]
    text: str
    facts: Mapping[str, str]
    control: bool = False


@dataclass(frozen=True)
class Table:
    """`heads` are (label, what it means); a head that starts with `=` is of words, not numbers."""

    name: str
    caption: str
    heads: tuple[tuple[str, str], ...]
    rows: tuple[TableRow, ...]
    note: str = ""


def value_cell(number: Number | None, named: str = "", anchor: bool = False) -> Cell:
    """A number with its interval, or with what it is `named`; empty where there is none."""
    if number is None:
        return Cell(wording.MISSING)
    line = number.line
    if line.value is None:
        spread = ""
    elif wording.bounded(line.value, line.low, line.high):
        spread = wording.interval(line.low, line.high)
    else:
        spread = wording.NO_INTERVAL
    return Cell(wording.number(line.value), line.value, at=number.at, slug=number.slug,
                small=named or spread, css=number.standing, anchor=anchor)  # fmt: skip


def plot_cell(number: Number | None) -> Cell:
    """The interval of a number as a small plot, beside chance and oracle."""
    if number is None or number.line.value is None:
        return Cell(css="plot")
    line, (first, last) = number.line, span_of(number.line.metric)
    known = (line.value, line.low, line.high, line.chance, line.oracle)
    ends = [v for v in known if v is not None]
    plot = ",".join("" if v is None else f"{v:.4g}"
                    for v in (*known, min(first, *ends), max(last, *ends)))  # fmt: skip
    return Cell(css="plot", spark=svg.spark(mark(number), (first, last)), plot=plot)


def mark(number: Number) -> svg.Mark:
    """A number as a row of a chart."""
    line = number.line
    return svg.Mark(called(line.finder, line.truth), line.value, line.low, line.high, line.chance,
                    line.oracle, number.control)  # fmt: skip


def part_name(owner: str, sites: str, truth: str, *more: str) -> str:
    """The name of a table in files and addresses, whatever a run calls its sites and truths."""
    return "-".join([owner, plain(sites), plain(truth), *more])


def span_of(metric: str) -> tuple[float, float]:
    """What an axis of a metric covers: correlations go below 0."""
    return (-1.0, 1.0) if metric in (*CORRELATIONS, PEARSON) else (0.0, 1.0)


def shown_metrics(sites: str, metrics: Iterable[str]) -> list[str]:
    """The metrics of a table, leading ones first.

    Of two classes of questions every metric says what ROC-AUC says; compositions of the top ten
    stand on the page of the run only.
    """
    known = [
        m
        for m in {*metrics}
        if m in (*RANKING, *CORRELATIONS, PEARSON, RECALL) or m.startswith(DROP)
    ]
    if sites == SiteKind.DIRECTION and BY_HOP in known:
        known = [BY_HOP, *(m for m in known if m in CORRELATIONS)]
    if sites in FEW:
        known = [m for m in known if not m.startswith(TOP_TEN)]
    return sorted(known or {*metrics}, key=order_of)


def leaderboard(
    name: str, entries: Sequence[Entry], sites: str, truth: str, at: Addresses, single: bool = False
) -> Table:
    """Finders × metrics of one kind of site under one truth, over runs; controls last.

    `single`: of one run, whose name and seeds stand above the table.
    """
    found = [(e, e.parts[sites, truth]) for e in newest_first(entries) if (sites, truth) in e.parts]
    metrics = shown_metrics(sites, {n.line.metric for _, numbers in found for n in numbers})
    lead = leading_metric(sites, truth, metrics)
    metrics, named = [lead, *(m for m in metrics if m != lead)], wording.metric(lead)
    ranked = []
    for entry, numbers in found:
        rows: dict[str, dict[str, Number]] = {}
        for number in numbers:
            rows.setdefault(number.line.finder, {})[number.line.metric] = number
        ranked += [(entry, own, own.get(lead) or next(iter(own.values()))) for own in rows.values()]
    ranked.sort(key=lambda item: (standing_order(item[2]), item[0].slug))
    rows_ = []
    for entry, own, first in ranked:
        line, run = first.line, entry.run
        scored = own.get(lead)
        level = [Cell(wording.number(v), v, css="quiet", at=first.at, slug=first.slug)
                 if v is not None else Cell(wording.MISSING)
                 for v in ((line.chance, line.oracle) if scored else (None, None))]  # fmt: skip
        cells = (
            *(() if single else (Cell(entry.slug, entry.slug, href=at.run(entry), css="text"),)),
            value_cell(scored),
            plot_cell(scored),
            *level,
            *(value_cell(own.get(m)) for m in metrics[1:]),
            *costs(first),
            *(() if single else (Cell(str(len(run.seeds)), len(run.seeds)),)),
        )
        label = called(line.finder, truth)
        head = Cell(label, label, href=at.finder(line.finder),
                    small=line.kind if line.kind != line.finder else "")  # fmt: skip
        facts = {"kind": sites, "truth": truth, "run": entry.slug, "study": run.study,
                 "world": run.world, "state": run.state}  # fmt: skip
        text = f"{label} {line.kind} {entry.slug} {run.study} {run.subject}"
        rows_.append(TableRow(head, cells, text.lower(), facts, first.control))
    heads = (
        ("=finder", ""), *(() if single else (("=run", ""),)),
        (named, wording.meaning(lead)), ("", ""),
        ("chance", f"{named} of a random order"),
        ("ceiling" if truth != DECLARED else "oracle", f"{named} of the truth itself"),
        *((wording.metric(m), wording.meaning(m)) for m in metrics[1:]),
        ("seconds", "of the finder, mean over seeds"),
        ("epochs", "seconds as a multiple of one training epoch"),
        *(() if single else (("seeds", "how many"),)),
    )  # fmt: skip
    return Table(name, f"{noun(sites)} · {truth} truth", heads, tuple(rows_))


def costs(number: Number) -> tuple[Cell, Cell]:
    """Seconds and epochs."""
    line = number.line
    return (Cell(wording.significant(line.seconds), line.seconds),
            Cell(wording.significant(line.epochs), line.epochs))  # fmt: skip


def finder_table(
    name: str, entries: Sequence[Entry], finder: str, part: tuple[str, str], at: Addresses
) -> Table:
    """One finder's numbers for one kind of site and truth: a row a run, worlds in order."""
    sites, truth = part
    found = []
    for entry in newest_first(entries):
        own = {n.line.metric: n for n in entry.parts.get(part, []) if n.line.finder == finder}
        if own:
            found.append((entry, own))
    metrics = shown_metrics(sites, {m for _, own in found for m in own})
    lead = leading_metric(sites, truth, metrics)
    metrics, named = [lead, *(m for m in metrics if m != lead)], wording.metric(lead)
    rows = []
    for entry, own in sorted(found, key=lambda item: item[0].run.world):
        run, first = entry.run, own.get(lead) or next(iter(own.values()))
        line = first.line
        best = entry.best(sites, truth)
        cells = (
            Cell(entry.slug, entry.slug, href=at.run(entry), css="text"),
            value_cell(own.get(lead)),
            plot_cell(own.get(lead)),
            Cell(wording.number(line.chance), line.chance, css="quiet"),
            Cell(wording.number(line.oracle), line.oracle, css="quiet"),
            value_cell(best, named=best.line.finder) if best else Cell(wording.MISSING),
            *(value_cell(own.get(m)) for m in metrics[1:_FURTHER]),
            *costs(first),
            Cell(str(len(run.seeds)), len(run.seeds)),
        )
        facts = {"world": run.world, "study": run.study, "truth": truth, "kind": sites,
                 "run": entry.slug, "state": run.state}  # fmt: skip
        head = Cell(run.world, run.world, href=at.world(run.world))
        text = f"{run.world} {entry.slug} {run.study}"
        rows.append(TableRow(head, cells, text.lower(), facts, first.control))
    heads = (
        ("=world", ""), ("=run", ""), (named, wording.meaning(lead)),
        ("", ""), ("chance", f"{named} of a random order"),
        ("oracle" if truth == DECLARED else "ceiling", f"{named} of the truth itself"),
        ("best there", "the best finder of that run"),
        *((wording.metric(m), wording.meaning(m)) for m in metrics[1:_FURTHER]),
        ("seconds", "mean over seeds"), ("epochs", "of training"), ("seeds", "how many"),
    )  # fmt: skip
    return Table(name, f"{noun(sites)} · {truth} truth", heads, tuple(rows))


def versions_table(name: str, runs: Sequence[Entry]) -> Table:
    """Runs of one configuration side by side: a row a finder and metric, a column a run."""
    keys: dict[tuple[str, str, str, str], None] = {}
    for entry in runs:
        for sites, truth in entry.parts:
            leads = entry.leads(sites, truth)
            keys |= {(sites, truth, n.line.metric, n.line.finder): None for n in leads}
    rows = []
    for sites, truth, metric, finder in keys:
        found = [
            next((n for n in e.parts.get((sites, truth), [])
                  if (n.line.metric, n.line.finder) == (metric, finder)), None)
            for e in runs
        ]  # fmt: skip
        head = Cell(
            called(finder, truth), small=f"{noun(sites)}, {truth}: {wording.metric(metric)}"
        )
        control = next(n for n in found if n).control
        rows.append(
            TableRow(head, tuple(value_cell(n) for n in found), finder.lower(), {}, control)
        )
    heads = (("=finder", ""), *((e.slug, about(e)) for e in runs))
    return Table(name, "", heads, tuple(rows))


def about(entry: Entry) -> str:
    """What tells versions apart, in a line."""
    run = entry.run
    version = f"version {run.version}" if run.version else ""
    code = f"code {run.code[:8]}" if run.code else ""
    parts = [version, code, when(run.started), run.state]
    return " · ".join(part for part in parts if part)


def when(time: str) -> str:
    """Date and minute of an ISO time."""
    return time[:16].replace("T", " ") or wording.MISSING
