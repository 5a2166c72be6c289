"""`benchmark.html`: all subjects of a benchmark on one page, readable without a network.

It has no scripts; a content policy forbids it any request.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seedbed.core.config import first_problem
from seedbed.core.errors import DataError
from seedbed.core.files import read_json, write_text
from seedbed.report import wording
from seedbed.report.assets import asset
from seedbed.report.benchmark import (
    WAY_NAMES,
    baseline_words,
    commonest,
    headline,
    marked,
    ordered,
    rows_of,
    verdict,
)
from seedbed.report.benchmark_plots import plans
from seedbed.report.figures import Figure, write_plan
from seedbed.report.page import inline_svg, kept_together, template
from seedbed.scoring.benchmark import Benchmark
from seedbed.scoring.numbers import Mark, Pattern

SAME = "always the same"  # told by the commonest answer
CLIPPED = 160  # characters of a reply that are shown


def read_benchmark(folder: Path) -> Benchmark:
    """The benchmark.json of a folder; raises DataError if there is none, or it is unfit."""
    path = folder / "benchmark.json"
    try:
        return Benchmark.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(path, None, first_problem(error, Benchmark)) from error


def write_page(bench: Benchmark, folder: Path) -> Path:
    """Write benchmark.html and figures/ into the folder; return the page's path."""
    path = folder / "benchmark.html"
    write_text(path, render(bench, [write_plan(folder, plan) for plan in plans(bench)]))
    return path


def render(bench: Benchmark, figures: list[Figure]) -> str:
    """The page as text."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["kept"] = kept_together
    return environment.from_string(template("benchmark.html")).render(
        style=Markup(asset("page.css")),
        version=bench.made.get("seedbed", ""),
        title=f"{headline(bench)} · seedbed benchmark",
        headline=headline(bench),
        subline=_subline(bench),
        verdicts=[verdict(bench, s) for s in ordered(bench)],
        rows=_rows(bench),
        trivial=_trivial(bench),
        figures=figures,
        # Matplotlib escapes the texts of an SVG.
        drawings={f.name: Markup(inline_svg(f.svg, f.name)) for f in figures},
        patterns=_patterns(bench),
        slices=_slices(bench),
        replies=_replies(bench),
        example=bench.example,
        facts=[(key, value) for key, value in bench.made.items() if key != "command"],
        command=bench.made.get("command", ""),
        source=bench.source,
    )


def _subline(bench: Benchmark) -> str:
    low, high = min(bench.truths), max(bench.truths)
    parts = [
        wording.plural(len(bench.subjects), "subject"),
        wording.plural(bench.questions, "question"),
        f"answers {low} to {high}",
    ]
    if started := bench.made.get("started"):
        parts.append(started[:10])
    return " · ".join(parts)


def _cell(mark: Mark, places: int) -> dict[str, str]:
    return {
        "value": wording.number(mark.value, places),
        "interval": wording.interval(mark.low, mark.high),
    }


def _rows(bench: Benchmark) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for subject, m in rows_of(bench):
        cells = [_cell(m.accuracy, 3), {"value": wording.number(m.shuffled), "interval": ""}]
        cells += [_cell(mark, 2) for mark in (m.mae, m.bias, m.pearson, m.spearman)]
        cells.append({"value": wording.percent(1 - m.answered), "interval": ""})
        asked = (
            "by a server"
            if subject.chat
            else "chat template"
            if subject.template
            else "plain prompt"
        )
        first = not rows or rows[-1]["name"] != subject.name
        time = wording.seconds(subject.seconds) if first else ""
        rows.append({"name": subject.name, "way": WAY_NAMES[m.way], "cells": cells,
                     "asked": asked if first else "", "time": time, "first": first})  # fmt: skip
    return rows


def _trivial(bench: Benchmark) -> list[dict[str, str]]:
    return [
        {"name": baseline_words(b), "accuracy": wording.number(b.accuracy),
         "mae": wording.number(b.mae, 2)}
        for b in bench.baselines if b.slice == "all"
    ]  # fmt: skip


def _patterns(bench: Benchmark) -> dict[str, Any]:
    """Patterns down, subjects and ways across."""
    shown = [(s, w) for s in ordered(bench) for w in s.ways]
    names = list(dict.fromkeys(p.name for _, w in shown for p in w.patterns if p.name != SAME))
    body = []
    for name in names:
        cells = []
        for _, way in shown:
            found = next((p for p in way.patterns if p.name == name), None)
            cells.append(_pattern(found))
        if any(cell["value"] not in (wording.MISSING, "0 %") for cell in cells):
            body.append({"name": name, "cells": cells})
    top = []
    for _, way in shown:
        answer, share = commonest(way, bench.questions)
        note = f"{wording.percent(share)} of answers"
        top.append({"value": answer or wording.MISSING, "note": note if answer else ""})
    spread = [{"value": wording.number(w.entropy, 2), "note": ""} for _, w in shown]
    return {
        "head": [{"subject": s.name, "way": WAY_NAMES[w.way]} for s, w in shown],
        "rows": [{"name": "commonest answer", "cells": top}, *body,
                 {"name": "entropy of the answers (nats)", "cells": spread}],
        "entropy": wording.number(bench.entropy, 2),
    }  # fmt: skip


def _pattern(found: Pattern | None) -> dict[str, str]:
    if found is None:
        return {"value": wording.MISSING, "note": ""}
    note = "" if found.shuffled is None else f"shuffled {wording.percent(found.shuffled)}"
    return {"value": wording.percent(found.share), "note": note}


def _slices(bench: Benchmark) -> list[dict[str, Any]]:
    """A table for each slice key: values down, subjects across, by their first way."""
    subjects = ordered(bench)
    tables = []
    for key, names in bench.slices.items():
        rows = []
        for name in names:
            found = [s.mark(s.first, name) for s in subjects]
            trivial = bench.baseline("majority", name)
            n = next((m.n for m in found if m), 0)
            cells = [
                {**_cell(m.accuracy, 2), "more": f"error {marked(m.mae, 2)}" if m else ""}
                for m in found if m
            ]  # fmt: skip
            level = wording.number(trivial.accuracy if trivial else None, 2)
            value = name.partition("=")[2]
            rows.append({"name": value, "n": f"{n:,}", "cells": cells, "trivial": level})
        tables.append({"key": key, "rows": rows, "head": [s.name for s in subjects]})
    return tables


def _replies(bench: Benchmark) -> list[dict[str, Any]]:
    """The commonest replies of each subject, and how each was read."""
    groups = []
    for subject in ordered(bench):
        rows = [
            {"text": r.text if len(r.text) <= CLIPPED else r.text[: CLIPPED - 1] + "…",
             "count": f"{r.count:,}", "read": r.outcome if r.number is None else str(r.number)}
            for r in subject.replies
        ]  # fmt: skip
        if rows:
            groups.append({"name": subject.name, "rows": rows, "most": subject.most})
    return groups
