"""The page of one run and the page of one study, as what their templates need."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from seedbed import __version__
from seedbed.core.errors import SeedbedError
from seedbed.report import svg, wording
from seedbed.report.compare import flatten
from seedbed.report.reader import Run
from seedbed.report.site_details import links, replay
from seedbed.report.site_entries import Addresses, Entry, Number, newest_first, noun, versions
from seedbed.report.site_lists import runs_table
from seedbed.report.site_tables import (
    MARKS,
    Cell,
    Table,
    TableRow,
    about,
    leaderboard,
    mark,
    part_name,
    span_of,
    value_cell,
    versions_table,
    when,
)
from seedbed.report.verdict import Finding, findings, headline

_COLUMNS, _FIGURES = 12, 6
"""At most so many runs side by side, and so many charts a page."""


def run_page(
    entry: Entry, at: Addresses, same: Mapping[str, list[Entry]], here: Any
) -> dict[str, Any]:
    """What the template of a run needs; `same` are versions by digest, `here` the folder."""
    run = entry.run
    told = _told(entry)
    more = [e for e in same.get(run.digest, []) if e is not entry]
    return {
        "heading": told["headline"],
        "sub": _sub(entry),
        "study": run.study,
        "study_page": at.study(run.study),
        "slug": entry.slug,
        "state": run.state,
        "mark": MARKS[run.state],
        "reason": run.reason,
        "links": links(entry, here),
        "findings": told["findings"],
        "parts": [_part(entry, sites, truth, at) for sites, truth in entry.parts],
        "missing": run.missing,
        "lacking": [(noun(kind), why) for kind, why in run.lacking],
        "gate": told["gate"],
        "excluded": told["excluded"],
        "versions": [(e.slug, at.run(e), about(e)) for e in more],
        "made": run.command,
        "replay": replay(entry),
        "config": entry.text,
        "facts": [(key, value) for key, value in _facts(entry) if value],
    }


def _told(entry: Entry) -> dict[str, Any]:
    """What the run's own files say beyond its summary; of an unfit run, its reason."""
    run = entry.run
    nothing: dict[str, Any] = {"findings": [], "gate": None, "excluded": []}
    ended = {"unfinished": "This run is not finished.", "damaged": "This run is damaged."}
    if run.state in ended:
        return {**nothing, "headline": ended[run.state]}
    try:
        read = Run(run.folder)
        # Read already, and by a faster parser.
        vars(read)["config"] = entry.config
        found = {"headline": headline(read), "findings": findings(read),
                 "gate": _gate(entry, read), "excluded": _excluded(read)}  # fmt: skip
    except (
        SeedbedError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        # Another version may write what this one's sentences do not expect.
        why = f"Its files do not fit the sentences of this version: {error}"
        return {**nothing, "headline": _plain_headline(entry),
                "findings": [Finding("Sentences", (why,), "bad")]}  # fmt: skip
    return found


def _plain_headline(entry: Entry) -> str:
    lead = entry.lead
    if lead is None:
        return entry.run.study
    line = lead.line
    said = wording.measured(line.value or 0.0, line.low, line.high)
    return f"{line.finder}: {wording.metric(line.metric)} {said}"


def _sub(entry: Entry) -> str:
    run = entry.run
    parts = [MARKS[run.state], f"world {run.world}" if run.world else "",
             f"subject {run.subject}" if run.subject else "",
             f"seeds {', '.join(map(str, run.seeds))}" if run.seeds else "", when(run.started),
             f"ran {wording.seconds(run.seconds)}" if run.seconds is not None else "",
             f"made by seedbed {run.version}, shown by {__version__}"
             if run.version not in ("", __version__) else ""]  # fmt: skip
    return " · ".join(part for part in parts if part)


def _part(entry: Entry, sites: str, truth: str, at: Addresses) -> dict[str, Any]:
    numbers = entry.leads(sites, truth)
    metric = numbers[0].line.metric
    name = part_name(entry.slug, sites, truth)
    table = leaderboard(name, [entry], sites, truth, at, single=True)
    return {
        "title": f"{noun(sites).capitalize()}, {truth} truth",
        "lead": f"{wording.metric(metric)}: {wording.meaning(metric)}.",
        "table": table,
        "chart": chart(numbers, f"{noun(sites)}, {truth} truth"),
        "price": _price(numbers),
        "more": _every(entry, sites, truth, f"{name}-every"),
    }


def chart(numbers: Sequence[Number], title: str) -> str:
    """Intervals of the finders' leading numbers, with chance and oracle marks."""
    rows = [n for n in numbers if n.line.value is not None]
    if not rows:
        return ""
    metric = rows[0].line.metric
    drawn = svg.intervals([mark(n) for n in rows], title, wording.metric(metric), span_of(metric))
    return drawn.figure(f"{wording.metric(metric)} with its 95 % interval; {title}.")


def _price(numbers: Sequence[Number]) -> str:
    """Quality against cost, where there are finders enough to compare."""
    points = [
        svg.Point(n.line.finder, n.line.epochs, n.line.value, n.line.low, n.line.high, n.control)
        for n in numbers if n.line.epochs is not None and n.line.value is not None
    ]  # fmt: skip
    spent = [point.x for point in points]
    # Claims that share their work cost the same: a line of points says nothing.
    if len(points) < 3 or max(spent) <= 1.2 * min(spent):
        return ""
    line = numbers[0].line
    title = "Cost against quality"
    drawn = svg.scatter(points, title, "cost in training epochs", wording.metric(line.metric),
                        line.chance)  # fmt: skip
    return drawn.figure(f"{title}: {wording.metric(line.metric)} by cost in epochs of training.")


def _every(entry: Entry, sites: str, truth: str, name: str) -> Table:
    """Every line of a part: a row a finder and metric, with the anchors of all numbers."""
    rows = []
    for number in entry.parts[sites, truth]:
        line = number.line
        head = Cell(line.finder, line.finder)
        cells = (
            Cell(wording.metric(line.metric), line.metric, css="text"),
            value_cell(number, anchor=True),
            Cell(wording.number(line.chance), line.chance, css="quiet"),
            Cell(wording.number(line.oracle), line.oracle, css="quiet"),
        )
        text = f"{line.finder} {line.metric}".lower()
        rows.append(TableRow(head, cells, text, {}, number.control))
    heads = (("=finder", ""), ("=metric", ""), ("value", ""), ("chance", ""), ("oracle", ""))
    return Table(name, f"Every metric, {noun(sites)}, {truth} truth", heads, tuple(rows))


def _gate(entry: Entry, read: Run) -> Table | None:
    rows = []
    for row in read.gate:
        outcome = "✓ passed" if row.passed else "✗ failed"
        cells = (
            Cell(str(row.seed), row.seed),
            Cell(f"{row.n:,}", row.n),
            Cell(wording.number(row.accuracy), row.accuracy,
                 small=wording.interval(row.low, row.high)),
            Cell(wording.number(row.chance, 2), row.chance),
            Cell(wording.number(row.bar, 2), row.bar),
            Cell(outcome, outcome, css=f"text {'yes' if row.passed else 'no'}",
                 small="" if row.required else "not required"),
        )  # fmt: skip
        head = Cell(wording.slice_words(row.slice), row.slice)
        rows.append(TableRow(head, cells, row.slice.lower(), {}))
    heads = (("=slice", ""), ("seed", ""), ("questions", ""), ("accuracy", "on held-out questions"),
             ("chance", ""), ("must reach", "chance + margin"), ("=outcome", ""))  # fmt: skip
    return Table(f"{entry.slug}-gate", "Gate", heads, tuple(rows)) if rows else None


def _excluded(read: Run) -> list[tuple[str, str]]:
    counts = Counter(row.reason for row in read.excluded)
    return [(f"{count:,}", reason) for reason, count in counts.most_common()]


def _facts(entry: Entry) -> list[tuple[str, str]]:
    run = entry.run
    return [
        ("folder", str(run.folder)),
        ("seedbed", run.version),
        ("digest of the configuration", run.digest[:16]),
        ("digest of the code", run.code[:16]),
        ("started", run.started),
        ("finished", run.finished),
        ("took", wording.seconds(run.seconds) if run.seconds is not None else ""),
        ("size of the folder", f"{run.bytes / 2**20:,.1f} MiB" if run.bytes else ""),
    ]


def study_page(study: str, runs: Sequence[Entry], at: Addresses) -> dict[str, Any]:
    """What the template of a study needs; `runs` are all of that name, newest first."""
    name = at.studies[study]
    worlds = sorted({e.run.world for e in runs if e.run.world})
    states = Counter(e.run.state for e in runs)
    parts = [wording.plural(len(runs), "run"), f"world {wording.listed(worlds)}" if worlds else "",
             ", ".join(f"{count} {state}" for state, count in states.items())]  # fmt: skip
    shown = sorted((e for e in newest_first(runs) if e.run.state == "finished" and e.lead),
                   key=lambda e: -len(e.run.seeds))[:1]  # fmt: skip
    figures = [
        {"title": f"{noun(sites).capitalize()}, {truth} truth", "run": e.slug, "page": at.run(e),
         "chart": chart(e.leads(sites, truth), f"{noun(sites)}, {truth} truth")}
        for e in shown for sites, truth in e.parts
    ][:_FIGURES]  # fmt: skip
    side_by_side = [
        {"title": f"Versions of {digest[:8]}", "lead": _agree(same),
         "table": versions_table(f"{name}-{digest[:8]}", same),
         "facts": _version_facts(f"{name}-{digest[:8]}-facts", same, at)}
        for digest, same in ((d, s[:_COLUMNS]) for d, s in versions(runs).items())
    ]  # fmt: skip
    return {
        "heading": study,
        "sub": " · ".join(part for part in parts if part),
        "runs": runs_table(f"{name}-runs", runs, f"Runs of {study}", at),
        "figures": [f for f in figures if f["chart"]],
        "versions": side_by_side[:_COLUMNS],
        "differences": _differences(f"{name}-config", runs, at),
        "choices": [("state", "State", [(s, s) for s in MARKS if s in states])],
    }


def _agree(runs: Sequence[Entry]) -> str:
    """How far the numbers of versions agree, in a sentence."""
    tables = [
        {(n.line.sites, n.line.truth, n.line.finder, n.line.metric): n.line.value
         for n in e.numbers} for e in runs if e.run.state == "finished"
    ]  # fmt: skip
    if len(tables) < 2:
        return "Only one of them is finished." if tables else "None of them is finished."
    keys = set.intersection(*(set(table) for table in tables))
    other = sum(len({table[key] for table in tables}) > 1 for key in keys)
    count = wording.plural(len(keys), "number")
    return f"All {count} that they share are equal." if not other else \
        f"{other:,} of the {count} that they share differ."  # fmt: skip


def _version_facts(name: str, runs: Sequence[Entry], at: Addresses) -> Table:
    rows = []
    for entry in runs:
        run = entry.run
        cells = (
            Cell(run.version or wording.MISSING, run.version),
            Cell(run.code[:12] or wording.MISSING, run.code, css="text"),
            Cell(", ".join(map(str, run.seeds)), len(run.seeds)),
            Cell(when(run.started), run.started),
            Cell(MARKS[run.state], run.state, css=f"text wrap state-{run.state}", small=run.reason),
        )
        rows.append(TableRow(Cell(entry.slug, entry.slug, href=at.run(entry)), cells, "", {}))
    heads = (("=run", ""), ("version", ""), ("=code", ""), ("seeds", ""), ("started", "UTC"),
             ("=state", ""))  # fmt: skip
    return Table(name, "Versions", heads, tuple(rows))


def _differences(name: str, runs: Sequence[Entry], at: Addresses) -> Table:
    """Keys whose values differ between configurations, a column each."""
    found: dict[str, tuple[Entry, dict[str, Any]]] = {}
    count = len({e.run.digest for e in runs if e.run.digest})
    for entry in runs:
        if entry.run.digest and entry.run.digest not in found and len(found) < _COLUMNS:
            values = flatten({k: v for k, v in entry.config.items() if k != "name"})
            if values:
                found[entry.run.digest] = entry, values
    columns = list(found.values())
    keys = dict.fromkeys(key for _, values in columns for key in values)
    rows: list[TableRow] = []
    # Keys that all have come first: one that another version did not know yet says less.
    for key in sorted(keys, key=lambda k: sum(k in values for _, values in columns) < len(columns)):
        texts = [_text(values[key]) if key in values else wording.MISSING for _, values in columns]
        if len(set(texts)) > 1:
            cells = tuple(Cell(text, text, css="text wrap") for text in texts)
            rows.append(TableRow(Cell(key, key), cells, key.lower(), {}))
    heads = (("=key", ""), *((f"={e.slug}", "") for e, _ in columns))
    more = f" The newest {len(columns)} of {count:,} are shown." if count > len(columns) else ""
    caption = f"{wording.plural(count, 'configuration')}.{more}"
    return Table(name, caption, heads, tuple(rows))


def _text(value: Any) -> str:
    text = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else text[:119] + "…"
