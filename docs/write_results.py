"""Write the results tables of README.md and docs/results.md from a run folder.

Usage: python docs/write_results.py [RUN]   (default: runs studies/hops.yaml, or takes it as it is)
"""

import json
import sys
from pathlib import Path
from typing import Any

from seedbed.core.files import read_json, read_text, write_text
from seedbed.studies import run
from seedbed.studies.study import load_study

ROOT = Path(__file__).parents[1]
START, END = "<!-- results: written by `make docs` -->", "<!-- end of results -->"
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
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


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


def replace(path: Path, text: str) -> None:
    """Put `text` between the marks of a file."""
    old = read_text(path)
    head, tail = old.split(START)[0], old.split(END)[1]
    write_text(path, f"{head}{START}\n\n{text}\n\n{END}{tail}")


def main() -> None:
    """Write both files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else run(load_study(ROOT / "studies/hops.yaml"))
    replace(ROOT / "README.md", table(folder))
    replace(ROOT / "docs" / "results.md", table(folder))


if __name__ == "__main__":
    main()
