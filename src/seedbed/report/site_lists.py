"""The lists of the site: all runs, all studies, all finders, whatever became of them."""

from collections.abc import Sequence

from seedbed.core.sites import SiteKind
from seedbed.report import wording
from seedbed.report.site_entries import Addresses, Entry, Number, by_study, newest_first, noun
from seedbed.report.site_tables import MARKS, Cell, Table, TableRow, value_cell, when


def runs_table(name: str, entries: Sequence[Entry], caption: str, at: Addresses) -> Table:
    """Every run, whatever became of it, newest first."""
    rows = []
    for entry in newest_first(entries):
        run, lead = entry.run, entry.lead
        metric = wording.metric(lead.line.metric) if lead else ""
        state = Cell(MARKS[run.state], run.state, css=f"text wrap state-{run.state}",
                     small=run.reason)  # fmt: skip
        cells = (
            Cell(run.study, run.study, href=at.study(run.study), css="text"),
            Cell(run.world or wording.MISSING, run.world, css="text", small=run.subject),
            state,
            value_cell(lead),
            Cell(lead.line.finder, lead.line.finder, css="text", small=metric)
            if lead else Cell(css="text"),
            Cell(str(len(run.seeds)), len(run.seeds)),
            Cell(when(run.started)[:10], run.started, small=when(run.started)[11:]),
            Cell(wording.seconds(run.seconds), run.seconds),
            Cell(run.version or wording.MISSING, run.version, small=run.code[:8]),
        )  # fmt: skip
        facts = {"world": run.world, "study": run.study, "state": run.state,
                 "kind": run.sites, "run": entry.slug}  # fmt: skip
        finder = lead.line.finder if lead else ""
        text = f"{entry.slug} {run.study} {run.world} {run.subject} {run.reason} {finder}"
        head = Cell(entry.slug, entry.slug, href=at.run(entry))
        rows.append(TableRow(head, cells, text.lower(), facts))
    heads = (
        ("=run", ""), ("=study", ""), ("=world", "and subject"), ("=state", ""),
        ("best", "leading metric of the world's own kind of site"), ("=by", ""), ("seeds", ""),
        ("started", "UTC"), ("took", ""), ("version", "of seedbed; below: digest of its code"),
    )  # fmt: skip
    return Table(name, caption, heads, tuple(rows))


def studies_table(name: str, entries: Sequence[Entry], at: Addresses) -> Table:
    """Studies: how many runs, of how many configurations, and what became of them."""
    rows = []
    for study, runs in by_study(entries).items():
        states = [e.run.state for e in runs]
        worlds = wording.listed(sorted({e.run.world for e in runs if e.run.world}))
        digests = {e.run.digest for e in runs}
        ended = [f"{states.count(s)} {s}" for s in MARKS if s in states]
        newest = next((e for e in runs if e.lead), None)
        lead = newest.lead if newest else None
        cells = (
            Cell(worlds or wording.MISSING, worlds, css="text"),
            Cell(f"{len(runs):,}", len(runs)),
            Cell(f"{len(digests):,}", len(digests)),
            Cell(", ".join(ended), css="text"),
            value_cell(lead) if lead else Cell(wording.MISSING),
            Cell(f"{lead.line.finder} · {wording.metric(lead.line.metric)}", css="text")
            if lead else Cell(wording.MISSING),
            Cell(when(runs[0].run.started), runs[0].run.started),
        )  # fmt: skip
        facts = {"world": " ".join(sorted({e.run.world for e in runs if e.run.world})),
                 "study": study}  # fmt: skip
        head = Cell(study, study, href=at.study(study))
        rows.append(TableRow(head, cells, f"{study} {worlds}".lower(), facts))
    heads = (
        ("=study", ""), ("=world", ""), ("runs", ""), ("configurations", "without the name"),
        ("=states", ""), ("best", "leading number of the newest run that has one"), ("=of", ""),
        ("newest", "UTC"),
    )  # fmt: skip
    return Table(name, "All studies", heads, tuple(rows))


def finders_table(name: str, entries: Sequence[Entry], at: Addresses) -> Table:
    """Finders: where each was scored, and how often."""
    found: dict[str, list[tuple[Entry, Number]]] = {}
    for entry in entries:
        for number in entry.numbers:
            found.setdefault(number.line.finder, []).append((entry, number))
    rows = []
    for finder, own in sorted(found.items()):
        kinds = sorted({n.line.kind for _, n in own})
        worlds = sorted({e.run.world for e, _ in own})
        sites = [str(k) for k in SiteKind if k in {n.line.sites for _, n in own}]
        truths = sorted({n.line.truth for _, n in own})
        control = all(n.control for _, n in own)
        some = "control for some" if any(n.control for _, n in own) else ""
        cells = (
            Cell(wording.listed(kinds), css="text"),
            Cell(wording.listed([noun(s) for s in sites]), css="text"),
            Cell(wording.listed(worlds), css="text wrap"),
            Cell(wording.listed(truths), css="text"),
            Cell(f"{len({e.slug for e, _ in own}):,}", len({e.slug for e, _ in own})),
            Cell("control" if control else some, css="text"),
        )
        facts = {"kind": " ".join(sites), "finder": finder}
        text = f"{finder} {' '.join(kinds)} {' '.join(worlds)}".lower()
        head = Cell(finder, finder, href=at.finder(finder))
        rows.append(TableRow(head, cells, text, facts, control))
    rows.sort(key=lambda row: row.control)
    heads = (("=finder", ""), ("=kind", ""), ("=looks at", ""), ("=worlds", ""), ("=truths", ""),
             ("runs", ""), ("=", ""))  # fmt: skip
    return Table(name, "All finders", heads, tuple(rows))
