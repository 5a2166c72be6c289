"""A running study in the browser or the terminal: a page that asks this machine for its state.

The server listens on this machine alone and knows two addresses.
"""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rich import box
from rich.table import Table
from rich.text import Text

from seedbed import __version__
from seedbed.report import wording
from seedbed.report.assets import asset
from seedbed.report.live import Watched

HOST = "127.0.0.1"
NAMES = {HOST, "localhost"}


def page(watched: Watched) -> str:
    """The page, without any numbers: it asks for them."""
    name = watched.path.resolve().name
    return rendered("live", f"{name} · running", name=name)


def rendered(page: str, title: str, **values: str) -> str:
    """A page that asks for its numbers: PAGE.html with the style and script of running studies."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    script = asset("running.js") + asset(f"{page}.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = "".join(asset(f"{name}.css") for name in ("page", "transcripts", "live", "running"))
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    head = asset("head.html").replace("img-src data:", "img-src data:; connect-src 'self'")
    return environment.from_string(head + asset(f"{page}.html")).render(
        script_hash=f"sha256-{digest}",
        script=Markup(script),
        style=Markup(style),
        version=__version__,
        title=title,
        **values,
    )


def server(watched: Watched, port: int = 0) -> ThreadingHTTPServer:
    """A server of the page on this machine; port 0 takes a free one. Not started yet."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Another site's name that leads to this machine must not read the run.
            if self.headers.get("Host", "").rpartition(":")[0] not in NAMES:
                self._say(403, "text/plain", "this server answers this machine alone")
            elif self.path == "/":
                self._say(200, "text/html", page(watched))
            elif self.path == "/state.json":
                self._say(200, "application/json", json.dumps(watched.state()))
            else:
                self._say(404, "text/plain", "there is / and /state.json")

        def _say(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
            pass

    return ThreadingHTTPServer((HOST, port), Handler)


def table(watched: Watched) -> Table:
    """The state for a terminal: a line a cell, means over the seeds that have come so far."""
    state = watched.state()
    at = [name for name, there in state["stages"] if there][-1]
    found = Table(
        title=Text(f"{state['name']}: {at}", style="bold"), title_justify="left",
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim",
    )  # fmt: skip
    found.add_column("condition + arm", no_wrap=True)
    for head in ("seeds", "rounds", "harm, gameable", "harm, others", "rating", "welfare"):
        found.add_column(head, justify="right")
    for cell, course in state["courses"].items():
        rounds = [c["rounds"] for c in state["cells"] if c["cell"] == cell]
        last = course[-1] if course else {}
        found.add_row(
            Text(cell), str(sum(map(bool, rounds))), f"{min(rounds)}–{max(rounds)}",
            *(wording.number(last.get(n), 2) for n in ("gameable", "other", "rating", "welfare")),
        )  # fmt: skip
    return found
