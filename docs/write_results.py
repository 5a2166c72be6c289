"""Write the results tables of README.md and docs/results.md from a run folder, and the file tree.

Usage: python docs/write_results.py [RUN]   (default: runs studies/hops.yaml, or takes it as it is)
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any

from seedbed.core.files import read_json, read_text, write_text
from seedbed.studies import run
from seedbed.studies.study import load_study

ROOT = Path(__file__).parents[1]
START, END = "<!-- results: written by `make docs` -->", "<!-- end of results -->"
TREE, TREE_END = "<!-- tree: written by `make docs` -->", "<!-- end of tree -->"
LAYERS = ("cli", "report", "studies", "finders", "training", "measuring", "models", "worlds",
          "scoring", "runs", "core")  # fmt: skip
BESIDE = {
    "studies/": "study files; studies/smoke/ take seconds",
    "examples/": "short scripts of the Python API, run by the tests",
    "benchmarks/": "paired measurements against peers; each prints its table",
    "docs/": "one page a subject",
    "tests/": "mirrors src; contracts/ runs over every world and finder",
}
COLUMNS = {
    "AP, all evidence": ("average_precision", "all"),
    "AUC, first hop": ("roc_auc", "hop=0"),
    "AUC, beyond the first hop": ("roc_auc", "hop>=1"),
    "AP, beyond the first hop": ("average_precision", "hop>=1"),
}


def cell(row: dict[str, Any] | None) -> str:
    """A value with its interval, or a dash."""
    if row is None or row["value"] is None:
        return "–"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def table(folder: Path) -> str:
    """Finders × columns as Markdown, chance and oracle last, with a line about the run."""
    rows = json.loads(read_text(folder / "scores.json"))
    keyed = {(r["finder"], r["metric"], r["slice"]): r for r in rows}
    named = list(dict.fromkeys(r["finder"] for r in rows))
    named = [n for n in named if n not in ("chance", "oracle")] + ["chance", "oracle"]
    lines = ["| finder | " + " | ".join(COLUMNS) + " | cost in epochs |", "|---" * 6 + "|"]
    for name in named:
        cells = [cell(keyed.get((name, *place))) for place in COLUMNS.values()]
        epochs = keyed[name, "average_precision", "all"]["epochs"]
        cost = "–" if epochs is None or name == "chance" else f"{epochs:.2g}"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {cost} |")
    manifest, gate = read_json(folder / "manifest.json"), read_json(folder / "gate.json")
    learned = "; ".join(
        f"{name} {min(g['accuracy'] for g in gate if g['slice'] == name):.2f}"
        for name in dict.fromkeys(g["slice"] for g in gate)
    )
    count = len({seed for r in rows for seed in r["seeds"]})
    lines += [
        "",
        f"{count} seeds, 95 % intervals over seeds and causes, declared truth. Lowest accuracy of "
        f"a seed on held-out questions: {learned}. torch {manifest['packages']['torch']}, "
        f"{manifest['cpu']}.",
    ]
    return "\n".join(lines)


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
    return first.split(". ")[0].split("; ")[0].rstrip(".")


def replace(path: Path, start: str, end: str, text: str) -> None:
    """Put `text` between the marks `start` and `end` of a file."""
    old = read_text(path)
    head, tail = old.split(start)[0], old.split(end)[1]
    write_text(path, f"{head}{start}\n\n{text}\n\n{end}{tail}")


def main() -> None:
    """Write both files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else run(load_study(ROOT / "studies/hops.yaml"))
    replace(ROOT / "README.md", START, END, table(folder))
    replace(ROOT / "docs" / "results.md", START, END, table(folder))
    replace(ROOT / "README.md", TREE, TREE_END, tree())


if __name__ == "__main__":
    main()
