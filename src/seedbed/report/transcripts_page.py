"""`transcripts.html`: every episode shown in one file, with filters, that needs no server.

The data is compressed within the page; the browser unpacks it.
"""

import base64
import gzip
import hashlib
import json
from pathlib import Path

from seedbed.core.files import write_text
from seedbed.report.assets import asset
from seedbed.report.reader import Run
from seedbed.report.transcripts import MOST, payload, sources

PAGE = "transcripts.html"


def write_transcripts(run: Run, most: int = MOST) -> Path | None:
    """Write the page into the run folder; None where the run has no transcripts."""
    if not sources(run.path):
        return None
    path = run.path / PAGE
    write_text(path, render(run, most))
    return path


def render(run: Run, most: int = MOST) -> str:
    """The page as text."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    data = payload(run, most)
    script = asset("transcripts.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(asset("head.html") + asset("transcripts.html")).render(
        script_hash=f"sha256-{digest}",
        script=Markup(script),
        style=Markup(asset("page.css") + asset("transcripts.css")),
        data=packed(data),
        version=run.manifest.seedbed,
        title=f"{run.name} · transcripts",
        name=run.name,
        shown=len(data["episodes"]),
        total=data["total"],
        each=data["each"],
        where=data["where"],
    )


def packed(value: object) -> str:
    """JSON, compressed and in base64; equal data gives equal text."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
