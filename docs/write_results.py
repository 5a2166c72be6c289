"""Write the results tables of README.md and docs/results.md from run folders, and the file tree.

Usage: python docs/write_results.py [RUN|SWEEP|MATRIX|BENCHMARK.json ...], by default
studies/hops.yaml.
"""

import ast
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seedbed.core.config import read_yaml
from seedbed.core.files import read_json, read_text, write_text
from seedbed.report.reader import Run
from seedbed.report.sections import sections
from seedbed.report.site_entries import TRUTHS, Entry, entries_of, noun
from seedbed.report.site_matrix import Cell, matrix
from seedbed.runs.summary import read_summary
from seedbed.studies import run
from seedbed.studies.study import load_study

ROOT = Path(__file__).parents[1]
START, END = "<!-- results: written by `make docs` -->", "<!-- end of results -->"
TREE, TREE_END = "<!-- tree: written by `make docs` -->", "<!-- end of tree -->"
LAYERS = ("cli", "report", "studies", "finders", "training", "measuring", "simulation",
          "models", "nets",
          "worlds", "scoring", "runs", "core")  # fmt: skip
BESIDE = {
    "studies/": "study files; studies/smoke/ take seconds",
    "examples/": "short scripts of the Python API, run by the tests",
    "benchmarks/": "paired measurements against peers; each prints its table",
    "docs/": "one page a subject",
    "tests/": "mirrors src; contracts/ runs over every world and finder",
}
Place = tuple[str, str, str]
DECLARED = {
    "AP": ("declared", "average_precision", "all"),
    "AUC, beyond the first hop": ("declared", "roc_auc", "hop>=1"),
}
HELD_OUT = {
    **DECLARED,
    "AUC, trained or held out": ("declared", "trained_auc", "all"),
    "trained in the top 10": ("declared", "trained_in_top10", "all"),
    "gap of means, in deviations": ("declared", "trained_gap", "all"),
}
PARTS: dict[str, Place] = {
    "AP": ("declared", "average_precision", "all"),
    "AUC": ("declared", "roc_auc", "all"),
}
KINDS: dict[str, Place] = {"named right": ("declared", "roc_auc", "all")}
INSIDE = ("mediation.json", "organisms.json", "spread.json", "rules.json", "directions.json",
          "incentives.json")  # fmt: skip
SITES = {"part": PARTS, "kind": KINDS, "user": PARTS}
MEASURED = {
    "LDS": ("measured", "lds", "all"),
    "LDS, depth 0": ("measured", "lds", "depth=0"),
    "LDS, depth 1": ("measured", "lds", "depth=1"),
    "LDS, depth 2": ("measured", "lds", "depth=2"),
}
GROUPS = {"facts left out": ("measured", "group_r", "all")}
LAST = ("labels", "chance", "oracle")


def cell(row: dict[str, Any] | None) -> str:
    """A value with its interval, or a dash."""
    if row is None or row["value"] is None:
        return "–"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def table(folder: Path) -> str:
    """Finders × columns of a run as Markdown, controls last, with a line about the run."""
    rows = json.loads(read_text(folder / "scores.json"))
    keyed = {(r["finder"], r["truth"], r["metric"], r["slice"]): r for r in rows}
    metrics = {r["metric"] for r in rows}
    columns: dict[str, Place] = dict(HELD_OUT if "trained_auc" in metrics else DECLARED)
    columns = dict(SITES.get(Run(folder).noun, columns))
    columns |= MEASURED if "lds" in metrics else {}
    columns |= GROUPS if "group_r" in metrics else {}
    found = list(dict.fromkeys(r["finder"] for r in rows))
    named = [n for n in found if n not in LAST] + [n for n in LAST if n in found]
    lines = []
    for name in named:
        cells = [cell(keyed.get((name, *place))) for place in columns.values()]
        own = keyed.get((name, "declared", "average_precision", "all"), {}).get("epochs")
        cost = "–" if own is None or name in LAST else f"{own:.2g}"
        lines.append([name, *cells, cost])
    lines = grid(["finder", *columns, "cost in epochs"], lines)
    manifest, gate = read_json(folder / "manifest.json"), read_json(folder / "gate.json")
    learned = "; ".join(
        f"{name} {min(g['accuracy'] for g in gate if g['slice'] == name):.2f}"
        for name in dict.fromkeys(g["slice"] for g in gate)
    )
    count = len({seed for r in rows for seed in r["seeds"]})
    banks = [read_json(p) for p in sorted(folder.glob("seeds/*/effects/cost.json"))]
    bank = f"{sum(b['subjects'] for b in banks)} retrained subjects. " if banks else ""
    absent = [f"{m['finder']}: {m['reason']}" for m in read_json(folder / "missing.json")]
    lines += [
        "",
        f"{count} seeds, 95 % intervals over seeds and causes. {bank}Lowest accuracy of a seed on "
        f"held-out questions: {learned}. torch {manifest['packages']['torch']}, "
        f"{manifest['cpu']}." + "".join(f" {a}." for a in absent),
    ]
    return "\n".join(lines)


