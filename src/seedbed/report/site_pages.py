"""The pages of the site beside those of runs and studies: matrix, worlds, finders, lists."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from seedbed.report import svg, wording
from seedbed.report.leading import DECLARED, called
from seedbed.report.site_entries import NOUNS, TRUTHS, Addresses, Entry, newest_first, noun
from seedbed.report.site_lists import finders_table, runs_table, studies_table
from seedbed.report.site_matrix import (
    RULE,
    Cell,
    Matrix,
    Row,
    about,
    chosen,
    known_worlds,
    matrix,
    site_of,
)
from seedbed.report.site_run import chart
from seedbed.report.site_tables import (
    MARKS,
    finder_table,
    leaderboard,
    mark,
    part_name,
    span_of,
    value_cell,
)

_NEWEST = 12
_SAID = {
    "none": "no site of this kind here",
    "open": "not run",
    "ended": "no score",
}
_ABOUT = {
    DECLARED: "True by construction: what the world planted. Never mixed with the measured truth.",
    "measured": "What an intervention changed: retraining without documents, or exact patching; "
    "only of the kinds of site that a run here measured.",
}


def index_page(entries: Sequence[Entry], at: Addresses, title: str) -> dict[str, Any]:
    """What the template of the first page needs."""
    have = {n.line.truth for e in entries for n in e.numbers}
    truths = [t for t in TRUTHS if t == DECLARED or t in have]
    found = [matrix(entries, truth) for truth in truths]
    worlds = {e.run.world for e in entries if e.run.world}
    newest = newest_first(entries)
    parts = [wording.plural(len(entries), "run"),
             f"{len(at.studies):,} {'study' if len(at.studies) == 1 else 'studies'}",
             wording.plural(len(worlds), "world"),
             f"newest {newest[0].run.started[:10]}" if newest else ""]  # fmt: skip
    trouble = [e for e in entries if e.run.state != "finished"]
    return {
        "heading": _headline(found[0]) if entries else title,
        "sub": " · ".join(part for part in parts if part),
        "matrices": [_matrix(m, at) for m in found],
        "rule": RULE,
        "trouble": runs_table("trouble", trouble, "Runs without a result", at),
        "newest": runs_table("newest", newest[:_NEWEST], "Newest runs", at),
        "choices": [
            ("kind", "Kind of site", [(c, noun(c)) for c in (*found[0].columns, *found[0].apart)]),
            ("truth", "Truth", [(t, t) for t in truths]),
            ("state", "State", [("score", "score"), *_SAID.items()]),
            ("world", "World", [(row.world, row.world) for row in found[0].rows]),
        ],
    }


def _headline(found: Matrix) -> str:
    """What the matrix says, in a sentence."""
    scored = [c.number for row in found.rows for c in row.cells if c.number]
    above = sum(number.standing == "above" for number in scored)
    if not scored:
        return "No run here has a score."
    cells = wording.plural(len(scored), "cell")
    return f"The best finder lies above chance in {above} of {cells} with a score."


def _matrix(found: Matrix, at: Addresses) -> dict[str, Any]:
    """Two tables: the kinds of site of every world, and apart those that some runs have."""
    main, apart = len(found.columns), found.apart
    drawn = {row.world: [_cell(c, at) for c in row.cells] for row in found.rows}

    def bodies(start: int, end: int, keep: Callable[[Row], bool]) -> list[list[dict[str, Any]]]:
        sides: list[list[dict[str, Any]]] = [[], []]
        for row in filter(keep, found.rows):
            sides[not row.first].append({"world": row.world, "about": row.about,
                                         "page": at.world(row.world),
                                         "cells": drawn[row.world][start:end]})  # fmt: skip
        return [side for side in sides if side]

    def told(row: Row) -> bool:
        return any(cell.state in ("score", "ended") for cell in row.cells[main:])

    counts = found.counts
    said = [f"{counts['score']} with a score"]
    said += [f"{counts[s]} {words}" for s, words in _SAID.items() if counts[s]]
    tables = [{"name": f"matrix-{found.truth}", "bodies": bodies(0, main, lambda _: True),
               "heads": [{"sites": c, "noun": noun(c)} for c in found.columns],
               "caption": f"{sum(counts.values())} cells: {', '.join(said)}"}]  # fmt: skip
    if rest := bodies(main, main + len(apart), told):
        tables.append({"name": f"apart-{found.truth}", "bodies": rest,
                       "heads": [{"sites": c, "noun": noun(c)} for c in apart],
                       "caption": "Apart: kinds of site that only some worlds have"})  # fmt: skip
    return {
        "truth": found.truth,
        "title": f"Worlds and kinds of finder, {found.truth} truth",
        "lead": _ABOUT[found.truth],
        "tables": tables,
    }


def _cell(cell: Cell, at: Addresses) -> dict[str, Any]:
    same: dict[str, Any] = {"sites": cell.sites, "noun": noun(cell.sites), "state": cell.state,
                            "reason": cell.reason}  # fmt: skip
    if cell.entry is not None:
        same |= {"run_page": at.run(cell.entry), "study": cell.entry.run.study}
    number = cell.number
    if number is None or cell.entry is None:
        what = _SAID.get(cell.state, "")
        return {"run_page": "", "study": "", **same, "what": what,
                "text": f"{cell.world} {what} {cell.reason}".lower()}  # fmt: skip
    line, seeds = number.line, len(cell.entry.run.seeds)
    label = called(line.finder, line.truth)
    leads = cell.entry.leads(line.sites, line.truth)
    equal = [n.line.finder for n in leads if not n.control and n.line.value == line.value]
    return {
        **same,
        "equal": [name for name in equal if name != line.finder],
        "text": f"{cell.world} {label} {line.kind} {cell.entry.run.study}".lower(),
        "finder": label,
        "finder_page": at.finder(line.finder),
        "value": value_cell(number),
        "metric": wording.metric(line.metric),
        "chance": wording.number(line.chance, 2),
        "oracle": wording.number(line.oracle, 2),
        "top": "oracle" if line.truth == DECLARED else "ceiling",
        "seconds": wording.seconds(line.seconds) if line.seconds is not None else "no cost",
        "epochs": f"{wording.significant(line.epochs)} epochs",
        "seeds": wording.plural(seeds, "seed"),
        "spark": svg.spark(mark(number), span_of(line.metric), 170),
        "others": cell.others,
        "more_page": f"{at.world(cell.world)}#kind={cell.sites}&truth={line.truth}",
    }


def world_page(world: str, entries: Sequence[Entry], at: Addresses) -> dict[str, Any]:
    """The leaderboards of a world: one for each kind of site and truth, never mixed."""
    own = [e for e in entries if e.run.world == world]
    known = known_worlds().get(world)
    parts = _parts(own)
    tables = []
    for sites, truth in parts:
        name = part_name(at.worlds[world], sites, truth)
        table = leaderboard(name, own, sites, truth, at)
        best = next(iter(chosen(own, sites, truth)), None)
        title = f"{noun(sites).capitalize()}, {truth} truth"
        figure = chart(best.leads(sites, truth), f"{title}, of {best.slug}") if best else ""
        tables.append({"table": table, "title": title, "kind": sites, "truth": truth,
                       "lead": " ".join([_ABOUT.get(truth, ""), *_meaning(known, sites)]).strip(),
                       "figure": figure})  # fmt: skip
    runs = runs_table(f"{at.worlds[world]}-runs", own, f"Runs of {world}", at)
    if own:
        tables.append({"table": runs, "title": "Runs", "kind": "", "truth": "", "lead": "",
                       "figure": ""})  # fmt: skip
    scored = {sites for sites, _ in parts}
    notes = []
    for kind in map(str, NOUNS):
        has, reason = site_of(world, own, kind)
        if reason:
            notes.append((noun(kind), reason))
        elif has == "yes" and kind not in scored:
            notes.append((noun(kind), "not run: the site exists, no run covers it"))
    return {
        "heading": world,
        "sub": about(world),
        "tables": tables,
        "choices": [
            ("kind", "Kind of site", [(k, noun(k)) for k in dict.fromkeys(s for s, _ in parts)]),
            ("truth", "Truth", [(t, t) for t in sorted({t for _, t in parts})]),
            ("study", "Study", [(s, s) for s in sorted({e.run.study for e in own})][:100]),
            ("state", "State", [(s, s) for s in MARKS if s in {e.run.state for e in own}]),
        ],
        "hint": "finder, kind or run",
        "empty": "No run of this world here.",
        "notes_title": "Kinds of site without a score",
        "notes": notes,
    }


def _meaning(known: Any, sites: str) -> list[str]:
    """What a world says of sites that are not its own, as a sentence of its own."""
    crossing = str(known.crossings.get(sites) or "") if known else ""
    return [f"{crossing[0].upper()}{crossing[1:].rstrip('.')}."] if crossing else []


def _parts(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Kinds of site and truths that some run has numbers of; a world's own kind first."""
    found = {part: e.run.sites == part[0] for e in entries for part in e.parts}
    order = [str(kind) for kind in NOUNS]
    return sorted(
        found, key=lambda p: (not found[p], order.index(p[0]) if p[0] in order else 99, p)
    )


