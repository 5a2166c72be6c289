"""`report.html`: one file with the verdict, the tables, the figures and what is behind them.

It opens without a server or a network; a content policy forbids it any request.
"""

import base64
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from seedbed.core.files import read_text, write_text
from seedbed.report import drill, wording
from seedbed.report.assets import asset
from seedbed.report.columns import main_columns, prices
from seedbed.report.figures import write_figures
from seedbed.report.leading import MEASURED, called
from seedbed.report.palette import THEMED
from seedbed.report.reader import Run
from seedbed.report.retraining import bank_line
from seedbed.report.schema import CONTROLS
from seedbed.report.sections import sections
from seedbed.report.transcripts import sources
from seedbed.report.transcripts_page import PAGE, write_transcripts
from seedbed.report.verdict import findings, headline, how_answered


def write_report(run: Path) -> Path:
    """Write report.html and figures/ into the run folder; return the page's path.

    Where episodes were played, transcripts.html beside it. Raises InputError if `run` is not a
    finished run folder.
    """
    opened = Run(run)
    path = run / "report.html"
    write_text(path, render(opened))
    write_transcripts(opened)
    return path


def render(run: Run) -> str:
    """The page as text; writes figures/ on the way."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    script = asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    figures = write_figures(run)
    # Matplotlib escapes the texts of an SVG.
    drawings = {f.name: Markup(inline_svg(f.svg, f.name)) for f in figures}
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["kept"] = kept_together
    return environment.from_string(template("page.html")).render(
        script_hash=f"sha256-{digest}",
        script=Markup(script),
        style=Markup(asset("page.css")),
        data=Markup(embedded(drill.payload(run))),
        version=run.manifest.seedbed,
        title=f"{run.name} · seedbed report",
        name=run.name,
        folder=str(run.path),
        headline=headline(run),
        subline=_subline(run),
        stopped=run.stopped,
        findings=findings(run),
        tables=[_table(run, truth) for truth in run.truths],
        shared=[wording.listed(names) for names in run.shared] if run.truths else [],
        sections=sections(run),
        transcripts=PAGE if sources(run.path) else "",
        missing=run.missing,
        figures=figures,
        drawings=drawings,
        gate=_gate(run),
        excluded=_excluded(run),
        manifest=run.manifest,
        config=read_text(run.path / "config.yaml"),
        facts=_facts(run),
    )


def kept_together(text: str) -> str:
    """Text whose intervals, `[0.31, 0.36]`, and `95 %` do not break over two lines."""
    return re.sub(r"\[([\d.–-]+), ([\d.–-]+)\]", "[\\1,\u00a0\\2]", text.replace(" %", "\u00a0%"))


def embedded(value: Any) -> str:
    """JSON that may stand inside a script element: no `<` can end it or open a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def inline_svg(svg: str, name: str) -> str:
    """An SVG file as an element: own ids, the page's width, colours that follow its theme."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'\s(width|height)="[\d.]+pt"', "", body, count=2)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    for colour, variable in THEMED.items():
        body = re.sub(rf"{colour}\b", f"var({variable})", body, flags=re.IGNORECASE)
    return body.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def template(body: str) -> str:
    """A whole page's template: the head that all pages share, then `body` with its figures.

    The head needs `version`, `title` and `style`, and `script_hash` where scripts may run.
    """
    return asset("head.html") + asset(body).replace("{# figures #}\n", asset("figures.html"))


def _subline(run: Run) -> str:
    parts = [wording.plural(len(run.seeds), "seed")]
    if run.truths:
        parts.append(wording.plural(len(run.finders(run.truths[0])), "finder"))
        parts.append(f"{' and '.join(run.truths)} truth")
    world = run.config.get("world")
    if isinstance(world, dict) and "kind" in world:
        parts.insert(0, f"world {world['kind']}")
    if way := how_answered(run):
        parts.append(f"answers {way}")
    if run.manifest.finished:
        parts.append(run.manifest.finished[:10])
    if run.manifest.seconds is not None:
        parts.append(f"ran {wording.seconds(run.manifest.seconds)}")
    return " · ".join(parts)


def _table(run: Run, truth: str) -> dict[str, Any]:
    """The main table of a truth as it stands without scripts."""
    columns = [column for block in main_columns(run, truth) for column in block]
    heads = list(prices(next(r for r in run.scores if r.truth == truth)))
    rows = []
    for name in (*run.finders(truth), *run.controls(truth)):
        found = [run.score(name, truth, c.metric, c.slice) for c in columns]
        first = next((row for row in found if row is not None), None)
        if first is None:
            continue
        cells = [
            {"value": wording.number(row.value if row else None),
             "interval": wording.interval(row.low, row.high) if row else ""}
            for row in found
        ]  # fmt: skip
        spent = prices(first)
        cells += [{"value": wording.significant(v), "interval": ""} for v in spent.values()]
        rows.append({"name": called(name, truth), "cells": cells, "control": name in CONTROLS})
    return {
        "truth": truth,
        "caption": f"all questions · {truth} truth",
        "head": ["finder", *(c.label for c in columns), *heads],
        "rows": rows,
        "note": bank_line(run) if truth == MEASURED else "",
    }


def _gate(run: Run) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(row.slice for row in run.gate):
        for i, row in enumerate(r for r in run.gate if r.slice == name):
            rows.append(
                {
                    "slice": name, "words": wording.slice_words(name), "seed": row.seed,
                    "n": f"{row.n:,}", "accuracy": f"{row.accuracy:.3f}",
                    "interval": wording.interval(row.low, row.high), "chance": f"{row.chance:.2f}",
                    "bar": f"{row.bar:.2f}", "passed": row.passed, "required": row.required,
                    "first": i == 0 and bool(rows),
                }
            )  # fmt: skip
    return rows


def _excluded(run: Run) -> list[dict[str, Any]]:
    prompts = {(s.number, q.id): q.prompt for s in run.seeds for q in s.questions.values()}
    groups = []
    for reason, count in Counter(row.reason for row in run.excluded).most_common():
        rows = [row for row in run.excluded if row.reason == reason]
        seeds = Counter(row.seed for row in rows)
        named = [
            {"seed": r.seed, "question": r.question, "prompt": prompts.get((r.seed, r.question))}
            for r in rows
        ]
        by_seed = ", ".join(f"seed {seed}: {n:,}" for seed, n in sorted(seeds.items()))
        groups.append({"reason": reason, "count": f"{count:,}", "by_seed": by_seed, "rows": named})
    return groups


def _facts(run: Run) -> list[tuple[str, str]]:
    made = run.manifest
    git = made.git or {}
    commit = str(git.get("commit") or "")[:12] + (" with changes" if git.get("dirty") else "")
    trained = [s.trained for s in run.seeds if s.trained is not None]
    facts = [
        ("seedbed", made.seedbed),
        ("commit", commit or "not in git"),
        ("Python", made.python),
        ("platform", made.platform),
        ("processor", made.cpu),
        ("threads", "" if made.threads is None else str(made.threads)),
        ("started", made.started),
        ("finished", made.finished),
        ("took", wording.seconds(made.seconds)),
        ("configuration digest", made.config_digest[:16]),
        ("code digest", made.code_digest[:16]),
    ]
    if trained:
        facts.insert(0, ("training", f"{trained[0].steps:,} steps, {trained[0].epochs:g} epochs"))
        facts.insert(0, ("parameters", f"{trained[0].parameters:,}"))
    if run.stopped:
        facts.append(("stopped", run.stopped))
    facts += sorted(made.packages.items())
    return [(key, value) for key, value in facts if value]