def inside_tables(folder: Path) -> str:
    """The small tables of a run as the report has them, after finders of parts if there are any."""
    opened = Run(folder)
    parts: list[str] = [table(folder)] if opened.noun in SITES and opened.scores else []
    for one in (grid for section in sections(opened) for grid in section.grids):
        lines = [[name, *(f"{n.text} {n.interval}".strip() for n in numbers)]
                 for name, numbers in one.rows]  # fmt: skip
        title = one.title if one.title.endswith("?") else f"{one.title}."
        parts.append(f"**{title}** {one.note}\n\n" + "\n".join(grid(one.heads, lines)))
    manifest = opened.manifest
    learned = "; ".join(
        f"{name} {min(g.accuracy for g in opened.gate if g.slice == name):.2f}"
        for name in dict.fromkeys(g.slice for g in opened.gate)
    )
    seconds = f"{manifest.seconds:.0f} s" if manifest.seconds is not None else "–"
    parts.append(
        f"{len(opened.seeds)} seeds. Lowest accuracy of a seed on held-out questions: {learned}. "
        f"The run took {seconds} (stages taken from the store included). "
        f"torch {manifest.packages['torch']}, {manifest.cpu}."
    )
    return "\n\n".join(parts)


def sweep_table(folder: Path) -> str:
    """A sweep as Markdown: finders × values of the key, one table a headline number."""
    read = read_json(folder / "sweep.json")
    arms = [a["value"] for a in read["arms"]]
    keyed = {
        (json.dumps(r["arm"]), r["finder"], r["truth"], r["metric"], r["slice"]): r
        for r in read["rows"]
    }
    finders = list(dict.fromkeys(r["finder"] for r in read["rows"]))
    named = [n for n in finders if n not in LAST] + [n for n in LAST if n in finders]
    parts = []
    for title, place in {**DECLARED, "LDS": MEASURED["LDS"]}.items():
        lines = [
            [name, *(cell(keyed.get((json.dumps(arm), name, *place))) for arm in arms)]
            for name in named
            if any((json.dumps(arm), name, *place) in keyed for arm in arms)
        ]
        if lines:
            heads = [f"{title}; `{read['key']}` =", *(f"{arm}" for arm in arms)]
            parts.append("\n".join(grid(heads, lines)))
    return "\n\n".join(parts)


def matrix_tables(folder: Path) -> str:
    """Worlds × kinds of site under both truths: the best finder of each, its controls behind it."""
    told = read_json(folder / "matrix.json")
    entries = entries_of([read_summary(folder / s["run"]) for s in told["studies"]])
    parts = []
    for truth in TRUTHS:
        found = matrix(entries, truth)
        columns = (*found.columns, *found.apart)
        lines = [[f"`{row.world}`", *(_best(c, entries) for c in row.cells)]
                 for row in found.rows if row.first]  # fmt: skip
        heads = [f"{truth}: world", *(noun(c) for c in columns)]
        parts.append("\n".join(grid(heads, lines)))
    seeds = ", ".join(str(n) for n in sorted({len(e.run.seeds) for e in entries}))
    parts.append(f"{seeds} seeds. Size `{told['size']}`, {told['seconds']:.0f} s in all.")
    return "\n\n".join(parts)