def finder_page(finder: str, entries: Sequence[Entry], at: Addresses) -> dict[str, Any]:
    """One finder over all worlds and runs."""
    own = [e for e in entries if any(n.line.finder == finder for n in e.numbers)]
    lines = [n.line for e in own for n in e.numbers if n.line.finder == finder]
    parts = _parts(own)
    tables = []
    for sites, truth in parts:
        if not any((line.sites, line.truth) == (sites, truth) for line in lines):
            continue
        name = part_name(at.finders[finder], sites, truth, "by-world")
        tables.append({"table": finder_table(name, own, finder, (sites, truth), at),
                       "title": f"{noun(sites).capitalize()}, {truth} truth", "kind": sites,
                       "truth": truth, "lead": _ABOUT.get(truth, ""), "figure": ""})  # fmt: skip
    kinds = sorted({line.kind for line in lines})
    worlds = sorted({e.run.world for e in own})
    sub = f"finder of kind {wording.listed(kinds)} · {wording.plural(len(own), 'run')}"
    return {
        "heading": finder,
        "sub": f"{sub} · {wording.plural(len(worlds), 'world')}",
        "tables": tables,
        "choices": [
            ("kind", "Kind of site", [(k, noun(k)) for k in dict.fromkeys(s for s, _ in parts)]),
            ("truth", "Truth", [(t, t) for t in sorted({line.truth for line in lines})]),
            ("world", "World", [(w, w) for w in worlds]),
        ],
        "hint": "world or run",
        "empty": "No run has this finder.",
        "notes": (),
        "notes_title": "",
    }


