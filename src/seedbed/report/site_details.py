"""What the panel behind a number shows: one script file a run, loaded when a number is opened.

Pages from a folder may not fetch, so the data is a call, `seedbed.run({…})`.
"""

import json
import os
import shlex
from pathlib import Path
from typing import Any

from seedbed.report import wording
from seedbed.report.behind import Behind, Finds
from seedbed.report.leading import CORRELATIONS, DECLARED, DROP, called
from seedbed.report.page import embedded
from seedbed.report.site_entries import Addresses, Entry, noun

EXAMPLES, TOP = 4, 5
"""Questions shown behind a finder's numbers, and sites shown of each."""
_KEYS = ("sites", "finder", "kind", "truth", "metric", "value", "low", "high", "chance", "oracle",
         "seconds", "epochs")  # fmt: skip
TEXT = 280
"""Characters of a document that are shown."""


def details(entry: Entry, here: Path, at: Addresses) -> str:
    """The script of a run: its lines, how they were made, and examples by finder.

    `here` is the folder of pages that links are relative to.
    """
    run = entry.run
    value = {
        "slug": entry.slug,
        "study": run.study,
        "world": run.world,
        "subject": run.subject,
        "seeds": list(run.seeds),
        "state": run.state,
        "replay": replay(entry),
        "made": run.command,
        "version": run.version,
        "started": run.started,
        "lines": [[getattr(line, key) for key in _KEYS] for line in run.lines],
        "metrics": {
            m: [wording.metric(m), wording.meaning(m)]
            for m in sorted({line.metric for line in run.lines})
        },
        "nouns": {kind: noun(kind) for kind in sorted({line.sites for line in run.lines})},
        "computed": {
            f"{truth} {metric}": how(truth, metric)
            for truth, metric in sorted({(line.truth, line.metric) for line in run.lines})
        },
        "called": {
            f"{line.finder} {line.truth}": called(line.finder, line.truth)
            for line in run.lines if called(line.finder, line.truth) != line.finder
        },
        "behind": examples(entry),
        "links": links(entry, here),
        "finders": {f: at.finder(f) for f in sorted({line.finder for line in run.lines})},
    }  # fmt: skip
    return script("run", value)


def script(name: str, *values: Any) -> str:
    """A call that a page's own script answers, as the text of a file."""
    return f"seedbed.{name}({','.join(embedded(value) for value in values)});\n"


def rows_script(table: str, rows: str) -> str:
    """The rest of a table's rows, whose texts are escaped already."""
    return f"seedbed.rows({embedded(table)},{json.dumps(rows, ensure_ascii=False)});\n"


def replay(entry: Entry) -> str:
    """The command that repeats a run."""
    return f"seedbed run {shlex.quote(str(entry.run.folder / 'config.yaml'))}"


def how(truth: str, metric: str) -> str:
    """How a number came about, in a sentence."""
    if truth == DECLARED:
        spread = "95 % interval by bootstrap over seeds and, within them, causes"
        return f"mean over seeds of the mean over questions; {spread}; ties go against the finder"
    if metric in CORRELATIONS or metric.startswith(DROP):
        spread = "95 % interval by bootstrap over seeds and causes"
        return f"against what retrained subjects answered; {spread}"
    return "against what an intervention changed; 95 % interval by bootstrap over seeds and causes"


def links(entry: Entry, here: Path) -> list[tuple[str, str]]:
    """Files of the run folder that are there, with addresses relative to `here`."""
    names = {
        "report.html": "report",
        "transcripts.html": "transcripts",
        "config.yaml": "config.yaml",
        "scores.json": "scores.json",
        "crossed.json": "crossed.json",
        "manifest.json": "manifest.json",
    }
    return [
        (title, address(entry.run.folder / name, here))
        for name, title in names.items()
        if (entry.run.folder / name).is_file()
    ]


def address(path: Path, here: Path) -> str:
    """`path` as a page in `here` links it."""
    from urllib.parse import quote

    return quote(Path(os.path.relpath(path.resolve(), here.resolve())).as_posix())


def examples(entry: Entry) -> dict[str, Any]:
    """By `sites finder`, what stands behind the finder's numbers or why there is nothing."""
    finds = Finds(entry.run.folder)
    pairs = dict.fromkeys((n.line.sites, n.line.finder) for n in entry.numbers)
    found = {}
    for sites, finder in pairs:
        found[f"{sites} {finder}"] = _shown(finds.behind(sites, finder, EXAMPLES, TOP))
    return found


def _shown(behind: Behind) -> dict[str, Any]:
    """Only what the panel shows, texts cut."""
    value = json.loads(json.dumps(behind, default=vars))
    for example in value["examples"]:
        for row in (*example["top"], *example["causes"]):
            if len(row["text"]) > TEXT:
                row["text"] = row["text"][: TEXT - 1] + "…"
    return {key: v for key, v in value.items() if key not in ("sites", "finder")}