def _best(cell: Cell, entries: Sequence[Entry]) -> str:
    """The best finder's value and interval, chance and oracle; the best control; seconds."""
    if cell.number is None:
        return "–"
    line = cell.number.line
    entry = next(e for e in entries if e == cell.entry)
    same = [n.line for n in entry.numbers
            if n.control and n.line.kind not in ("chance", "oracle") and n.line.value is not None
            and (n.line.sites, n.line.truth, n.line.metric)
            == (line.sites, line.truth, line.metric)]  # fmt: skip
    said = (f"{line.finder} **{line.value:.3f}** [{line.low:.3f}, {line.high:.3f}];"
            f" chance {line.chance:.2f}, oracle {line.oracle:.2f}")  # fmt: skip
    if same:
        first = max(same, key=lambda x: x.value or 0)
        said += f"; best control: {first.finder} {first.value:.2f}"
    return said if line.seconds is None else f"{said}; {line.seconds:.2g} s"


def bench_table(path: Path) -> str:
    """The rows of a benchmark as Markdown."""

    def short(value: float | None) -> str:
        return "–" if value is None else f"{value:.3g}"

    lines = [
        [r["work"], r["peer"], *(short(r[k]) for k in ("ours", "theirs", "ratio")), r["unit"],
         r["agreement"]]
        for r in read_json(path)
    ]  # fmt: skip
    return "\n".join(grid(["work", "peer", "ours", "theirs", "ratio", "unit", "agreement"], lines))


def tree() -> str:
    """The modules with the first sentence of each, from their own docstrings."""
    lines = ["```"]
    for package in [ROOT / "src" / "seedbed" / n for n in LAYERS]:
        lines.append(f"{package.name + '/':<18} {_about(package / '__init__.py')}")
        for path in sorted(package.rglob("*.py")):
            if path.name != "__init__.py":
                name = path.relative_to(package).as_posix()
                lines.append(f"  {name:<16} {_about(path)}")
    lines += ["", *(f"{name:<18} {about}" for name, about in BESIDE.items()), "```"]
    return "\n".join(lines)


def _about(path: Path) -> str:
    text = ast.get_docstring(ast.parse(read_text(path))) or ""
    first = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<!et al)\. ", first)[0].split("; ")[0].rstrip(".")


def replace(path: Path, start: str, end: str, text: str) -> None:
    """Put `text` between the marks `start` and `end` of a file."""
    old = read_text(path)
    head, tail = old.split(start)[0], old.split(end)[1]
    write_text(path, f"{head}{start}\n\n{text}\n\n{end}{tail}")


def marks(name: str) -> tuple[str, str]:
    """The marks around the tables of one study."""
    return f"<!-- {name}: written by write_results.py -->", f"<!-- end of {name} -->"


def main() -> None:
    """Write the tables of every run, sweep and benchmark given, and the tree."""
    given = [Path(word) for word in sys.argv[1:]]
    for folder in given or [run(load_study(ROOT / "studies/hops.yaml"))]:
        if folder.suffix == ".json":
            replace(ROOT / "docs" / "results.md", *marks(folder.stem), bench_table(folder))
            continue
        if (folder / "matrix.json").exists():
            told = read_json(folder / "matrix.json")
            place = marks(f"{told['name']}-{told['size']}")
            replace(ROOT / "docs" / "results.md", *place, matrix_tables(folder))
            continue
        name = read_yaml(folder / "config.yaml")["name"]
        if (folder / "sweep.json").exists():
            text = sweep_table(folder)
        else:
            inside = any((folder / n).exists() for n in INSIDE)
            text = inside_tables(folder) if inside else table(folder)
        replace(ROOT / "docs" / "results.md", *marks(name), text)
        if name == "hops":
            replace(ROOT / "README.md", START, END, text)
    replace(ROOT / "README.md", TREE, TREE_END, tree())


if __name__ == "__main__":
    main()