def list_page(noun_: str, entries: Sequence[Entry], at: Addresses) -> dict[str, Any]:
    """All runs, studies or finders."""
    tables = {
        "runs": lambda: runs_table("all-runs", entries, "All runs", at),
        "studies": lambda: studies_table("all-studies", entries, at),
        "finders": lambda: finders_table("all-finders", entries, at),
    }
    table = tables[noun_]()
    facts = {key: sorted({one for row in table.rows for one in row.facts.get(key, "").split()})
             for key in ("world", "state", "kind")
             if any(key in row.facts for row in table.rows)}  # fmt: skip
    names = {"world": "World", "state": "State", "kind": "Kind of site"}
    return {
        "heading": noun_.capitalize(),
        "sub": wording.plural(len(table.rows), noun_.removesuffix("s")) if noun_ != "studies"
        else f"{len(table.rows):,} {'study' if len(table.rows) == 1 else 'studies'}",
        "tables": [{"table": table,
                    **dict.fromkeys(("title", "kind", "truth", "lead", "figure"), "")}],
        "choices": [(key, names[key], [(v, noun(v) if key == "kind" else v) for v in values])
                    for key, values in facts.items()],
        "hint": "words in a row",
        "empty": "",
        "notes": (),
        "notes_title": "",
    }  # fmt: skip


def search_rows(entries: Sequence[Entry], at: Addresses) -> list[list[str]]:
    """What the search box looks through: what it is, its name, its page, further words."""
    rows = [["world", world, at.world(world), ""] for world in at.worlds]
    rows += [["finder", finder, at.finder(finder), ""] for finder in at.finders]
    rows += [["study", study, at.study(study), ""] for study in at.studies]
    rows += [
        ["run", e.slug, at.run(e), f"{e.run.study} {e.run.world} {e.run.subject} {e.run.state}"]
        for e in newest_first(entries)
    ]
    return rows
